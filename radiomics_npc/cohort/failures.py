"""Rows of the table of failures: what could not be done of which patient and sequence, and what helps."""

from __future__ import annotations

from typing import Final

from radiomics_npc.errors import RadiomicsNPCError

__all__ = ["FAILURE_COLUMNS", "failure_row"]

FAILURE_COLUMNS: Final = ["patient_id", "sequence", "stage", "error", "message", "remedy"]


def failure_row(patient_id: str, sequence: str, stage: str, error: Exception) -> dict[str, str]:
    """Say what an error means for a patient.

    Parameters
    ----------
    patient_id, sequence : str
        Whom and what it concerns; no sequence is all of them.
    stage : str
        Where it happened: ``predict`` or ``arrays``.
    error : Exception
        Of one that nobody foresaw only the kind is named: its text may hold folders named after the
        patient.

    Returns
    -------
    dict
        By :data:`FAILURE_COLUMNS`.

    Examples
    --------
    >>> failure_row("7", "t1", "predict", OSError("/home/somebody/7/t1.nii"))["message"]
    'unexpected OSError'
    """
    known = (
        error
        if isinstance(error, RadiomicsNPCError)
        else RadiomicsNPCError(
            f"unexpected {type(error).__name__}",
            "Open image and mask in a viewer; if both are sound, report this as a fault of radiomics_npc.",
        )
    )
    return {
        "patient_id": patient_id, "sequence": sequence, "stage": stage, "error": type(error).__name__,
        "message": known.message, "remedy": known.remedy,
    }  # fmt: skip
