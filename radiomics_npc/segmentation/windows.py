"""One window around the middle of the body, and further ones where the tumor goes on beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.imaging.volume import Volume
from radiomics_npc.segmentation.frames import Frame
from radiomics_npc.segmentation.inference import Inference
from radiomics_npc.segmentation.network_grid import find_frame, to_network
from radiomics_npc.segmentation.postprocessing import TumorSelection, position_prior, select_tumor
from radiomics_npc.settings import Sequence

__all__ = ["Seen", "sigmoid", "view"]

Floats = NDArray[np.float32]

#: A tumor this near to the edge of the window may go on beyond it.
_EDGE_PIXELS: Final = 2


def sigmoid(logits: Floats) -> Floats:
    """Probabilities of logits.

    Examples
    --------
    >>> float(sigmoid(np.zeros(1, dtype=np.float32))[0])
    0.5
    """
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Seen:
    """A patient as the networks saw it.

    Parameters
    ----------
    frame : Frame
    images : array of float32, shape (3, slices, rows, columns)
    present : array of float32, shape (3,)
    logits : array of float32, shape (passes, slices, rows, columns)
        Of primary tumor, for every member and flip.
    probabilities : array of float32, same shape
    nodes : array of float32, shape of the frame
        Mean probability of metastatic nodes.
    prior : array of float32, shape of the frame
    """

    frame: Frame
    images: Floats
    present: Floats
    logits: Floats
    probabilities: Floats
    nodes: Floats
    prior: Floats

    def select(self, probability: Floats | None = None) -> TumorSelection:
        """The tumor in the mean probability, or in another map of the frame."""
        chosen = self.probabilities.mean(axis=0) if probability is None else probability
        return select_tumor(chosen, self.prior, self.frame.spacing_zyx, self.nodes)


def view(images: Mapping[Sequence, Volume], inference: Inference, flips: bool) -> Seen:
    """Run all members over a patient.

    Parameters
    ----------
    images : mapping of sequence to Volume
    inference : Inference
    flips : bool

    Returns
    -------
    Seen
        Where the tumor touches an edge of the window, further windows are laid half a window beyond it,
        and their logits joined, the middle of each window weighing more than its edges.
    """
    frame = find_frame(images, inference.grid)
    stack, present = to_network(images, frame)
    logits, nodes = inference.passes(stack, present, frame.spacing_mm[2], flips)
    row, column = (frame.shape[1] - 1) / 2, (frame.shape[2] - 1) / 2
    prior = position_prior(frame.shape, frame.spacing_zyx, (row, column))
    seen = Seen(frame, stack, present, logits, sigmoid(logits), nodes, prior)
    step = inference.grid.window // 2
    beyond = [step * int(side[..., :_EDGE_PIXELS].any()) for side in _sides(seen.select().mask)]
    if not any(beyond):
        return seen
    wide = frame.grown(*beyond)
    logits, nodes = _joined(images, inference, seen, beyond, flips)
    prior = position_prior(wide.shape, wide.spacing_zyx, (row + beyond[0], column + beyond[2]))
    return Seen(wide, *to_network(images, wide), logits, sigmoid(logits), nodes, prior)


def _sides(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], ...]:
    """The mask seen from the top, bottom, left and right: that edge comes first along the last axis."""
    rows = mask.swapaxes(1, 2)
    return rows, rows[..., ::-1], mask, mask[..., ::-1]


def _joined(
    images: Mapping[Sequence, Volume], inference: Inference, first: Seen, beyond: list[int], flips: bool
) -> tuple[Floats, Floats]:
    """Logits and nodes on the frame grown by ``beyond``, from one window in each direction."""
    top, bottom, left, right = beyond
    window = inference.grid.window
    shape = first.frame.grown(*beyond).shape
    total = np.zeros((len(first.logits) + 1, *shape), dtype=np.float32)
    weights = np.zeros(shape[1:], dtype=np.float32)
    ramp = np.minimum(np.arange(1, window + 1), np.arange(window, 0, -1)).astype(np.float32)
    weight = ramp[:, None] * ramp
    for row, column in product(sorted({-top, 0, bottom}), sorted({-left, 0, right})):
        part, nodes = first.logits, first.nodes
        if row or column:
            moved = first.frame.moved(row, column)
            part, nodes = inference.passes(*to_network(images, moved), moved.spacing_mm[2], flips)
        place = (
            ...,
            slice(top + row, top + row + window),
            slice(left + column, left + column + window),
        )
        total[place] += weight * np.concatenate([part, nodes[None]])
        weights[place] += weight
    total /= weights
    return total[:-1], total[-1]
