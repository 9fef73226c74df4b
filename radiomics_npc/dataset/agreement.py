"""Two sets of masks of the same patients: overlap, distances, volumes, and how well they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from radiomics_npc.dataset.agreement_figures import bland_altman_figure, overlap_figure
from radiomics_npc.dataset.agreement_page import MEASURES, agreement_page, summary_table, volume_table
from radiomics_npc.dataset.bland_altman import BlandAltman, bland_altman
from radiomics_npc.dataset.mask_pairs import MaskPair, compare_pairs
from radiomics_npc.dataset.mask_sets import MaskSet, read_mask_set, split_raters
from radiomics_npc.dataset.metadata import Source
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.stability import intraclass_correlation, stability_category
from radiomics_npc.nomogram.style import mark_simulated, save_figure
from radiomics_npc.report.tables import html_table
from radiomics_npc.segmentation.evaluation import summarize
from radiomics_npc.storage import write_table, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Agreement", "compare_masks"]


@dataclass(frozen=True, eq=False)
class Agreement:
    """How well two sets of masks agree.

    Parameters
    ----------
    table : DataFrame
        One row a patient and sequence: dice, jaccard, hd95_mm, mean_surface_distance_mm, ``nsd_{t}mm``,
        first_cm3, second_cm3, difference_cm3 (first minus second), remark.
    summary : DataFrame
        By sequence and measure, as :func:`radiomics_npc.segmentation.evaluation.summarize` gives it.
    volumes : DataFrame
        By sequence: bias and limits of agreement (as differences in cm3 and as ratios), ICC(2,1).
    limits : dict of str to BlandAltman
        Differences in cm3 by sequence, where there are at least two patients.
    unmatched : DataFrame
        Masks that only one set has: patient_id, sequence, only_in.
    failures : DataFrame
        Pairs that could not be compared.
    names : tuple of 2 str
    simulated : bool
    """

    table: pd.DataFrame
    summary: pd.DataFrame
    volumes: pd.DataFrame
    limits: dict[str, BlandAltman]
    unmatched: pd.DataFrame
    failures: pd.DataFrame
    names: tuple[str, str] = ("first", "second")
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """One row a patient and sequence; simulated, if so."""
        return self.table.assign(simulated=True) if self.simulated else self.table.copy()

    def figures(self) -> dict[str, Figure]:
        """Box plots of ``dice`` and ``jaccard`` by sequence, and ``volumes`` after Bland and Altman."""
        drawn = {name: overlap_figure(self.table, name) for name in ("dice", "jaccard")}
        if self.limits:
            drawn["volumes"] = bland_altman_figure(self.table, self.limits, self.names)
        if self.simulated:
            for figure in drawn.values():
                mark_simulated(figure)
        return drawn

    def write(self, folder: Path | str) -> list[Path]:
        """Write the tables as CSV, the figures as svg and png, and a page of all.

        Parameters
        ----------
        folder : path
            Made if absent.

        Returns
        -------
        list of Path
        """
        folder = Path(folder)
        tables = {
            "agreement": self.to_frame(), "summary": self.summary, "volumes": self.volumes,
            "unmatched": self.unmatched, "failures": self.failures,
        }  # fmt: skip
        paths = []
        for name, table in tables.items():
            path = folder / f"{name}.csv"
            path.unlink(missing_ok=True)
            if name not in ("unmatched", "failures") or len(table):
                write_table(path, table)
                paths.append(path)
        figures = self.figures()
        for path in (folder / f"volumes.{kind}" for kind in ("svg", "png")):
            path.unlink(missing_ok=True)  # of an earlier call, where no limits can be drawn now
        for name, figure in figures.items():
            paths += [save_figure(figure, folder / f"{name}.{kind}") for kind in ("svg", "png")]
        write_text(folder / "agreement.html", agreement_page(self, figures))
        return [*paths, folder / "agreement.html"]

    def _repr_html_(self) -> str:
        who = "simulated patients" if self.simulated else ""
        return html_table(summary_table(self.summary), who) + html_table(volume_table(self.volumes), who)

    def __repr__(self) -> str:
        who = " of simulated patients" if self.simulated else ""
        return (
            f"<Agreement: {len(self.table)} pairs of masks{who}, {len(self.unmatched)} unmatched,"
            f" {len(self.failures)} failed>"
        )


def compare_masks(
    first: Source,
    second: Source | None = None,
    *,
    tolerances_mm: Sequence[float] = (1.0, 2.0),
    names: tuple[str, str] | None = None,
    on_mismatch: str | None = None,
    resamples: int = 2000,
    random_state: int = 0,
    jobs: int = 0,
    progress: bool = True,
) -> Agreement:
    """Compare two sets of masks of the same patients.

    Parameters
    ----------
    first, second : Cohort, settings, path or dict
        Cohorts, study files, manifests, or folders in a layout of cohorts or of mask files alone (see
        :func:`radiomics_npc.dataset.mask_sets.read_mask_set`). Without the second, the first is a folder that
        holds both: two folders, or files that name their rater.
    tolerances_mm : sequence of float
        Of the normalized surface distance.
    names : tuple of 2 str, optional
        Of the sets, as shown; by default their folders.
    on_mismatch : {"error", "resample"}, optional
        What to do with a second mask on another grid than the first; by default what the first cohort says,
        else ``"error"``. Turned and cropped masks are put in place without it.
    resamples : int
        Bootstrap samples of patients, for the intervals of the means.
    random_state : int
    jobs : int
        Processes; 0 takes all cores.
    progress : bool
        Show how far it is.

    Returns
    -------
    Agreement
        Of masks that both sets have; others are listed. Where one rater drew nothing, Dice is 0 and distances
        are infinite; where both did, the pair is among the failures.

    Raises
    ------
    CohortError
        A set is empty, or they share no mask.
    ConfigError
        A negative tolerance, or an ``on_mismatch`` that is none.

    Notes
    -----
    How radiomic features agree, :func:`radiomics_npc.features.raters.compare_raters` tells.

    Examples
    --------
    >>> import tempfile
    >>> import SimpleITK as sitk
    >>> root = Path(tempfile.mkdtemp())
    >>> for rater, shift in (("a", 0), ("b", 2)):
    ...     for case in (1, 2):
    ...         array = np.zeros((4, 40, 40), dtype=np.uint8)
    ...         array[1:3, 10:30, 10 + shift : 30 + shift * case] = 1
    ...         (root / rater).mkdir(exist_ok=True)
    ...         sitk.WriteImage(sitk.GetImageFromArray(array), str(root / rater / f"{case}_T1.nii"))
    >>> found = compare_masks(root / "a", root / "b", jobs=1, progress=False)
    >>> found.table[["patient_id", "sequence", "dice"]].round(3).to_numpy().tolist()
    [['1', 't1', 0.9], ['2', 't1', 0.857]]
    """
    tolerances = tuple(dict.fromkeys(float(t) for t in tolerances_mm))
    if any(not t >= 0 for t in tolerances):
        raise ConfigError("a tolerance is negative", "Give tolerances in mm, such as 1 and 2.")
    if on_mismatch not in (None, "error", "resample"):
        raise ConfigError(f"on_mismatch is {on_mismatch!r}", "Take error or resample.")
    one, two = _sets(first, second, names)
    shared = [key for key in one.masks if key in two.masks]
    if not shared:
        raise CohortError(
            f"{one.name} and {two.name} share no mask",
            "Check that patients and sequences are written alike in both, or write manifests.",
        )
    how = on_mismatch or one.on_mismatch
    pairs = [MaskPair(*key, one.masks[key], two.masks[key], how, tolerances) for key in shared]
    table, failures = compare_pairs(pairs, tolerances, jobs=jobs, progress=progress)
    simulated = one.simulated or two.simulated
    measures = [*MEASURES, *(c for c in table.columns if c.startswith("nsd_"))]
    if table.empty:
        raise CohortError(
            f"none of {len(pairs)} pairs of masks could be compared",
            f"The first: {failures['message'].iloc[0]}.",
        )
    summary = summarize(
        _in_order(table).assign(simulated=simulated), ["sequence"], measures=measures,
        unit="patient_id", resamples=resamples, random_state=random_state,
    )  # fmt: skip
    volumes, limits = _volumes(table)
    if simulated:
        volumes = volumes.assign(simulated=True)
    return Agreement(
        table, summary, volumes, limits, _unmatched(one, two), failures, (one.name, two.name), simulated
    )


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sequences as categories in the order of the cohort, which groups follow."""
    names = list(dict.fromkeys(table["sequence"]))
    return table.assign(sequence=pd.Categorical(table["sequence"], names))


