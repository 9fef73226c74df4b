"""Contours that a model predicted for a study: masks, flags, and which model it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.findings import CheckReport, Finding
from radiomics_npc.contour_comparison import drawn_contours, mask_agreement
from radiomics_npc.errors import ModelFileError
from radiomics_npc.features.table import FAILURE_COLUMNS
from radiomics_npc.optional import require_torch
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.segmentation.quality import FLAGS
from radiomics_npc.settings import SegmentationSettings
from radiomics_npc.storage import content_key, write_table

__all__ = [
    "PredictedContours", "describe_segmenter", "merge_failures", "predict_contours", "say_other_contours",
    "segment_cohort",
]  # fmt: skip

_BUNDLED = Path(__file__).parent / "segmentation" / "weights"
#: They differ between runs that give the same masks, so they stand in run.json and not in a table.
_OF_THE_RUN = ("seconds", "device")
_COLUMNS = [
    "patient_id", "sequence", "volume_cm3", "confidence", "member_agreement", "sequence_agreement", "flags",
    *_OF_THE_RUN,
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class PredictedContours:
    """What the prediction of a cohort's masks gave.

    Parameters
    ----------
    cohort : Cohort
        With the predicted masks; where a prediction failed there is none.
    table : DataFrame
        One row a patient and sequence: patient_id, sequence, mask (path within the run folder),
        volume_cm3, confidence, member_agreement, sequence_agreement, flags (several separated by
        semicolons; empty: nothing conspicuous).
    failures : DataFrame
        As those of the features.
    model : dict
        As :func:`describe_segmenter` gives it, with device, seconds and masks.
    variations : tuple of Cohort
        The same with masks varied along their uncertainty; empty unless asked for.
    drawn : Cohort, optional
        Those patients who have drawn masks as well, with these.
    """

    cohort: Cohort
    table: pd.DataFrame
    failures: pd.DataFrame
    model: dict[str, Any]
    variations: tuple[Cohort, ...] = ()
    drawn: Cohort | None = None

    def findings(self) -> list[Finding]:
        """Flags as warnings of the check, failures as such, and what to do with all of them."""
        found = [
            Finding.warning(f"predicted mask: {FLAGS[code].sentence}", FLAGS[code].remedy,
                            str(row.patient_id), str(row.sequence), Path(str(row.mask)).name)
            for row in self.table.itertuples()
            for code in str(row.flags).split("; ")
            if code in FLAGS and code != "empty"  # which is among the failures
        ]  # fmt: skip
        found += [
            Finding.warning(f"no mask could be predicted: {row.message}", str(row.remedy),
                            str(row.patient_id), str(row.sequence))
            for row in self.failures.itertuples()
        ]  # fmt: skip
        return found

    @property
    def varied_patients(self) -> list[str]:
        """Patients with a mask that is as it was predicted: drawn and edited ones do not vary."""
        kept = self.table["flags"].isin(["edited", "empty"])
        return list(dict.fromkeys(self.table.loc[~kept, "patient_id"])) if self.variations else []

    def varied(self) -> dict[str, Cohort]:
        """The varied patients with the masks predicted (``original``) and with each variation of these."""
        who = set(self.varied_patients)
        named = {f"variation_{k}": cohort for k, cohort in enumerate(self.variations, start=1)}
        return {
            name: replace(cohort, cases=tuple(case for case in cohort.cases if case.patient_id in who))
            for name, cohort in {"original": self.cohort, **named}.items()
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a patient and sequence; simulated patients, and networks that know no others, if so."""
        said = {
            "trained_on_simulated_heads_only": self.model["simulated"],
            "simulated": self.cohort.simulated,
        }
        return self.table.assign(**{column: True for column, true in said.items() if true})


