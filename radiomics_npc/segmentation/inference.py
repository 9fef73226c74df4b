"""Networks at work: slabs in batches, members and flips in turn, smaller batches when memory runs out."""

from __future__ import annotations

import sys
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from radiomics_npc.errors import ExtractionError
from radiomics_npc.segmentation.devices import uses_bf16
from radiomics_npc.segmentation.slabs import NetworkGrid, slab_indices, take_slabs

__all__ = ["Inference"]

Floats = NDArray[np.float32]

_BATCH: Final = {"cuda": 48, "mps": 16, "cpu": 6}


class Inference:
    """Runs the members of an ensemble over the slices of a patient.

    Parameters
    ----------
    members : list of Module
    grid : NetworkGrid
    device : torch device
    batch : int, optional
        Slabs at once; halved for good when memory runs out.

    Attributes
    ----------
    notes : list of str
        What had to be done otherwise.
    """

    def __init__(
        self,
        members: list[torch.nn.Module],
        grid: NetworkGrid,
        device: torch.device,
        batch: int | None = None,
    ) -> None:
        self.members = [member.to(device).eval() for member in members]
        self.grid, self.device = grid, device
        self.batch = batch or _BATCH.get(device.type, 6)
        self.notes: list[str] = []

    def passes(self, stack: Floats, present: Floats, spacing_mm: float, flips: bool) -> tuple[Floats, Floats]:
        """Logits of primary tumor of every member and flip, and the mean probability of nodes.

        Parameters
        ----------
        stack : array, shape (s, z, h, w)
        present : array, shape (s,)
        spacing_mm : float
            Between slices.
        flips : bool

        Returns
        -------
        logits : array, shape (members x flips, z, h, w)
            Flips of one member follow one another.
        nodes : array, shape (z, h, w)
        """
        slices = np.arange(stack.shape[1])
        found = [
            self._run(member, stack, present, spacing_mm, slices, flip)
            for member in self.members
            for flip in ((False, True) if flips else (False,))
        ]
        nodes = torch.stack([torch.sigmoid(logits[1]) for logits in found]).mean(dim=0)
        return torch.stack([logits[0] for logits in found]).numpy(), nodes.numpy()

    def first(
        self, stack: Floats, present: Floats, spacing_mm: float, slices: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """Logits of primary tumor and probability of nodes of the first member in some slices."""
        logits = self._run(self.members[0], stack, present, spacing_mm, slices, False)
        return logits[0].numpy(), torch.sigmoid(logits[1]).numpy()

    @torch.inference_mode()
    def _run(
        self,
        member: torch.nn.Module,
        stack: Floats,
        present: Floats,
        spacing_mm: float,
        slices: NDArray[np.int64],
        flip: bool,
    ) -> torch.Tensor:
        """Logits, shape (2, slices, h, w), in the memory of the host."""
        images = torch.from_numpy(stack).to(self.device)
        images = images.flip(-1) if flip else images
        indices = slab_indices(stack.shape[1], spacing_mm, self.grid)[slices]
        there = torch.from_numpy(present).to(self.device)
        parts = []
        start = 0
        while start < len(indices):
            wanted = indices[start : start + self.batch]
            try:
                with self._precision():
                    logits = member(take_slabs(images, wanted), there.expand(len(wanted), -1))
                parts.append(logits.float().cpu())
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not _is_memory(error):
                    raise
                self._shrink()
                continue
            start += len(wanted)
        found = torch.cat(parts).transpose(0, 1)
        return (found.flip(-1) if flip else found).contiguous()

    def _precision(self) -> torch.autocast:
        """bfloat16 where the processor computes with it: on such a CPU 1.8 times as fast."""
        enabled = uses_bf16("auto", self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)

    def _shrink(self) -> None:
        if self.batch == 1:
            raise ExtractionError(
                "there is not enough memory to segment a single slab",
                "Close other programs, or set segmentation.device: cpu.",
            )
        self.batch = max(1, self.batch // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        note = f"out of memory: {self.batch} slabs at once from here on"
        self.notes.append(note)
        print(f"segment: {note}", file=sys.stderr, flush=True)


def _is_memory(error: RuntimeError) -> bool:
    text = str(error).lower()
    return any(words in text for words in ("out of memory", "not enough memory", "can't allocate memory"))
