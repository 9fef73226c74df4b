"""Whole patients predicted by one network, compared with their contours."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from radiomics_npc.segmentation.devices import uses_bf16
from radiomics_npc.segmentation.overlap import count_overlap
from radiomics_npc.segmentation.slabs import NetworkGrid, slab_indices, take_slabs
from radiomics_npc.segmentation.training_data import CaseArrays

__all__ = ["LABELS", "Clean", "predict_case", "read_scores", "score_case", "score_labels"]

LABELS = ("primary", "nodes", "lesions")  # lesions: the two together
_THRESHOLD = 0.5

Masks = NDArray[np.bool_]
Clean = Callable[[Masks], Masks]


@torch.inference_mode()
def predict_case(
    network: nn.Module, case: CaseArrays, grid: NetworkGrid, device: torch.device, *, slabs: int = 8
) -> Tensor:
    """Probability of both labels in every slice of a patient.

    Returns
    -------
    Tensor, shape (2, z, h, w)
        On the CPU.
    """
    images, present = case.images.to(device), case.present.to(device)[None]
    indices = slab_indices(images.shape[1], case.spacing_mm[0], grid)
    bf16 = uses_bf16("auto", device)
    parts = []
    for start in range(0, len(indices), slabs):
        batch = take_slabs(images, indices[start : start + slabs])
        with torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext():
            logits = network(batch, present.expand(len(batch), -1))
        parts.append(torch.sigmoid(logits.float()).cpu())
    return torch.cat(parts).transpose(0, 1)


def score_labels(case: CaseArrays) -> list[str]:
    """Labels of a patient that a prediction can be compared with."""
    known = [bool(value > 0) for value in case.known]
    return [label for label, there in zip(LABELS, [*known, all(known)], strict=True) if there]


def score_case(probability: Tensor, case: CaseArrays, clean: Clean | None = None) -> list[dict[str, Any]]:
    """Compare a prediction with the contours of the patient.

    Parameters
    ----------
    probability : Tensor, shape (2, z, h, w)
    case : CaseArrays
    clean : callable, optional
        Applied to the predicted mask of each label.

    Returns
    -------
    list of dict
        One of each label that is known, and of both together where both are:
        Dice, sensitivity, precision, volumes in cm3.
    """
    voxel_cm3 = float(np.prod(case.spacing_mm)) / 1000.0
    found = (probability > _THRESHOLD).numpy()
    truth = case.target.numpy() > 0
    pairs = dict(zip(LABELS, [*zip(found, truth, strict=True), (found.any(0), truth.any(0))], strict=True))
    rows = []
    for label in score_labels(case):
        mask, reference = pairs[label]
        overlap = count_overlap(clean(mask) if clean is not None else mask, reference)
        rows.append({
            "label": label, "dice": overlap.dice,
            "sensitivity": overlap.sensitivity, "precision": overlap.precision,
            "predicted_cm3": overlap.predicted * voxel_cm3, "reference_cm3": overlap.reference * voxel_cm3,
        })  # fmt: skip
    return rows


def read_scores(path: Path) -> list[dict[str, Any]]:
    """Read a table of scores that `cross_train` wrote."""
    kinds = {"name": str, "label": str, "fold": int}
    with path.open(newline="", encoding="utf-8") as stream:
        return [{k: kinds.get(k, float)(v) for k, v in row.items()} for row in csv.DictReader(stream)]