def _sets(first: Source, second: Source | None, names: tuple[str, str] | None) -> tuple[MaskSet, MaskSet]:
    if second is not None:
        called = names or (_name(first, "first"), _name(second, "second"))
        if called[0] == called[1]:
            called = f"{called[0]} (first)", f"{called[1]} (second)"
        return read_mask_set(first, called[0]), read_mask_set(second, called[1])
    if not isinstance(first, str | Path) or not Path(first).is_dir():
        raise ConfigError("there is one set of masks only", "Name two, or a folder that holds both.")
    one, two = split_raters(Path(first))
    if names is None:
        return one, two
    return MaskSet(names[0], one.masks), MaskSet(names[1], two.masks)


def _name(source: Source, otherwise: str) -> str:
    return Path(source).name if isinstance(source, str | Path) and Path(source).name else otherwise


def _unmatched(one: MaskSet, two: MaskSet) -> pd.DataFrame:
    rows = [
        {"patient_id": key[0], "sequence": key[1], "only_in": here.name}
        for here, other in ((one, two), (two, one))
        for key in here.masks
        if key not in other.masks
    ]
    return pd.DataFrame(rows, columns=["patient_id", "sequence", "only_in"])


def _volumes(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, BlandAltman]]:
    """Agreement of the volumes by sequence; sequences of one patient are no independent measurements."""
    rows, limits = [], {}
    for sequence, part in table.groupby("sequence", sort=False):
        first, second = part["first_cm3"].to_numpy(float), part["second_cm3"].to_numpy(float)
        row: dict[str, Any] = {"sequence": sequence, "n": len(part)}
        if len(part) > 1:
            limits[str(sequence)] = bland_altman(first, second)
            found = limits[str(sequence)].to_frame().iloc[0]
            row |= {str(name): found[name] for name in found.index if name not in ("scale", "n")}
            row |= _ratios(first, second)
        icc = intraclass_correlation(np.column_stack([first, second]), "2,1")
        row |= {"icc": icc.estimate, "icc_lower": icc.lower, "icc_upper": icc.upper}
        rows.append(row | {"category": stability_category(icc.lower)[0]})
    columns = [*_VOLUME_COLUMNS]
    return pd.DataFrame(rows).reindex(columns=columns), limits


def _ratios(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Limits of the ratio; of a patient with an empty mask there is none."""
    both = (first > 0) & (second > 0)
    if both.sum() < 2:
        return {}
    found = bland_altman(first[both], second[both], ratio=True)
    return {
        "ratio": found.bias[0], "ratio_lower": found.bias[1], "ratio_upper": found.bias[2],
        "ratio_limit_low": found.low[0], "ratio_limit_high": found.high[0],
    }  # fmt: skip


_VOLUME_COLUMNS: Final = (
    "sequence", "n", "sd", "bias", "bias_lower", "bias_upper", "limit_low", "limit_low_lower",
    "limit_low_upper", "limit_high", "limit_high_lower", "limit_high_upper", "ratio", "ratio_lower",
    "ratio_upper", "ratio_limit_low", "ratio_limit_high", "icc", "icc_lower", "icc_upper", "category",
)  # fmt: skip
