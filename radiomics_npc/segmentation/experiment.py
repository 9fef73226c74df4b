"""The experiment of the DEU paper: how well a network does with one sequence, and with more."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor
from torch.nn import functional

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.case_scores import read_scores, score_labels
from radiomics_npc.segmentation.cross_training import WholeCases, cross_train
from radiomics_npc.segmentation.deu import remove_single_slices
from radiomics_npc.segmentation.hyperparameters import TrainingSettings
from radiomics_npc.segmentation.run_files import write_rows
from radiomics_npc.segmentation.slabs import NetworkGrid, Slabs, slab_indices, take_slabs
from radiomics_npc.segmentation.training import Report
from radiomics_npc.segmentation.training_data import CaseArrays

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["InputComparison", "PlainSlices", "run_experiment"]

_NAMES = ("T1W", "T2W", "CE-T1W")
_MEASURES = {"DSC": "dice", "Sensitivity": "sensitivity", "Precision": "precision"}
_RESCALING = (0.9, 1.1)
Spread = Literal["folds", "patients"]


@dataclass(frozen=True)
class InputComparison:
    """Scores of networks that read different sequences.

    Parameters
    ----------
    scores : tuple of dict
        A row a network and patient: ``input``, ``fold``, ``name``, ``dice``,
        ``sensitivity``, ``precision``.
    label : str
        What was scored: primary, nodes, or lesions (both).
    simulated : bool
        Of patients that never lived.

    Notes
    -----
    The paper prints 0.721 ± 0.036 for 44 patients whose Dice ranges from 0.383
    to 0.946: that can only be the standard deviation of the means of its ten
    folds. ``spread="folds"`` follows it; ``spread="patients"`` shows how much
    patients differ, and tests with their number.

    Examples
    --------
    >>> rows = [
    ...     {"input": i, "fold": f, "name": str(f), "dice": d, "sensitivity": d, "precision": 1.0}
    ...     for i, (a, b) in {"T1W": (0.5, 0.7), "T1W+T2W": (0.8, 0.9)}.items()
    ...     for f, d in ((1, a), (2, b))
    ... ]
    >>> print(InputComparison(tuple(rows)).to_frame()["DSC"].to_list())
    ['0.600±0.141', '0.850±0.071']
    """

    scores: tuple[dict[str, Any], ...] = field(repr=False)
    label: str = "primary"
    simulated: bool = False

    def values(self, input_name: str, measure: str, spread: Spread = "folds") -> list[float]:
        """One number a fold (the mean of its patients) or a patient."""
        rows = [row for row in self.scores if row["input"] == input_name]
        if spread == "patients":
            return [float(row[measure]) for row in rows]
        folds = sorted({row["fold"] for row in rows})
        return [float(np.mean([row[measure] for row in rows if row["fold"] == fold])) for fold in folds]

    def to_frame(self, spread: Spread = "folds") -> pd.DataFrame:
        """Layout of the paper's Table 1, with a test of each input against the last.

        Returns
        -------
        DataFrame
            ``Input``, ``DSC``, ``Sensitivity``, ``Precision`` as mean ± SD, ``P``
            of the two-sided Mann-Whitney U test of the DSC against the last
            input (none of the last), ``n`` values.
        """
        import pandas as pd

        inputs = list(dict.fromkeys(row["input"] for row in self.scores))
        last = self.values(inputs[-1], "dice", spread)
        rows = []
        for name in inputs:
            dice = self.values(name, "dice", spread)
            row: dict[str, Any] = {"Input": name}
            row |= {title: _mean_sd(self.values(name, key, spread)) for title, key in _MEASURES.items()}
            row["P"] = float("nan") if name == inputs[-1] else float(mannwhitneyu(dice, last).pvalue)
            rows.append({**row, "n": len(dice)})
        frame = pd.DataFrame(rows)
        return frame.assign(simulated=True) if self.simulated else frame

    def _title(self) -> str:
        who = "simulated patients" if self.simulated else "patients"
        folds, names = ({row[key] for row in self.scores} for key in ("fold", "name"))
        return (
            f"Segmentation performance ({self.label}) by MRI sequence: {len(names)} {who}, "
            f"{len(folds)}-fold cross-validation, mean±SD over folds"
        )

    def __str__(self) -> str:
        table = self.to_frame().to_string(index=False, na_rep="", float_format="{:.3f}".format)
        return f"{self._title()}\n{table}"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, na_rep="", float_format="{:.3f}".format)
        return f"<p>{html.escape(self._title())}</p>{table}"


def _mean_sd(values: Sequence[float]) -> str:
    spread = np.std(values, ddof=1) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.3f}±{spread:.3f}"


class PlainSlices:
    """Slices of whole cases, augmented by flips and rescaling alone.

    Parameters
    ----------
    cases : WholeCases
    indices : sequence of int, optional
        Patients that are drawn from; by default all.
    kept : dict, optional
        Patients read before. Each takes about 8 MB of memory once it was drawn.

    Notes
    -----
    Every slice of every patient is equally likely, with tumor or without, as in
    epochs over all slices.
    """

    def __init__(
        self,
        cases: WholeCases,
        indices: Sequence[int] | None = None,
        kept: dict[int, CaseArrays] | None = None,
    ) -> None:
        self.cases = cases
        self.indices = list(range(len(cases.names)) if indices is None else indices)
        self._kept: dict[int, CaseArrays] = {} if kept is None else kept
        self.about = getattr(cases, "about", None)

    @property
    def grid(self) -> NetworkGrid:
        """Grid of the cases."""
        return self.cases.grid

    @property
    def names(self) -> list[str]:
        """Names of the patients."""
        return [self.cases.names[index] for index in self.indices]

    def subset(self, indices: Sequence[int]) -> PlainSlices:
        """Some of the patients."""
        return PlainSlices(self.cases, [self.indices[index] for index in indices], self._kept)

    def case(self, index: int) -> CaseArrays:
        """All slices of one patient."""
        place = self.indices[index]
        if place not in self._kept:
            self._kept[place] = self.cases.case(place)
        return self._kept[place]

    def draw(self, rng: np.random.Generator, slabs: int, device: torch.device, *, ease: float = 0.0) -> Slabs:
        """Draw slabs, each of another patient, flipped or not and rescaled: all are easy."""
        parts = [self._one(rng) for _ in range(slabs)]
        return Slabs(*(torch.cat(group).to(device) for group in zip(*parts, strict=True)))

    def _one(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        case = self.case(int(rng.integers(len(self.indices))))
        middle = int(rng.integers(case.images.shape[1]))
        indices = slab_indices(case.images.shape[1], case.spacing_mm[0], self.grid)[[middle]]
        images = take_slabs(case.images, indices)
        target = case.target[None, :, middle].float()
        flip, scale = bool(rng.random() < 0.5), float(rng.uniform(*_RESCALING))
        images = _flip_rescale(images.flatten(1, 2), flip, scale).reshape(images.shape)
        target = (_flip_rescale(target, flip, scale) > 0.5).float()
        return images, case.present[None], target, case.known[None]


def _flip_rescale(planes: Tensor, flip: bool, scale: float) -> Tensor:
    matrix = torch.tensor([[[(-1.0 if flip else 1.0) / scale, 0.0, 0.0], [0.0, 1.0 / scale, 0.0]]])
    grid = functional.affine_grid(matrix, list(planes.shape), align_corners=False)
    return functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)


def run_experiment(
    settings: TrainingSettings,
    cases: WholeCases,
    out: Path,
    *,
    inputs: Sequence[Sequence[int]],
    folds: int = 10,
    label: str = "primary",
    single_slices: bool = False,
    simulated: bool = False,
    resume: bool = True,
    device: torch.device | str = "cpu",
    report: Report = print,
) -> InputComparison:
    """Cross-validate DEU with different inputs, on the same folds.

    Parameters
    ----------
    settings : TrainingSettings
        Of a ``deu`` architecture, whose ``inputs`` are replaced.
    cases : WholeCases
    out : Path
        Gets a folder of each input, ``scores.csv`` and ``table1.csv``.
    inputs : sequence of sequences of int
        Places of the sequences in the order t1, t2, ce_t1; the last is what others are tested against.
    folds : int
    label : {"primary", "nodes", "lesions"}
        What is scored. The paper's contours are lesions, tumor and nodes together.
    single_slices : bool
        Keep components of one slice, which the paper removes.
    simulated : bool
        The patients never lived.
    resume, device, report
        As for `training.train`.

    Returns
    -------
    InputComparison

    Raises
    ------
    ConfigError
        The network is not DEU, the cases lack the label, or what `training.train` raises.
    """
    if settings.architecture.get("name") != "deu":
        raise ConfigError("the experiment is of DEU", "Set network.name: deu.")
    slices = PlainSlices(cases)
    if not any(score_labels(slices.case(index)).count(label) for index in range(len(slices.names))):
        raise ConfigError(f"no patient has contours of {label}", "Choose another label of the experiment.")
    rows: list[dict[str, Any]] = []
    for places in inputs:
        name = "+".join(_NAMES[place] for place in places)
        report(f"input {name}")
        of_input = replace(settings, architecture={**settings.architecture, "inputs": list(places)})
        folder = out / "-".join(_NAMES[place] for place in places)
        cross_train(
            of_input, slices, slices, folder, folds=folds, resume=resume, device=device,
            clean=None if single_slices else remove_single_slices, report=report,
        )  # fmt: skip
        rows += [
            {"input": name, **row} for row in read_scores(folder / "scores.csv") if row["label"] == label
        ]
    found = InputComparison(tuple(rows), label, simulated)
    write_rows(out / "scores.csv", rows)
    table = found.to_frame()
    write_rows(
        out / "table1.csv",
        [dict(zip(map(str, table), row, strict=True)) for row in table.itertuples(index=False)],
    )
    return found
