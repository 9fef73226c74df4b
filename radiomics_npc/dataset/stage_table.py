"""Table 4: who the patients are, by stage group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.staging import group_v8, stage_groups
from radiomics_npc.cohort.tables import plain
from radiomics_npc.cohort.vocabulary import LEVELS
from radiomics_npc.dataset.image_tables import count_outside
from radiomics_npc.dataset.published import Count, Numbers, PublishedStage, published_stages
from radiomics_npc.dataset.side_by_side import ALL, UNKNOWN, Cell
from radiomics_npc.nomogram.labels import column_label

__all__ = ["stage_cells"]

_FACTORS: Final = ("sex", "pathology", "T", "N", "M", "ebv_dna", "vca_iga")
_ORDER: Final = ("sex", "age", "pathology", "T", "N", "M", "ebv_dna", "vca_iga", "follow_up_months")
_DIGITS: Final = {"age": 0, "follow_up_months": 1}  # to which the published limits are rounded
_NO_STAGE: Final = "not known"


def stage_cells(cohort: Cohort) -> tuple[list[Cell], list[str]]:
    """Table 4.

    Parameters
    ----------
    cohort : Cohort
        Its clinical columns and its outcome, as far as there are any.

    Returns
    -------
    list of Cell
        Groups are the published ones, further ones of this cohort, those without, and all.
    list of str
        What the cohort does not have, and what was taken for it.

    Examples
    --------
    >>> cells, notes = stage_cells(Cohort(cases=()))
    >>> [c.published for c in cells if c.level == "N1"]
    ['1 (20.0%)', '20 (76.9%)', '31 (22.1%)', '31 (31.9%)', '1 (7.7%)', '84 (30.2%)']
    """
    table = _patients(cohort)
    stage, notes = _stage(table)
    published = published_stages()
    others = sorted(set(stage.dropna()) - set(published))
    groups = {name: table[stage == name] for name in [*published, *others]}
    if stage.isna().any() and stage.notna().any():
        groups[_NO_STAGE] = table[stage.isna()]
    groups[ALL] = table
    printed = {**published, ALL: _sum(published)}
    cells = [
        Cell(4, "Patients", "", g, str(len(rows)), _patients_of(printed, g)) for g, rows in groups.items()
    ]
    for variable in _ORDER:
        if variable in _FACTORS:
            cells += _factor(variable, groups, printed)
        else:
            cells += _number(variable, groups, printed)
    return cells, notes + _absent(table)


def _patients(cohort: Cohort) -> pd.DataFrame:
    table = pd.DataFrame(index=pd.Index(cohort.patient_ids, name="patient_id"))
    if cohort.clinical is not None:
        table = cohort.clinical.reindex(table.index)
    if cohort.outcome is not None:
        followed = cohort.outcome.to_frame()["time_months"].reindex(table.index)
        table = table.assign(follow_up_months=followed)
    return table


def _stage(table: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Recorded stage group, or that of the 8th edition from T, N and M, and what is to be said of it."""
    if "stage" in table:
        return table["stage"].astype(object), _other_edition(table)
    if {"T", "N", "M"} <= set(table):
        derived = [group_v8(*row) for row in table[["T", "N", "M"]].itertuples(index=False)]
        note = "This cohort: stage groups are derived from T, N and M (UICC/AJCC, 8th edition)."
        return pd.Series(derived, index=table.index, dtype=object), [note]
    nothing = pd.Series(None, index=table.index, dtype=object)
    return nothing, ["This cohort: no stage group is recorded, nor T, N and M: all patients are one group."]


def _other_edition(table: pd.DataFrame) -> list[str]:
    """Say how many recorded groups are not those of the 8th edition, which the published table has."""
    if not {"T", "N", "M"} <= set(table):
        return []
    groups = stage_groups(table)[["8th edition", "7th edition"]]
    known = groups.notna().all(axis=1) & table["stage"].notna()
    eighth, seventh = (groups[known].ne(table.loc[known, "stage"], axis=0)).sum()
    if not eighth:
        return []
    return [
        f"This cohort: in {eighth} of {known.sum()} patients the recorded stage group is not what the 8th"
        f" edition makes of T, N and M (by the 7th edition in {seventh}); columns are as recorded."
    ]


def _absent(table: pd.DataFrame) -> list[str]:
    absent = [column_label(name) for name in _ORDER if name not in table]
    notes = [f"This cohort: nothing is known of {', '.join(absent)} (a dash)."] if absent else []
    amounts = [
        column_label(name)
        for name in _FACTORS
        if name in table and pd.api.types.is_numeric_dtype(table[name])
    ]
    if amounts:
        notes.append(
            f"This cohort has {' and '.join(amounts)} as amounts: median (minimum to maximum), not to be"
            " compared with negative and positive."
        )
    return notes


