"""The feature table: values, diagnostics, failures and the settings that made them."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from radiomics_npc.cohort.failures import FAILURE_COLUMNS
from radiomics_npc.storage import read_table, write_json, write_table

__all__ = ["FAILURE_COLUMNS", "FeatureTable"]


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features of a cohort.

    Parameters
    ----------
    values : DataFrame
        One row a patient (index ``patient_id``) with at least one finished
        sequence; columns ``{sequence}__{image}__{class}__{Feature}`` and
        ``{sequence}__morphology__{name}``. NaN where a sequence failed or
        PyRadiomics has no value.
    diagnostics : DataFrame
        One row a finished case: ``patient_id``, ``sequence``, sizes,
        spacings, counts, intensities, gray levels, notes.
    failures : DataFrame
        One row a failed case: ``patient_id``, ``sequence``, ``stage``,
        ``error``, ``message``, ``remedy``.
    settings : dict
        What a value depends on besides the images.
    reused : int
        Cases taken from the store instead of being computed.
    """

    values: pd.DataFrame
    diagnostics: pd.DataFrame
    failures: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)
    reused: int = 0

    def to_frame(self) -> pd.DataFrame:
        """Return the values, indexed by patient_id."""
        return self.values

    def write(self, folder: Path | str) -> None:
        """Write features (parquet and CSV), diagnostics, failures and settings.

        Files: ``features.parquet``, ``features.csv``, ``diagnostics.csv``,
        ``failures.csv``, ``feature_settings.json``. The same content always
        gives the same bytes.
        """
        folder = Path(folder)
        values = self.values.reset_index()
        write_table(folder / "features.parquet", values)
        write_table(folder / "features.csv", values)
        write_table(folder / "diagnostics.csv", self.diagnostics)
        write_table(folder / "failures.csv", self.failures)
        write_json(folder / "feature_settings.json", self.settings)

    @classmethod
    def read(cls, folder: Path | str) -> FeatureTable:
        """Read what :meth:`write` wrote."""
        folder = Path(folder)
        return cls(
            read_table(folder / "features.parquet").set_index("patient_id"),
            read_table(folder / "diagnostics.csv"),
            read_table(folder / "failures.csv"),
            json.loads((folder / "feature_settings.json").read_text(encoding="utf-8")),
        )

    def _repr_html_(self) -> str:
        failed = "".join(
            f"<li>{html.escape(f'{row.patient_id} {row.sequence}: {row.message}. {row.remedy}')}</li>"
            for row in self.failures.itertuples(index=False)
        )
        return f"<p>{html.escape(self._summary())}</p>" + (f"<ul>{failed}</ul>" if failed else "")

    def __repr__(self) -> str:
        return f"<FeatureTable: {self._summary()}>"

    def _summary(self) -> str:
        patients, features = self.values.shape
        cases = len(self.diagnostics)
        return f"{features} features of {patients} patients, {cases} cases done, {len(self.failures)} failed"
