"""What a segmenter is trained on: simulated heads, imaged anew at every draw, or a cohort with contours.

Both lie on disk as plain arrays that are mapped into memory, never as pickles, and under running numbers
instead of names.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.augmentation import degrade, drop_sequences, to_window, window_coordinates
from radiomics_npc.segmentation.slabs import NetworkGrid, Slabs, slab_indices, standardize, take_slabs
from radiomics_npc.segmentation.synthesis import FREE_CONTRAST, HeadMap, draw_signals, draw_stack, take_stack

__all__ = ["CaseArrays", "CaseStore", "HeadStore"]

SLABS_PER_VOLUME: Final = 6
TUMOR_SHARE: Final = 0.6
HEALTHY_SHARE: Final = 0.25
_LEAST_PIXELS: Final = 5


def _read_index(folder: Path, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder.name} holds no readable {name}", "Let train-segmenter make the training data again."
        ) from error
    return found


def _mapped(folder: Path, name: str) -> NDArray[np.uint8]:
    try:
        found: NDArray[np.uint8] = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder.name} holds no readable {name}", "Let train-segmenter make the training data again."
        ) from error
    return found


@dataclass(frozen=True, eq=False)
class _Volume:
    """One augmented examination in the window of the network, not yet standardized."""

    images: Tensor  # (s, z, h, w)
    target: Tensor  # (2, z, h, w), 0 or 1
    known: NDArray[np.bool_]
    present: NDArray[np.bool_]
    spacing_mm: float


class _Store(ABC):
    """Draws slabs from whole volumes."""

    about: dict[str, Any]

    def __init__(self, folder: Path, indices: Sequence[int], grid: NetworkGrid) -> None:
        self.folder, self.indices, self.grid = folder, list(indices), grid

    @property
    def chances(self) -> NDArray[np.float64] | None:
        """How often each patient is drawn; None where all are alike."""
        return None

    def __len__(self) -> int:
        return len(self.indices)

    @abstractmethod
    def _volume(
        self, index: int, rng: np.random.Generator, generator: torch.Generator, easy: bool
    ) -> _Volume:
        """Take one patient, augmented."""

    def draw(self, rng: np.random.Generator, slabs: int, device: torch.device, *, ease: float = 0.0) -> Slabs:
        """Draw a batch, augmented; the same state of ``rng`` gives the same batch.

        Up to 6 slabs are taken from one volume, about 60% of them through the primary tumor. A share
        ``ease`` of the volumes is easy: contrasts by physics, no faults, no sequence left out.
        """
        generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
        parts = []
        for start in range(0, slabs, SLABS_PER_VOLUME):
            easy = bool(rng.random() < ease)
            volume = self._volume(int(rng.choice(self.indices, p=self.chances)), rng, generator, easy)
            parts.append(_slabs_of(volume, min(SLABS_PER_VOLUME, slabs - start), self.grid, rng, easy))
        names = ("images", "present", "target", "known")
        return Slabs(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def _slabs_of(volume: _Volume, count: int, grid: NetworkGrid, rng: np.random.Generator, easy: bool) -> Slabs:
    images = torch.stack([standardize(image) for image in volume.images])
    device = images.device
    through = (volume.target[0].sum(dim=(1, 2)) >= _LEAST_PIXELS).cpu().numpy()
    wanted = np.where(rng.random(count) < TUMOR_SHARE, 1, 0)
    middles = [
        rng.choice(np.flatnonzero(through == w) if (through == w).any() else len(through)) for w in wanted
    ]
    present = np.stack(
        [volume.present if easy else drop_sequences(rng, volume.present) for _ in range(count)]
    )
    kept = torch.as_tensor(present, dtype=torch.float32, device=device)
    indices = slab_indices(images.shape[1], volume.spacing_mm, grid)[middles]
    slabs = take_slabs(images, indices) * kept[:, :, None, None, None]
    target = volume.target[:, torch.as_tensor(middles, device=device)].transpose(0, 1)
    known = torch.as_tensor(volume.known, dtype=torch.float32, device=device).expand(count, 2)
    return Slabs(slabs, kept, target, known)


class HeadStore(_Store):
    """Simulated heads, as :func:`radiomics_npc.segmentation.heads.write_heads` leaves them.

    Parameters
    ----------
    folder : Path
        With ``tissue.npy``, ``target.npy``, ``heads.json``.
    grid : NetworkGrid

    Raises
    ------
    ConfigError
        The folder holds no heads.
    """

    def __init__(self, folder: Path, grid: NetworkGrid | None = None, indices: Sequence[int] | None = None):
        self.about = _read_index(folder, "heads.json")
        heads = self.about["heads"]
        super().__init__(folder, range(len(heads)) if indices is None else indices, grid or NetworkGrid())
        self._tissue, self._target = (_mapped(folder, f"{name}.npy") for name in ("tissue", "target"))

    @property
    def names(self) -> list[str]:
        """Names of the heads."""
        return [str(self.about["heads"][i]["name"]) for i in self.indices]

    @property
    def chances(self) -> NDArray[np.float64]:
        """Heads without a tumor are a quarter of those drawn, however few there are."""
        healthy = np.array([self.about["heads"][i]["t_stage"] == "none" for i in self.indices])
        if healthy.all() or not healthy.any():
            return np.full(len(healthy), 1 / len(healthy))
        return np.where(healthy, HEALTHY_SHARE / healthy.sum(), (1 - HEALTHY_SHARE) / (~healthy).sum())

    def subset(self, indices: Sequence[int]) -> HeadStore:
        """Some of the heads."""
        return HeadStore(self.folder, self.grid, [self.indices[i] for i in indices])

    def head(self, index: int, device: torch.device | str = "cpu") -> HeadMap:
        """One head, by its place among all of the folder."""
        z, y, x = self.about["spacing_mm"]
        first = self.about["first_mm"]
        tissue = torch.from_numpy(np.array(self._tissue[index])).to(device)
        target = torch.from_numpy(np.array(self._target[index])).to(device)
        return HeadMap(tissue, target, (z, y, x), (first[0], first[1], first[2]))

    def _volume(
        self, index: int, rng: np.random.Generator, generator: torch.Generator, easy: bool
    ) -> _Volume:
        head = self.head(index, generator.device)
        stack = draw_stack(rng, head)
        images, target = take_stack(
            head, stack, draw_signals(rng, 0.0 if easy else FREE_CONTRAST), rng, generator
        )
        place = window_coordinates(rng, generator, self.grid) + _middle(head)
        apart = torch.as_tensor(rng.normal(0, 0.5, (len(images), 2)), dtype=torch.float32).to(place.device)
        first, spacing = head.first_mm[1:], head.spacing_mm[1:]
        images = to_window(images, place, first, spacing, apart)
        target = (to_window(target, place, first, spacing) > 0.5).float()
        images = torch.clamp(images, min=0)
        images = images if easy else degrade(images, rng, generator)
        every = np.ones(len(images), dtype=bool)
        return _Volume(images, target, np.ones(2, dtype=bool), every, stack.spacing_mm)


def _middle(head: HeadMap) -> Tensor:
    """Where the middle of the body lies, y and x."""
    body = (head.tissue[::4, ::2, ::2] > 0).float().sum(dim=0)
    middle = []
    for axis, other in ((1, 1), (2, 0)):
        weight = body.sum(dim=other)
        place = head.first_mm[axis] + 2 * head.spacing_mm[axis] * torch.arange(
            len(weight), device=body.device
        )
        middle.append((weight * place).sum() / weight.sum())
    return torch.stack(middle)


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """One whole patient on the grid of the network.

    Parameters
    ----------
    images : Tensor, shape (s, z, h, w)
        Standardized, 0 where a sequence is absent.
    present : Tensor, shape (s,)
    target : Tensor of uint8, shape (2, z, h, w)
    known : Tensor, shape (2,)
    spacing_mm : tuple
        Along z, y, x.
    """

    images: Tensor
    present: Tensor
    target: Tensor
    known: Tensor
    spacing_mm: tuple[float, float, float]


class CaseStore(_Store):
    """Patients with contours, as :func:`radiomics_npc.segmentation.cases.write_cases` leaves them.

    Parameters
    ----------
    folder : Path
        With ``cases.json``, ``images-K.npy``, ``target-K.npy``.
    grid : NetworkGrid

    Raises
    ------
    ConfigError
        The folder holds no cases.
    """

    def __init__(self, folder: Path, grid: NetworkGrid | None = None, indices: Sequence[int] | None = None):
        self.about = _read_index(folder, "cases.json")
        cases = self.about["cases"]
        super().__init__(folder, range(len(cases)) if indices is None else indices, grid or NetworkGrid())

    @property
    def names(self) -> list[str]:
        """Running numbers."""
        return [str(self.about["cases"][i]["name"]) for i in self.indices]

    def subset(self, indices: Sequence[int]) -> CaseStore:
        """Some of the patients."""
        return CaseStore(self.folder, self.grid, [self.indices[i] for i in indices])

    def case(self, index: int) -> CaseArrays:
        """One patient of this store, in the middle window."""
        about, images, target = self._read(self.indices[index])
        edges = [(size - self.grid.window) // 2 for size in images.shape[-2:]]
        inner = tuple(slice(edge, edge + self.grid.window) for edge in edges)
        present = torch.as_tensor(about["present"], dtype=torch.float32)
        cut = torch.stack([standardize(image[:, inner[0], inner[1]]) for image in images])
        z, y, x = about["spacing_mm"]
        return CaseArrays(
            cut * present[:, None, None, None], present, target[:, :, inner[0], inner[1]],
            torch.as_tensor(about["known"], dtype=torch.float32), (z, y, x),
        )  # fmt: skip

    def _read(self, index: int) -> tuple[dict[str, Any], Tensor, Tensor]:
        images = torch.from_numpy(np.load(self.folder / f"images-{index}.npy").astype(np.float32))
        target = torch.from_numpy(np.load(self.folder / f"target-{index}.npy"))
        return self.about["cases"][index], images, target

    def _volume(
        self, index: int, rng: np.random.Generator, generator: torch.Generator, easy: bool
    ) -> _Volume:
        about, images, target = self._read(index)
        device = generator.device
        images, labels = images.to(device), target.to(device).float()
        spacing = self.grid.pixel_mm
        first = [-(size - 1) / 2 * spacing for size in images.shape[-2:]]
        place = window_coordinates(rng, generator, self.grid)
        corner, step = (first[0], first[1]), (spacing, spacing)
        apart = torch.as_tensor(rng.normal(0, 0.4, (len(images), 2)), dtype=torch.float32).to(device)
        images = to_window(images - images.amin(dim=(1, 2, 3), keepdim=True), place, corner, step, apart)
        labels = (to_window(labels, place, corner, step) > 0.5).float()
        images = torch.clamp(images, min=0)
        images = images if easy else degrade(images, rng, generator)
        known, present = np.asarray(about["known"], dtype=bool), np.asarray(about["present"], dtype=bool)
        return _Volume(images, labels, known, present, float(about["spacing_mm"][0]))
