"""The primary tumor of one patient, drawn by an ensemble of networks on every sequence's own grid."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from radiomics_npc.errors import ModelFileError
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.segmentation.devices import choose_device
from radiomics_npc.segmentation.frames import Frame
from radiomics_npc.segmentation.inference import Inference
from radiomics_npc.segmentation.network_grid import from_network
from radiomics_npc.segmentation.overlap import count_overlap
from radiomics_npc.segmentation.postprocessing import (
    THRESHOLD,
    TumorSelection,
    select_tumor,
)
from radiomics_npc.segmentation.quality import find_flags, pairwise_dice, touches_border, volume_cm3
from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.segmentation.uncertainty import vary_mask
from radiomics_npc.segmentation.weight_files import BUNDLED, read_members
from radiomics_npc.segmentation.windows import Seen, sigmoid, view
from radiomics_npc.settings import SEQUENCES, Sequence
from radiomics_npc.storage import content_key

__all__ = ["Prediction", "Segmenter", "load_segmenter"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The tumor of one patient, and how sure the networks are of it.

    Parameters
    ----------
    masks : dict of sequence to Mask
        On the grid of each image.
    flags : list of str
        Keys of :data:`radiomics_npc.segmentation.quality.FLAGS`.
    summary : dict
        ``volume_cm3`` by sequence; ``confidence`` (mean probability inside); ``member_agreement`` (mean
        Dice between members); ``sequence_dice`` (each sequence alone against the mask) and
        ``sequence_agreement`` (mean Dice between what two sequences show alone); ``touches_border``
        (sequences); ``components`` and how many were ``left_out``. NaN where there is nothing to compare.
    frame : Frame
        Of the arrays below.
    mean, spread, logit_spread, nodes, prior : array of float32, shape of the frame
        Mean probability of primary tumor, its standard deviation and that of the logits over members and
        flips, mean probability of metastatic nodes, position prior.
    grids : dict of sequence to Volume
        Geometry of the images.
    device : str
    seconds : float
        From images in memory to masks.
    varied : list of dict of sequence to Mask
        Masks drawn along the uncertainty, if asked for.
    notes : list of str
        What had to be done otherwise, as smaller batches.
    """

    masks: dict[Sequence, Mask]
    flags: list[str]
    summary: dict[str, Any]
    frame: Frame
    mean: Floats
    spread: Floats
    logit_spread: Floats
    nodes: Floats
    prior: Floats
    grids: dict[Sequence, Volume]
    device: str
    seconds: float
    varied: list[dict[Sequence, Mask]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def place(self, probability: Floats, sequence: Sequence) -> Mask:
        """What of a probability map of the frame lies above 0.5, on the grid of a sequence."""
        grid = self.grids[sequence]
        inside = from_network(probability, self.frame, grid) > THRESHOLD
        return Mask(inside, grid.spacing_mm, grid.origin_mm, grid.direction)

    @property
    def probability(self) -> dict[Sequence, Volume]:
        """Mean probability of primary tumor on the grid of each sequence, before components are chosen."""
        return {name: self._on(self.mean, grid) for name, grid in self.grids.items()}

    @property
    def uncertainty(self) -> dict[Sequence, Volume]:
        """Standard deviation of the probability over members and flips on the grid of each sequence."""
        return {name: self._on(self.spread, grid) for name, grid in self.grids.items()}

    def _on(self, array: Floats, grid: Volume) -> Volume:
        return replace(grid, array=from_network(array, self.frame, grid))


class Segmenter:
    """An ensemble of networks on a device.

    Parameters
    ----------
    members : sequence of Module
        ``forward(images (b, s, k, h, w), present (b, s)) -> logits (b, 2, h, w)``: primary tumor, nodes.
    description : mapping
        Content of ``model.json``: at least ``simulated`` and ``grid``. Networks whose ``sha256`` it does
        not give under ``members`` are told apart by the weights in memory.
    device : torch device
    batch : int, optional
        Slabs at once. Halved for good when memory runs out.

    Raises
    ------
    ModelFileError
        The grid of the description is absent or of another version, or it does not say what the training
        was on.
    """

    def __init__(
        self,
        members: Items[torch.nn.Module],
        description: Mapping[str, Any],
        device: torch.device | str = "cpu",
        batch: int | None = None,
    ) -> None:
        self.description = dict(description)
        if "simulated" not in self.description:  # every mask says so
            raise ModelFileError(
                "the model does not say whether it was trained on simulated heads only",
                "Give simulated: true or false in its description.",
            )
        if self.description.get("grid") is None:
            raise ModelFileError(
                "the model does not say its grid",
                "Copy the model folder again, or give the grid of its training in the description.",
            )
        try:
            self.grid = NetworkGrid(**self.description["grid"])
        except TypeError as error:
            raise ModelFileError(
                "the grid of the model is none that is known here", "Update radiomics-npc."
            ) from error
        self.inference = Inference(list(members), self.grid, torch.device(device), batch)

    @property
    def device(self) -> str:
        """Where the networks are."""
        return self.inference.device.type

    @property
    def simulated(self) -> bool:
        """Whether the networks were trained on simulated heads only."""
        return bool(self.description["simulated"])

    @property
    def weights(self) -> list[str]:
        """SHA-256 of the weights of every network: of its file, or of those in memory."""
        networks = self.inference.members
        stated = [member.get("sha256") for member in self.description.get("members", [])]
        return stated if len(stated) == len(networks) and all(stated) else [_digest(n) for n in networks]

    @property
    def identity(self) -> str:
        """Hash of all that makes the predictions: weights, architecture, grid."""
        return content_key(self.weights, self.description.get("architecture"), self.description.get("grid"))

    def predict(
        self, images: Mapping[Sequence, Volume], *, flips: bool = True, samples: int = 0
    ) -> Prediction:
        """Draw the primary tumor.

        Parameters
        ----------
        images : mapping of sequence to Volume
            One to three of t1, t2, ce_t1, each on its own grid.
        flips : bool
            Average with the prediction of the mirrored head; takes twice the time.
        samples : int
            Masks to draw along the uncertainty.

        Returns
        -------
        Prediction
            The same on every call, on the same CPU and number of threads.

        Raises
        ------
        ImageError
            No image; one that is not 3D, or of values that are not finite; or the one whose slices are
            segmented is of one intensity. Another of one intensity counts as absent.
        ExtractionError
            There is not enough memory for a single slab.

        Notes
        -----
        Agreement of sequences: the first member sees each sequence alone, in the slices of the mask only,
        which adds about a tenth to the time.
        """
        start = time.perf_counter()
        self.inference.notes.clear()
        seen = view(images, self.inference, flips)
        selection = seen.select()
        grids = {name: _geometry(images[name]) for name in SEQUENCES if name in images}
        prediction = Prediction(
            {}, [], {}, seen.frame, seen.probabilities.mean(axis=0), seen.probabilities.std(axis=0),
            seen.logits.std(axis=0), seen.nodes, seen.prior, grids, self.device, 0.0,
        )  # fmt: skip
        masks = {name: prediction.place(selection.probability, name) for name in grids}
        summary = _summary(masks, selection, prediction.mean)
        summary |= {"member_agreement": self._member_agreement(seen), **self._alone(seen, selection)}
        prediction = replace(
            prediction, masks=masks, summary=summary, flags=find_flags(summary), notes=[*self.inference.notes]
        )
        seed = _seed_of(prediction.mean) if samples else 0
        drawn = {name: vary_mask(prediction, samples, seed, name) for name in grids}
        varied = [{name: drawn[name][k] for name in grids} for k in range(samples)]
        return replace(prediction, varied=varied, seconds=time.perf_counter() - start)

    def _member_agreement(self, seen: Seen) -> float:
        """Mean Dice between the masks of the members, the flips of each averaged."""
        members = len(self.inference.members)
        if members < 2:
            return float("nan")
        each = seen.probabilities.reshape(members, -1, *seen.frame.shape).mean(axis=1)
        return pairwise_dice([seen.select(one).mask for one in each])

    def _alone(self, seen: Seen, selection: TumorSelection) -> dict[str, Any]:
        """What the first member sees in each sequence alone, against the mask and against one another."""
        slices = np.flatnonzero(selection.mask.any(axis=(1, 2)))
        found = {}
        for number in np.flatnonzero(seen.present) if seen.present.sum() > 1 and slices.size else ():
            one = np.zeros_like(seen.present)
            one[number] = 1
            stack = seen.images * one[:, None, None, None]
            logits, nodes = self.inference.first(stack, one, seen.frame.spacing_mm[2], slices)
            part = select_tumor(sigmoid(logits), seen.prior[slices], seen.frame.spacing_zyx, nodes)
            found[SEQUENCES[number]] = part.mask
        # two sequences that both show nothing do not support a mask
        pairs = [count_overlap(a, b).dice * bool(a.any()) for a, b in combinations(found.values(), 2)]
        return {
            "sequence_dice": {n: count_overlap(m, selection.mask[slices]).dice for n, m in found.items()},
            "sequence_agreement": float(np.mean(pairs)) if pairs else float("nan"),
        }


def load_segmenter(folder: Path | str | None = None, device: str = "auto") -> Segmenter:
    """Read a trained ensemble.

    Parameters
    ----------
    folder : path, optional
        Holds ``model.json`` and its weights; by default the model that comes with the package.
    device : {"auto", "cuda", "mps", "cpu"}

    Returns
    -------
    Segmenter

    Raises
    ------
    ConfigError
        The device is not there.
    ModelFileError
        The folder holds no model, or a file is damaged or altered.
    """
    chosen = choose_device(device)
    members, description = read_members(BUNDLED if folder is None else Path(folder), chosen)
    return Segmenter(members, description, chosen)


def _digest(network: torch.nn.Module) -> str:
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return hashlib.sha256(save(state)).hexdigest()


def _seed_of(probability: Floats) -> int:
    """The same for the same prediction, another for every patient: they must not vary alike."""
    return int.from_bytes(hashlib.sha256(probability.tobytes()).digest()[:4], "big")


def _geometry(volume: Volume) -> Volume:
    """The grid of an image without its intensities."""
    return replace(volume, array=np.broadcast_to(np.float32(0), volume.array.shape))


def _summary(
    masks: Mapping[Sequence, Mask],
    selection: TumorSelection,
    mean: Floats,
) -> dict[str, Any]:
    return {
        "volume_cm3": {name: volume_cm3(mask) for name, mask in masks.items()},
        "confidence": float(mean[selection.mask].mean()) if selection.components else float("nan"),
        "touches_border": [name for name, mask in masks.items() if touches_border(mask)],
        "components": selection.components,
        "left_out": selection.left_out,
    }
