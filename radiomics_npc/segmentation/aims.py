"""What was wanted of the segmenter before training began, and whether it was reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from radiomics_npc.errors import ConfigError

__all__ = ["AIMS", "Aim", "compare_aims"]

_COLUMNS: Final = ("set", "by", "group", "measure", "n", "mean", "lower", "upper", "median", "infinite")


@dataclass(frozen=True)
class Aim:
    """A number that was wanted before training began.

    Parameters
    ----------
    what : str
        In words.
    set, by, group, measure : str
        The row of the summary it is compared with.
    limit : float
        The mean must reach it, or stay below it if ``below``.
    below : bool
    """

    what: str
    set: str
    by: str
    group: str
    measure: str
    limit: float
    below: bool = False

    def reached(self, mean: float) -> bool:
        """Whether a mean is good enough; one that is not known is not."""
        return mean < self.limit if self.below else mean >= self.limit


_FREE: Final = "every tissue a signal by chance"
AIMS: Final = (
    Aim("Dice, simulated patients, all sequences", "patients", "all", "all", "dice", 0.88),
    Aim("Dice, contrasts drawn at random", "contrasts", "regime", _FREE, "dice", 0.80),
    Aim("Dice, T2 alone", "subsets", "sequences", "t2", "dice", 0.75),
    Aim("Dice, CE-T1 alone", "subsets", "sequences", "ce_t1", "dice", 0.75),
    Aim("Dice, T1 alone", "subsets", "sequences", "t1", "dice", 0.60),
    Aim("False volume (cm3) without a tumor", "tumor_free", "all", "all", "predicted_cm3", 0.5, True),
)  # fmt: skip


def compare_aims(summary: pd.DataFrame, aims: Sequence[Aim] = AIMS) -> pd.DataFrame:
    """Each aim beside what was reached.

    Parameters
    ----------
    summary : DataFrame
        From :func:`radiomics_npc.segmentation.evaluation.summarize`, with a column ``set``.
    aims : sequence of Aim

    Returns
    -------
    DataFrame
        ``aim``, ``wanted``, ``n``, ``mean``, ``lower``, ``upper``, ``reached`` (yes, no, not measured).

    Raises
    ------
    ConfigError
        The summary lacks a column.

    Examples
    --------
    >>> summary = pd.DataFrame([dict(set="patients", by="all", group="all", measure="dice", n=60, mean=0.85,
    ...                              lower=0.83, upper=0.87, median=0.87, infinite=0)])
    >>> compare_aims(summary, AIMS[:1])[["wanted", "mean", "reached"]].to_numpy().tolist()
    [['>= 0.88', 0.85, 'no']]
    """
    absent = [c for c in _COLUMNS if c not in summary.columns]
    if absent:
        raise ConfigError(
            f"the summary has no column {absent[0]!r}",
            "Give what summarize returned, with the name of the set.",
        )
    keyed = summary.set_index(["set", "by", "group", "measure"])[["n", "mean", "lower", "upper"]].T.to_dict()
    rows = []
    for aim in aims:
        wanted = f"{'<' if aim.below else '>='} {aim.limit:g}"
        key = (aim.set, aim.by, aim.group, aim.measure)
        if key not in keyed:
            rows.append({"aim": aim.what, "wanted": wanted, "reached": "not measured"})
            continue
        reached = "yes" if aim.reached(float(keyed[key]["mean"])) else "no"
        rows.append({"aim": aim.what, "wanted": wanted, **keyed[key], "reached": reached})
    return pd.DataFrame(rows, columns=["aim", "wanted", "n", "mean", "lower", "upper", "reached"])
