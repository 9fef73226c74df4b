"""The feature table: values, diagnostics, failures and the settings that made them."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.failures import FAILURE_COLUMNS
from radiomics_npc.cohort.regions import split_name
from radiomics_npc.storage import read_table, write_json, write_table

__all__ = ["FAILURE_COLUMNS", "FeatureTable"]

_LONG = ["sequence", "region", "image", "class", "feature"]


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
    absent : DataFrame
        One row a patient and optional region (``patient_id``, ``sequence``) that
        the patient does not have: its values are missing, and nothing failed.
    """

    values: pd.DataFrame
    diagnostics: pd.DataFrame
    failures: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)
    reused: int = 0
    absent: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["patient_id", "sequence"]))

    def to_frame(self) -> pd.DataFrame:
        """Return the values, indexed by patient_id."""
        return self.values

    def to_long(self) -> pd.DataFrame:
        """One row a value.

        Returns
        -------
        DataFrame
            ``patient_id``, ``sequence``, ``region`` (empty where the study has one), ``image``
            (``original``, ``wavelet-HLH``, ...; empty for morphology), ``class``, ``feature``,
            ``value``; patients in the order of the table, features in that of its columns.

        Examples
        --------
        >>> columns = ["t1-gtvp__original__glcm__Contrast", "t1-gtvp__morphology__volume_cm3"]
        >>> values = pd.DataFrame([[1.5, 8.0]], pd.Index(["007"], name="patient_id"), columns)
        >>> table = FeatureTable(values, pd.DataFrame(), pd.DataFrame()).to_long()
        >>> print(table.to_string(index=False))
        patient_id sequence region    image      class    feature  value
               007       t1   gtvp original       glcm   Contrast    1.5
               007       t1   gtvp          morphology volume_cm3    8.0
        """
        names = pd.DataFrame([_parts(str(column)) for column in self.values.columns], columns=_LONG)
        patients = len(self.values)
        table = names.loc[np.tile(names.index, patients)].reset_index(drop=True)
        who = self.values.index.to_numpy().repeat(len(names))
        table.insert(0, "patient_id", pd.Series(who, index=table.index, dtype=object))
        return table.assign(value=self.values.to_numpy(dtype=float).ravel())

    def write(self, folder: Path | str) -> None:
        """Write features (parquet and CSV, and one row a value), diagnostics, failures and settings.

        Files: ``features.parquet``, ``features.csv``, ``features_long.parquet``,
        ``diagnostics.csv``, ``failures.csv``, ``feature_settings.json``, and
        ``absent_regions.csv`` where patients lack an optional region. The same
        content always gives the same bytes.
        """
        folder = Path(folder)
        values = self.values.reset_index()
        write_table(folder / "features.parquet", values)
        write_table(folder / "features.csv", values)
        write_table(folder / "features_long.parquet", self.to_long())
        write_table(folder / "diagnostics.csv", self.diagnostics)
        write_table(folder / "failures.csv", self.failures)
        write_json(folder / "feature_settings.json", self.settings)
        if len(self.absent):
            write_table(folder / "absent_regions.csv", self.absent)
        else:
            (folder / "absent_regions.csv").unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path | str) -> FeatureTable:
        """Read what :meth:`write` wrote."""
        folder = Path(folder)
        absent = folder / "absent_regions.csv"
        found = cls(
            read_table(folder / "features.parquet").set_index("patient_id"),
            read_table(folder / "diagnostics.csv"),
            read_table(folder / "failures.csv"),
            json.loads((folder / "feature_settings.json").read_text(encoding="utf-8")),
        )
        return replace(found, absent=read_table(absent)) if absent.exists() else found

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


def _parts(column: str) -> tuple[str, str, str, str, str]:
    """Sequence, region, image, class and feature that a column's name tells."""
    first, *rest = column.split("__")
    if len(rest) == 2:  # morphology is measured on the mask alone
        rest = ["", *rest]
    image, kind, feature = rest
    return (*split_name(first), image, kind, feature)
