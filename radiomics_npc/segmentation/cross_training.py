"""Ensembles: one network a fold, scored on the patients it never saw, or one a seed on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.case_scores import LABELS, Clean, predict_case, score_case
from radiomics_npc.segmentation.hyperparameters import TrainingSettings
from radiomics_npc.segmentation.run_files import read_checkpoint, write_rows
from radiomics_npc.segmentation.slabs import NetworkGrid, SlabSource
from radiomics_npc.segmentation.training import Report, train, trained_network, versions
from radiomics_npc.segmentation.training_data import CaseArrays
from radiomics_npc.segmentation.training_run import CHECKPOINT
from radiomics_npc.segmentation.weight_files import write_members
from radiomics_npc.storage import write_json

__all__ = [
    "WholeCases",
    "cross_train",
    "describe_model",
    "split_folds",
    "train_seeds",
    "write_model",
]

_SEQUENCES = ("t1", "t2", "ce_t1")


class WholeCases(Protocol):
    """Patients of whom every slice can be had, for scores."""

    @property
    def grid(self) -> NetworkGrid:
        """Grid of the slices."""

    @property
    def names(self) -> list[str]:
        """One name a patient; never a patient's own."""

    def case(self, index: int) -> CaseArrays:
        """All slices of one patient."""


def split_folds(patients: int, folds: int, seed: int) -> list[NDArray[np.int64]]:
    """Deal patients into folds of equal size, to within one.

    Returns
    -------
    list of array
        Sorted places of the patients held out in each fold.

    Raises
    ------
    ConfigError
        Fewer than two folds, or fewer patients than folds.

    Examples
    --------
    >>> [fold.tolist() for fold in split_folds(5, 2, seed=1)]
    [[0, 1, 4], [2, 3]]
    """
    if not 2 <= folds <= patients:
        raise ConfigError(
            f"{patients} patients cannot be dealt into {folds} folds",
            "Set folds from 2 to the number of patients.",
        )
    order = np.random.default_rng(seed).permutation(patients)
    return [np.sort(part) for part in np.array_split(order, folds)]


def cross_train(
    settings: TrainingSettings,
    source: SlabSource,
    cases: WholeCases,
    out: Path,
    *,
    folds: int,
    resume: bool = True,
    device: torch.device | str = "cpu",
    start: nn.Module | None = None,
    clean: Clean | None = None,
    report: Report = print,
) -> list[nn.Module]:
    """Train one network a fold and score it on the patients of that fold.

    Parameters
    ----------
    settings : TrainingSettings
        Fold ``k`` trains with ``seed + k``; ``seed`` deals the patients.
    source, cases : SlabSource, WholeCases
        The same patients in the same order.
    out : Path
        Gets ``fold-K`` folders and ``scores.csv``: a row a patient and known label.
    folds : int
    resume, device, start, report
        As for `training.train`. A finished fold is not trained again.
    clean : callable, optional
        Applied to predicted masks before they are scored.

    Returns
    -------
    list of nn.Module
        One network a fold.

    Raises
    ------
    ConfigError
        Wrong number of folds, or what `training.train` raises.
    """
    device = torch.device(device)
    if source.names != cases.names:
        raise ConfigError("slabs and whole cases are of different patients")
    held_out = split_folds(len(source.names), folds, settings.seed)
    networks, rows = [], []
    for number, test in enumerate(held_out, 1):
        report(f"fold {number} of {folds}: {len(source.names) - len(test)} patients, {len(test)} held out")
        folder = out / f"fold-{number}"
        kept = np.setdiff1d(np.arange(len(source.names)), test).tolist()
        of_fold = replace(settings, seed=settings.seed + number)
        train(of_fold, source.subset(kept), folder, resume=resume, device=device, start=start, report=report)
        networks.append(trained_network(folder))
        rows += _fold_scores(networks[-1].to(device), cases, test.tolist(), number, folder, device, clean)
    write_rows(out / "scores.csv", rows)
    report(_mean_line(rows))
    return networks


def _fold_scores(
    network: nn.Module,
    cases: WholeCases,
    test: list[int],
    fold: int,
    folder: Path,
    device: torch.device,
    clean: Clean | None,
) -> list[dict[str, Any]]:
    """Scores of the held-out patients."""
    rows = []
    for index in test:
        case = cases.case(index)
        probability = predict_case(network, case, cases.grid, device)
        about = {"fold": fold, "name": cases.names[index]}
        rows += [{**about, **row} for row in score_case(probability, case, clean)]
    write_rows(folder / "scores.csv", rows)
    return rows


def _mean_line(rows: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for label in LABELS:
        dice = [row["dice"] for row in rows if row["label"] == label]
        if dice:
            parts.append(f"{label} {np.mean(dice):.3f} (median {np.median(dice):.3f}, n {len(dice)})")
    return "out-of-fold Dice: " + ", ".join(parts)


def train_seeds(
    settings: TrainingSettings,
    source: SlabSource,
    out: Path,
    *,
    seeds: Sequence[int],
    resume: bool = True,
    device: torch.device | str = "cpu",
    start: nn.Module | None = None,
    report: Report = print,
) -> list[nn.Module]:
    """Train one network a seed, each on all patients.

    Parameters
    ----------
    settings : TrainingSettings
        Its own seed is not used.
    source : SlabSource
    out : Path
        Gets a folder ``seed-K`` of each.
    seeds : sequence of int
    resume, device, start, report
        As for `training.train`.

    Returns
    -------
    list of nn.Module
        In the order of ``seeds``.
    """
    networks = []
    for number, seed in enumerate(seeds, 1):
        report(f"network {number} of {len(seeds)}, seed {seed}")
        folder = out / f"seed-{seed}"
        of_seed = replace(settings, seed=seed)
        train(of_seed, source, folder, resume=resume, device=device, start=start, report=report)
        networks.append(trained_network(folder))
    return networks


def describe_model(
    settings: TrainingSettings,
    grid: NetworkGrid,
    runs: Mapping[int, Path],
    *,
    data: Mapping[str, Any],
    simulated: bool,
) -> dict[str, Any]:
    """What a model folder says of its training.

    Parameters
    ----------
    settings : TrainingSettings
    grid : NetworkGrid
    runs : mapping of int to Path
        Folder of the run of each seed, in the order of the networks.
    data : mapping
        Plain JSON: what the networks were trained on, without names or absolute paths.
    simulated : bool
        Trained on patients that never lived.
    """
    states = [read_checkpoint(folder / CHECKPOINT).state for folder in runs.values()]
    training = {
        "settings": asdict(settings),
        "data": dict(data),
        "versions": versions(),
        "steps": [int(state["step"]) for state in states],
        "seconds": [round(float(state["seconds"])) for state in states],
    }
    about = {
        "grid": asdict(grid),
        "sequences": list(_SEQUENCES),
        "simulated": simulated,
        "training": training,
    }
    return {**about, "seeds": list(runs)}


def write_model(folder: Path, networks: Sequence[nn.Module], description: Mapping[str, Any]) -> Path:
    """Write the ensemble, and its description readable beside the runs."""
    write_members(folder, networks, description)
    write_json(folder.parent / "training.json", description["training"])
    return folder
