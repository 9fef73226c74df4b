"""Stage groups of nasopharyngeal carcinoma from T, N and M, by edition.

Sources: UICC/AJCC 7th and 8th edition; version 9 after Pan et al., JAMA Oncol
2024;10:1627.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

__all__ = ["EDITIONS", "group_v7", "group_v8", "group_v9", "stage_groups", "stage_table"]

#: More metastatic lesions than these are M1b of version 9.
MOST_M1A = 3


def category_number(category: object) -> int | None:
    """Digit of a category such as T3; None where it is missing.

    Examples
    --------
    >>> category_number("T3"), category_number(None)
    (3, None)
    """
    text = category if isinstance(category, str) else ""
    return int(text[1]) if len(text) == 2 and text[1].isdigit() else None


def group_v8(t: object, n: object, m: object) -> str | None:
    """Stage group of the 8th edition.

    None where it is not defined (T0 N0 M0), or where a missing category could change it: M1, and T4 or N3 of
    M0, settle it alone.

    Examples
    --------
    >>> group_v8("T3", "N1", "M0"), group_v8("T1", "N3", "M0"), group_v8("T1", "N0", "M1")
    ('III', 'IVA', 'IVB')
    >>> group_v8(None, "N3", "M0"), group_v8(None, "N1", "M0")
    ('IVA', None)
    """
    t_, n_, m_ = map(category_number, (t, n, m))
    if m_ is None:
        return None
    if m_ == 1:
        return "IVB"
    if n_ == 3 or t_ == 4:
        return "IVA"
    if t_ is None or n_ is None:
        return None
    if t_ == 3 or n_ == 2:
        return "III"
    if n_ == 1 or t_ == 2:
        return "II"
    return "I" if t_ == 1 else None


def group_v7(t: object, n: object, m: object) -> str | None:
    """Stage group of the 7th edition: as the 8th, but any N3 is IVB and M1 is IVC.

    Examples
    --------
    >>> group_v7("T4", "N2", "M0"), group_v7("T4", "N3", "M0"), group_v7("T1", "N0", "M1")
    ('IVA', 'IVB', 'IVC')
    """
    group = group_v8(t, n, m)
    if group == "IVB":
        return "IVC"
    if group != "IVA":
        return group
    return {None: None, 3: "IVB"}.get(category_number(n), "IVA")


def group_v9(
    t: object, n: object, m: object, *, m1: object = None, lesions: float | None = None,
    advanced_ene: object = None,
) -> str | None:  # fmt: skip
    """Stage group of version 9.

    Parameters
    ----------
    t, n, m : str
        Categories; N as in either edition.
    m1 : str, optional
        M1a or M1b, where recorded.
    lesions : float, optional
        Number of metastatic lesions: up to three are M1a. Without it and ``m1``, M1 gives ``"IV"``.
    advanced_ene : {"no", "yes"}, optional
        Advanced radiological extranodal extension, which makes an N1 or N2 of the 8th edition an N3.

    Returns
    -------
    str or None
        T0 without N3 or M1 has no group.

    Examples
    --------
    >>> group_v9("T2", "N0", "M0"), group_v9("T1", "N1", "M0"), group_v9("T4", "N0", "M0")
    ('IA', 'IB', 'III')
    >>> group_v9("T1", "N0", "M1"), group_v9("T1", "N0", "M1", lesions=3)
    ('IV', 'IVA')
    >>> group_v9("T1", "N1", "M0", advanced_ene="yes")
    'III'
    """
    t_, n_, m_ = map(category_number, (t, n, m))
    if m_ is None:
        return None
    if m_ == 1:
        if m1 in ("M1a", "M1b"):
            return "IVA" if m1 == "M1a" else "IVB"
        if lesions is None or not lesions >= 1:
            return "IV"
        return "IVA" if lesions <= MOST_M1A else "IVB"
    if t_ == 4 or n_ == 3 or (advanced_ene == "yes" and n_ != 0):
        return "III"
    if not t_ or n_ is None:
        return None
    if t_ == 3 or n_ == 2:
        return "II"
    return "IB" if n_ == 1 else "IA"


EDITIONS: dict[str, Callable[..., str | None]] = {
    "8th edition": group_v8,
    "7th edition": group_v7,
    "version 9": group_v9,
}
_FURTHER = {"m1": "M1", "lesions": "metastatic_lesions", "advanced_ene": "advanced_ene"}


def stage_groups(table: pd.DataFrame) -> pd.DataFrame:
    """Stage group of every patient by each edition.

    Parameters
    ----------
    table : DataFrame
        Columns T, N and M, indexed by patient_id; for version 9 also M1, metastatic_lesions and
        advanced_ene, where they are known.

    Returns
    -------
    DataFrame
        One column an edition; missing where it cannot be derived, see :func:`stage_table`.

    Examples
    --------
    >>> stage_groups(pd.DataFrame({"T": ["T1"], "N": ["N3"], "M": ["M0"]}, index=["001"]))
        8th edition 7th edition version 9
    001         IVA         IVB       III
    """
    rows = _rows(table)
    found = {name: [group(row["T"], row["N"], row["M"]) for row in rows] for name, group in EDITIONS.items()}
    found["version 9"] = [
        group_v9(row["T"], row["N"], row["M"], **{key: row[name] for key, name in _FURTHER.items()})
        for row in rows
    ]
    return pd.DataFrame(found, index=table.index)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """What staging needs of each patient, None where it is not known."""
    names = ["T", "N", "M", *_FURTHER.values()]
    known = table.reindex(columns=names).astype(object)
    return [
        {str(k): v for k, v in row.items()} for row in known.where(known.notna(), None).to_dict("records")
    ]


def stage_table(table: pd.DataFrame) -> pd.DataFrame:
    """Stage groups of every patient beside what they were derived from, and why one could not be.

    Parameters
    ----------
    table : DataFrame
        As :func:`stage_groups` takes it; also the recorded ``stage``, if there is one.

    Returns
    -------
    DataFrame
        T, N, M and what else was used, ``recorded``, a column an edition, ``not_derived``: reasons, empty
        where nothing is missing.

    Examples
    --------
    >>> one = pd.DataFrame({"T": ["T1"], "N": ["N0"], "M": ["M1"]}, index=["001"])
    >>> stage_table(one)[["version 9", "not_derived"]].iloc[0].tolist()
    ['IV', 'version 9: IVA or IVB (number of metastatic lesions not known)']
    """
    used = [name for name in ("T", "N", "M", *_FURTHER.values()) if name in table.columns]
    found = table[used].copy()
    if "stage" in table.columns:
        found["recorded"] = table["stage"]
    reasons = ["; ".join(_reasons(row)) for row in _rows(table)]
    return found.join(stage_groups(table)).assign(not_derived=reasons)


def _reasons(row: dict[str, Any]) -> list[str]:
    """Why a group, or part of one, cannot be derived."""
    t, n, m = (category_number(row[name]) for name in ("T", "N", "M"))
    absent = [name for name, number in (("T", t), ("N", n), ("M", m)) if number is None]
    if absent:
        unsettled = [name for name, group in EDITIONS.items() if group(row["T"], row["N"], row["M"]) is None]
        return [f"{', '.join(unsettled)}: {' and '.join(absent)} not known"] if unsettled else []
    if m == 1:
        version9 = group_v9(row["T"], row["N"], row["M"], m1=row["M1"], lesions=row["metastatic_lesions"])
        return ["version 9: IVA or IVB (number of metastatic lesions not known)"] if version9 == "IV" else []
    if t == n == 0:
        return ["no group is defined for T0 N0 M0"]
    found = []
    decided = t == 4 or n == 3 or row["advanced_ene"] == "yes"
    if t == 0 and not decided:
        found.append("version 9 has no group for T0 without N3")
    if n in (1, 2) and not decided and row["advanced_ene"] is None:
        found.append("version 9: III if a node extends beyond its capsule in an advanced way (not known)")
    return found
