"""Predicted masks of many patients against their references: a row a case, then groups with intervals.

The rule of the SegRap challenge holds (Luo X, Fu J et al. SegRap2023, arXiv, December 2023): a prediction
that is missing is not left out of the mean. It scores 0 in every overlap and surface score, also where there
was nothing to find, and its distances are infinite. Its volume is not known: an examination that was refused
is no proof that nothing false would have been found. Distances that are infinite enter medians as they are; a
mean leaves them out and the table counts how many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import ConfigError, MaskError
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.segmentation.metrics import segmentation_metrics
from radiomics_npc.segmentation.surface import SurfaceMode

__all__ = ["MEASURES", "evaluate", "summarize", "volume_thirds"]

#: What :func:`summarize` reports unless told otherwise.
MEASURES: Final = (
    "dice", "nsd_1mm", "nsd_2mm", "hd95_mm", "mean_surface_distance_mm", "sensitivity", "precision",
    "volume_error_percent",
)  # fmt: skip
_OVERLAPS: Final = ("dice", "jaccard", "sensitivity", "precision")
_DISTANCES: Final = ("hd_mm", "hd95_mm", "mean_surface_distance_mm")
_STATISTICS: Final = ("mean", "lower", "upper", "median", "lowest", "highest")
_THIRDS: Final = ("smallest third", "middle third", "largest third")

Spacing = tuple[float, float, float]
AnyMask = Mask | NDArray[Any]


def evaluate(
    predicted: Mapping[str, AnyMask | None],
    reference: Mapping[str, AnyMask],
    spacing_mm: Spacing | None = None,
    *,
    tolerances_mm: Sequence[float] = (1.0, 2.0),
    mode: SurfaceMode = "faces",
    simulated: bool = False,
    name: str = "case",
) -> pd.DataFrame:
    """Compare every reference with what was predicted for it.

    Parameters
    ----------
    predicted : mapping of str to Mask, array or None
        By case; None, or no entry, where there is no prediction.
    reference : mapping of str to Mask or array
        By case, shape (slices, rows, columns).
    spacing_mm : tuple of 3 floats, optional
        Voxel size of bare arrays in the order x, y, z.
    tolerances_mm : sequence of float
        Of the normalized surface distance.
    mode : {"faces", "surfel"}
        See :func:`radiomics_npc.segmentation.metrics.segmentation_metrics`.
    simulated : bool
        Of patients that never lived.
    name : str
        Of the column that holds the keys.

    Returns
    -------
    DataFrame
        One row a reference, in its order: the key, ``missing`` (there was no prediction), and the columns
        of :meth:`radiomics_npc.segmentation.metrics.SegmentationMetrics.to_frame`.

    Raises
    ------
    MaskError
        A prediction has no reference, or a pair does not fit together.

    Notes
    -----
    Without a tumor in the reference, ``predicted_cm3`` is the false volume.

    Examples
    --------
    >>> drawn = np.zeros((4, 40, 40), dtype=bool)
    >>> drawn[1:3, 10:30, 10:30] = True
    >>> found = evaluate({"a": np.roll(drawn, 2, axis=2)}, {"a": drawn, "b": drawn}, (0.5, 0.5, 5.0))
    >>> found[["case", "missing", "dice", "nsd_1mm", "hd95_mm"]].to_numpy().tolist()
    [['a', False, 0.9, 1.0, 1.0], ['b', True, 0.0, 0.0, inf]]
    """
    spare = len(set(predicted) - set(reference))
    if spare or not reference:
        what = f"{spare} of the predicted masks have no reference" if spare else "there is no reference"
        raise MaskError(what, "Give each prediction under the name of its reference.")
    rows = []
    for key, drawn in reference.items():
        found = predicted.get(key)
        row = segmentation_metrics(
            _nothing(drawn) if found is None else found, drawn, spacing_mm,
            tolerances_mm=tolerances_mm, mode=mode, simulated=simulated,
        ).to_frame()  # fmt: skip
        if found is None:
            row = _scored_as_missing(row)
        row.insert(0, name, key)
        row.insert(1, "missing", found is None)
        rows.append(row)
    return pd.concat(rows, ignore_index=True)


def _nothing(drawn: AnyMask) -> AnyMask:
    if isinstance(drawn, Mask):
        return Mask(
            np.zeros(drawn.array.shape, dtype=bool), drawn.spacing_mm, drawn.origin_mm, drawn.direction
        )
    return np.zeros(np.shape(drawn), dtype=bool)


def _scored_as_missing(row: pd.DataFrame) -> pd.DataFrame:
    """An empty mask may be right; no mask never is."""
    scores = [c for c in row.columns if c in _OVERLAPS or c.startswith("nsd_")]
    return row.assign(
        **dict.fromkeys(scores, 0.0), **dict.fromkeys(_DISTANCES, float("inf")), predicted_cm3=float("nan")
    )


def volume_thirds(volume_cm3: pd.Series) -> pd.Series:
    """The third of the patients that each belongs to by volume.

    Parameters
    ----------
    volume_cm3 : Series
        One value a patient; ties are cut in the order given.

    Returns
    -------
    Series
        Ordered categories with their limits, same index.

    Raises
    ------
    ConfigError
        Fewer than three patients, or a volume that is not known.

    Examples
    --------
    >>> list(volume_thirds(pd.Series([9.0, 1.0, 30.0])))  # doctest: +NORMALIZE_WHITESPACE
    ['middle third (9.0 to 9.0 cm3)', 'smallest third (1.0 to 1.0 cm3)',
     'largest third (30.0 to 30.0 cm3)']
    """
    if len(volume_cm3) < len(_THIRDS) or volume_cm3.isna().any():
        raise ConfigError(
            "thirds need the volumes of at least three patients", "Give more patients, or no thirds."
        )
    third = (volume_cm3.rank(method="first") - 1) * len(_THIRDS) // len(volume_cm3)
    limits = volume_cm3.groupby(third).agg(["min", "max"])
    labels = [f"{t} ({a:.1f} to {b:.1f} cm3)" for t, (a, b) in zip(_THIRDS, limits.to_numpy(), strict=True)]
    return pd.Series(
        pd.Categorical.from_codes(third.astype(int), pd.Index(labels), ordered=True), volume_cm3.index
    )


def summarize(
    table: pd.DataFrame,
    by: Sequence[str] = (),
    *,
    measures: Sequence[str] = MEASURES,
    unit: str = "case",
    resamples: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Means with intervals, of all cases and of each group.

    Parameters
    ----------
    table : DataFrame
        From :func:`evaluate`, with the columns of ``by`` and ``unit`` added where need be.
    by : sequence of str
        Columns to group by, each on its own.
    measures : sequence of str
        Columns to summarize.
    unit : str
        Column that says what was drawn at random: rows of one unit (the sequences of a patient) are averaged
        first, and units are what the bootstrap draws.
    resamples : int
        Bootstrap samples.
    random_state : int
        Seed; every group starts from it, so that none depends on the others.

    Returns
    -------
    DataFrame
        One row for each group and measure: ``by``, ``group``, ``measure``, ``n`` (units whose value is
        known), ``mean``, ``lower``
        and ``upper`` (95% bootstrap percentile interval of the mean; NaN below two units), ``median``,
        ``lowest``, ``highest``, ``infinite`` (units whose distance is infinite, left out of the mean and its
        interval, kept in the others). The first group is ``all``.

    Raises
    ------
    ConfigError
        The table is empty or lacks a column.

    References
    ----------
    Efron B, Tibshirani RJ. An Introduction to the Bootstrap. Chapman & Hall, 1993, chapter 13.

    Examples
    --------
    >>> table = pd.DataFrame({"case": list("abcd"), "dice": [0.9, 0.8, 0.7, 0.6], "t": [1, 1, 2, 2]})
    >>> found = summarize(table, ["t"], measures=["dice"])
    >>> found[["by", "group", "n", "mean", "median"]].round(2).to_numpy().tolist()
    [['all', 'all', 4, 0.75, 0.75], ['t', '1', 2, 0.85, 0.85], ['t', '2', 2, 0.65, 0.65]]
    """
    absent = [c for c in (unit, *by, *measures) if c not in table.columns]
    if absent or table.empty:
        what = f"the table has no column {absent[0]!r}" if absent else "the table has no rows"
        raise ConfigError(what, "Summarize what evaluate returned, with the groups joined to it.")
    wanted = list(measures)
    parts = [_summary(table, wanted, unit, resamples, random_state).assign(by="all", group="all")]
    for column in by:
        for group, rows in table.groupby(table[column], observed=True, sort=True):
            part = _summary(rows, wanted, unit, resamples, random_state)
            parts.append(part.assign(by=column, group=str(group)))
    found = pd.concat(parts, ignore_index=True)
    names = ["by", "group", *(c for c in found.columns if c not in ("by", "group"))]
    simulated = {"simulated": True} if "simulated" in table.columns and table["simulated"].any() else {}
    return found[names].assign(**simulated)


