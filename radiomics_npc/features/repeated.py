"""Features of the same patients measured several times."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas as pd

from radiomics_npc.features.stability import stability_table

__all__ = ["REPEAT_FAILURE_COLUMNS", "REPEAT_INDEX", "RepeatedFeatures"]

REPEAT_INDEX = ["patient_id", "perturbation"]
REPEAT_FAILURE_COLUMNS = [*REPEAT_INDEX, "sequence", "stage", "error", "message", "remedy"]


@dataclass(frozen=True, eq=False)
class RepeatedFeatures:
    """Features of the same patients measured several times.

    Parameters
    ----------
    values : DataFrame
        Indexed by (patient_id, perturbation), one column a feature; no row
        where all sequences failed.
    failures : DataFrame
        One row a case that failed: ``patient_id``, ``perturbation``,
        ``sequence``, ``stage``, ``error``, ``message``, ``remedy``.
    reused : int
        Cases taken from the store instead of being computed.
    simulated : bool
        Patients that never lived.

    Examples
    --------
    >>> index = pd.MultiIndex.from_product([["1", "2", "3"], ["rater_1", "rater_2"]], names=REPEAT_INDEX)
    >>> values = pd.DataFrame({"volume": [1.0, 1.1, 2.0, 1.9, 4.0, 4.2]}, index=index)
    >>> repeats = RepeatedFeatures(values, pd.DataFrame(columns=REPEAT_FAILURE_COLUMNS))
    >>> repeats
    <RepeatedFeatures: 1 features of 3 patients, measured 2 times, 0 cases failed>
    >>> repeats.stability("2,1").loc[0, "category"]
    'excellent'
    """

    values: pd.DataFrame
    failures: pd.DataFrame
    reused: int = 0
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """Return the values, indexed by (patient_id, perturbation)."""
        return self.values

    def finished(self, reference: str) -> pd.DataFrame:
        """Values of the measurements in which no sequence failed, of patients whose reference is among them.

        Parameters
        ----------
        reference : str
            A perturbation, such as ``original``.

        Returns
        -------
        DataFrame
            By (patient_id, perturbation).
        """
        failed = pd.MultiIndex.from_frame(self.failures[REPEAT_INDEX].astype(str))
        values = self.values[~self.values.index.isin(failed)]
        who, name = (values.index.get_level_values(level) for level in (0, 1))
        return values[who.isin(who[name == reference])]

    def stability(self, form: str = "1,1", *, confidence: float = 0.95) -> pd.DataFrame:
        """ICC of every feature; simulated patients are marked as such.

        See :func:`radiomics_npc.features.stability.stability_table`.
        """
        table = stability_table(self.values, form, confidence=confidence)
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        failed = "".join(
            f"<li>{html.escape(f'{row.patient_id} {row.perturbation} {row.sequence}: {row.message}')}</li>"
            for row in self.failures.itertuples(index=False)
        )
        return f"<p>{html.escape(self._summary())}</p>" + (f"<ul>{failed}</ul>" if failed else "")

    def __repr__(self) -> str:
        return f"<RepeatedFeatures: {self._summary()}>"

    def _summary(self) -> str:
        patients, names = (self.values.index.unique(level) for level in (0, 1))
        who = f"{len(patients)}{' simulated' if self.simulated else ''} patients"
        features = f"{self.values.shape[1]} features of {who}, measured {len(names)} times"
        return f"{features}, {len(self.failures)} cases failed"