def _sum(published: Mapping[str, PublishedStage]) -> PublishedStage:
    """Counts of all printed groups; means and medians of all are not printed."""
    total = sum(group.patients for group in published.values())
    factors = {}
    for variable in _FACTORS:
        counts: dict[str, int] = {}
        for group in published.values():
            for level, count in group.factors[variable].items():
                counts[level] = counts.get(level, 0) + count.patients
        factors[variable] = {level: Count(n, 100 * n / total) for level, n in counts.items()}
    return PublishedStage(total, factors, {})


def _patients_of(printed: Mapping[str, PublishedStage], group: str) -> str:
    return str(printed[group].patients) if group in printed else UNKNOWN


def _factor(
    variable: str, groups: Mapping[str, pd.DataFrame], printed: Mapping[str, PublishedStage]
) -> list[Cell]:
    whole = groups[ALL]
    if variable in whole and pd.api.types.is_numeric_dtype(whole[variable]):
        return [_amount(variable, g, rows[variable]) for g, rows in groups.items()]
    standard = LEVELS.get(variable) or tuple(printed[ALL].factors[variable])
    spelled = {plain(level): level for level in standard}
    found = {g: _spelled(rows, variable, spelled) for g, rows in groups.items()}
    own = sorted(set(found[ALL].dropna()) - set(standard))
    cells = []
    for place, level in enumerate([*standard, *own]):
        for group, values in found.items():
            theirs = printed[group].factors[variable].get(level) if group in printed else None
            cells.append(_share(variable, level, group, values, variable in whole, theirs, place == 0))
    return cells


def _spelled(rows: pd.DataFrame, variable: str, spelled: Mapping[str, str]) -> pd.Series:
    """Levels in the spelling of the published table."""
    if variable not in rows:
        return pd.Series(dtype=object)
    return rows[variable].astype(object).map(lambda v: spelled.get(plain(str(v)), v), na_action="ignore")


def _share(
    variable: str, level: str, group: str, values: pd.Series, recorded: bool, theirs: object, first: bool
) -> Cell:
    known, mine = int(values.notna().sum()), int((values == level).sum())
    # nobody of nobody is 0, nobody of patients of whom nothing is known is not known
    counted = known or (recorded and values.empty)
    text = f"{mine} ({100 * mine / known:.1f}%)" if mine else "0" if counted else UNKNOWN
    published, printed = UNKNOWN, 0
    if isinstance(theirs, tuple):
        printed, percent = theirs
        published = f"{printed} ({percent:.1f}%)" if printed else "0"
    elif group in (*published_stages(), ALL):
        published = "0"
    missing = len(values) - known if first and group == ALL else 0
    outside = mine if published != UNKNOWN and not printed else 0
    return Cell(4, column_label(variable), level, group, text, published, known, missing, outside)


def _amount(variable: str, group: str, values: pd.Series) -> Cell:
    known = values.dropna()
    text = f"{known.median():.4g} ({known.min():.4g} to {known.max():.4g})" if len(known) else UNKNOWN
    missing = len(values) - len(known) if group == ALL else 0
    return Cell(4, column_label(variable), "amount", group, text, UNKNOWN, len(known), missing)


def _number(
    variable: str, groups: Mapping[str, pd.DataFrame], printed: Mapping[str, PublishedStage]
) -> list[Cell]:
    cells = []
    for row in ("mean (SD)", "median", "minimum to maximum"):
        for group, rows in groups.items():
            values = rows[variable].dropna() if variable in rows else pd.Series(dtype=float)
            theirs = printed[group].numbers.get(variable) if group in printed else None
            first = row == "mean (SD)" and group == ALL and variable in rows
            outside = 0
            if theirs is not None and row == "minimum to maximum":
                outside = count_outside(values, theirs, _DIGITS[variable])
            cells.append(
                Cell(
                    4,
                    column_label(variable),
                    row,
                    group,
                    _statistic(row, _numbers(values)),
                    _statistic(row, theirs),
                    len(values),
                    len(rows) - len(values) if first else 0,
                    outside,
                )
            )
    return cells


def _numbers(values: pd.Series) -> Numbers | None:
    if not len(values):
        return None
    return Numbers(
        float(values.mean()), round(float(values.std()), 1), float(values.median()), float(values.min()),
        float(values.max()),
    )  # fmt: skip


def _statistic(row: str, numbers: Numbers | None) -> str:
    if numbers is None:
        return UNKNOWN
    if row == "median":
        return f"{numbers.median:.1f}"
    if row == "mean (SD)":
        spread = (
            UNKNOWN if pd.isna(numbers.sd) else str(round(numbers.sd, 2))
        )  # one is printed with two digits
        return f"{numbers.mean:.1f} ({spread})"
    return f"{round(numbers.low, 1):g} to {round(numbers.high, 1):g}"