def _summary(
    rows: pd.DataFrame, measures: list[str], unit: str, resamples: int, random_state: int
) -> pd.DataFrame:
    units = rows.groupby(unit, observed=True)[measures].mean()
    numbers = []
    for measure in measures:
        known = units[measure].dropna().to_numpy(dtype=float)
        rng = np.random.default_rng(random_state)
        draws = rng.integers(0, max(len(known), 1), (resamples, len(known)))
        numbers.append({"measure": measure, **_numbers(known, draws)})
    return pd.DataFrame(numbers)


def _numbers(values: NDArray[np.float64], draws: NDArray[np.int64]) -> dict[str, float]:
    if not len(values):
        return {"n": 0, "infinite": 0, **dict.fromkeys(_STATISTICS, float("nan"))}
    finite = np.isfinite(values)
    mean, lower, upper = (float("nan"),) * 3
    if finite.any():
        mean = float(values[finite].mean())
    if finite.sum() > 1:
        drawn, counted = np.where(finite, values, 0.0)[draws], finite[draws]
        kept = counted.any(axis=1)
        means = drawn[kept].sum(axis=1) / counted[kept].sum(axis=1)
        lower, upper = (float(q) for q in np.quantile(means, (0.025, 0.975)))
    return {
        "n": len(values), "mean": mean, "lower": lower, "upper": upper, "median": float(np.median(values)),
        "lowest": float(values.min()), "highest": float(values.max()), "infinite": int((~finite).sum()),
    }  # fmt: skip
