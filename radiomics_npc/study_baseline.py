"""Who is in a study, as tables: Table 1 by event and by center, stage groups, and what makes subgroups."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from radiomics_npc.cohort.baseline import table_one
from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.staging import stage_table
from radiomics_npc.storage import write_table

__all__ = ["write_baseline"]


def write_baseline(cohort: Cohort, tables: Path) -> None:
    """Write table_one.csv, table_one_center.csv (of several centers), stage_groups.csv, clinical.parquet.

    Parameters
    ----------
    cohort : Cohort
        Without a clinical table nothing is written, and what an earlier run wrote is removed.
    tables : Path
        Folder.
    """
    found: dict[str, pd.DataFrame | None] = dict.fromkeys(
        ("table_one.csv", "table_one_center.csv", "stage_groups.csv", "clinical.parquet")
    )
    if (clinical := cohort.clinical) is not None:
        known = clinical.reindex(cohort.patient_ids)
        found["table_one.csv"] = table_one(cohort, by=None if cohort.outcome is None else "event")
        if "center" in clinical and len(clinical["center"].dropna().unique()) > 1:
            found["table_one_center.csv"] = table_one(cohort, by="center")
        if {"T", "N", "M"} <= set(known.columns):
            stages = stage_table(known).rename_axis("patient_id").reset_index()
            found["stage_groups.csv"] = stages.assign(simulated=True) if cohort.simulated else stages
        # parquet: factors whose levels are numbers stay factors
        found["clinical.parquet"] = known.rename_axis("patient_id").reset_index()
    for name, table in found.items():
        if table is None:
            (tables / name).unlink(missing_ok=True)
        else:
            write_table(tables / name, table)