def describe_segmenter(settings: SegmentationSettings) -> dict[str, Any]:
    """Say which model predicts, and what it was trained on.

    Parameters
    ----------
    settings : SegmentationSettings

    Returns
    -------
    dict
        ``name`` (``bundled``, or that of the folder), ``sha256`` of its description, which holds
        those of the weights, ``identity`` (hash of what makes the masks, as the record beside each has
        it), ``members`` (how many networks), and ``simulated``: trained on simulated heads only.

    Raises
    ------
    ModelFileError
        The folder holds no such description.

    Examples
    --------
    >>> describe_segmenter(SegmentationSettings(model=Path("nowhere")))
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.ModelFileError: nowhere holds no model of contours (model.json is absent or
    damaged). Name the folder that train-segmenter wrote under segmentation.model, or leave it out.
    """
    folder = settings.model or _BUNDLED
    file = folder / "model.json"
    try:
        raw = file.read_bytes()
        content = json.loads(raw)
        members, simulated = content["members"], bool(content["simulated"])
        weights = [member.get("sha256") for member in members]
        # as Segmenter.identity, which stands beside every mask
        identity = content_key(weights, content.get("architecture"), content.get("grid"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{folder.name} holds no model of contours (model.json is absent or damaged)",
            "Name the folder that train-segmenter wrote under segmentation.model, or leave it out.",
        ) from error
    name = "bundled" if settings.model is None else folder.name
    return {
        "name": name, "sha256": hashlib.sha256(raw).hexdigest(), "identity": identity,
        "members": len(members), "simulated": simulated,
    }  # fmt: skip


def predict_contours(cohort: Cohort, settings: SegmentationSettings, run_folder: Path) -> PredictedContours:
    """Predict the masks that a study asks for, into ``masks`` of its run folder.

    Parameters
    ----------
    cohort : Cohort
        As read; its images have been checked.
    settings : SegmentationSettings
    run_folder : Path

    Returns
    -------
    PredictedContours
        Masks that are there already for the same image, model and settings are taken as they are.

    Raises
    ------
    ConfigError
        torch is not installed, or the device is not there.
    ModelFileError
        The model is absent, damaged or altered.
    """
    require_torch()
    model = describe_segmenter(settings)
    found = _predict(cohort, run_folder / "masks", settings)
    table: pd.DataFrame = found.table.copy() if len(found.table) else pd.DataFrame(columns=_COLUMNS)
    masks = {
        (case.patient_id, s): pair.mask for case in found.cohort.cases for s, pair in case.images.items()
    }
    paths = [masks.get((who, s)) for who, s in zip(table["patient_id"], table["sequence"], strict=True)]
    table.insert(2, "mask", [_within(path, run_folder) for path in paths])
    model["masks"], model["device"] = len(table), sorted(set(table["device"].dropna()))
    # those of a patient stand in each of his rows
    model["seconds"] = round(float(table.groupby("patient_id")["seconds"].max().sum()), 1)
    table = table.drop(columns=list(_OF_THE_RUN))
    return PredictedContours(
        found.cohort, table, found.failures[FAILURE_COLUMNS].reset_index(drop=True), model,
        found.variations,
    )  # fmt: skip


def segment_cohort(
    cohort: Cohort, settings: SegmentationSettings, run: RunFolder, report: CheckReport, *, jobs: int = 0
) -> PredictedContours:
    """Predict masks and write what a study keeps of them.

    Parameters
    ----------
    cohort, settings
        As in :func:`predict_contours`.
    run : RunFolder
        Gets ``masks``, ``tables/segmentation.csv``, ``failures.csv``, the flags in ``check.csv`` and
        ``check.html``, the model in ``run.json`` and, where masks of everybody were predicted,
        ``tables/segmentation_agreement.csv``.
    report : CheckReport
        Of the check.
    jobs : int
        Processes of the comparison with drawn masks; 0 takes all cores.

    Returns
    -------
    PredictedContours
    """
    found = predict_contours(cohort, settings, run.path)
    if found.table.empty:
        run.forget_contours()  # what an earlier run predicted
    CheckReport([*report.findings, *found.findings()]).write(run.path)
    write_table(run.tables / "segmentation.csv", found.to_frame())
    write_table(run.path / "failures.csv", found.failures)
    run.record(segmentation=found.model, comparison_failure=None)
    drawn = drawn_contours(cohort) if settings.when == "always" else None
    if drawn is None:
        run.forget_comparison()
    else:
        where = ["patient_id", "sequence"]
        # a tumor that was missed belongs to what a model can do
        empty = set(found.table.loc[found.table["volume_cm3"] == 0, where].itertuples(index=False, name=None))
        agreement = mask_agreement(found.cohort, drawn, empty=empty, jobs=jobs)
        edited = pd.MultiIndex.from_frame(found.table.loc[found.table["flags"] == "edited", where])
        by_model = ~pd.MultiIndex.from_frame(agreement[where]).isin(edited)
        write_table(run.tables / "segmentation_agreement.csv", agreement[by_model])
    return replace(found, drawn=drawn)


def say_other_contours(model: Any, contours: PredictedContours | None, run: RunFolder) -> None:
    """Put into the log that a prognostic model was made from contours of another source than a cohort's.

    Parameters
    ----------
    model : PrognosticModel or another fitted model
        Loaded; one without features is of no contours.
    contours : PredictedContours, optional
        Of the cohort that it is validated on; None where all are drawn.
    run : RunFolder
    """
    if not getattr(model, "feature_columns", []):
        return
    trained = (model.settings_.get("contours") or {}).get("sha256")
    now = None if contours is None or contours.table.empty else contours.model["sha256"]
    if trained != now:
        words = ("drawn" if key is None else f"predicted (SHA-256 {key[:12]})" for key in (trained, now))
        run.log("the contours of the model were {}, those of this cohort are {}".format(*words))


def _predict(cohort: Cohort, out: Path, settings: SegmentationSettings) -> Any:
    """The one place where torch comes in."""
    from radiomics_npc.segmentation.batch import predict_masks

    return predict_masks(cohort, out, settings=settings)


def _within(path: Path | None, folder: Path) -> str:
    if path is None:
        return ""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def merge_failures(
    segmentation: pd.DataFrame, extraction: pd.DataFrame, sequences: Sequence[str]
) -> pd.DataFrame:
    """Failures of both stages: a case without a predicted mask failed there, not in the extraction.

    Parameters
    ----------
    segmentation, extraction : DataFrame
        A row of the first without a sequence is of all sequences.
    sequences : sequence of str

    Returns
    -------
    DataFrame
        In the order of the extraction, then those that failed in the segmentation alone.

    Examples
    --------
    >>> first = pd.DataFrame([["1", "", "predict", "E", "too dark", ""]], columns=FAILURE_COLUMNS)
    >>> second = pd.DataFrame([["1", "t1", "read", "E", "no mask", ""]], columns=FAILURE_COLUMNS)
    >>> merge_failures(first, second, ["t1"])[["sequence", "stage", "message"]].values.tolist()
    [['t1', 'predict', 'too dark']]
    """
    earlier = {
        (row["patient_id"], sequence): row | {"sequence": sequence}
        for row in segmentation.to_dict("records")
        for sequence in ([row["sequence"]] if row["sequence"] else sequences)
    }
    later = [((row["patient_id"], row["sequence"]), row) for row in extraction.to_dict("records")]
    rows = [earlier.pop(case, row) for case, row in later]
    return pd.DataFrame([*rows, *earlier.values()], columns=FAILURE_COLUMNS)
