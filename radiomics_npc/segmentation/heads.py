"""Simulated heads on disk, as tissue maps that training turns into images of any contrast."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radiomics_npc._version import __version__
from radiomics_npc.errors import ConfigError
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.simulate.anatomy import THROUGH_PLANE_MM, Head, build_head
from radiomics_npc.simulate.nodes import enlarged_nodes, normal_nodes
from radiomics_npc.simulate.tissue import Tissue
from radiomics_npc.simulate.tumor import INNER, arrival_in, cut, draw_interior, grow
from radiomics_npc.simulate.variation import draw_variation
from radiomics_npc.storage import write_json

__all__ = ["SPACING_MM", "WINDOW_MM", "draw_head", "write_heads"]

SPACING_MM: Final = (THROUGH_PLANE_MM, 1.0, 1.0)
# what is kept of each head: low and high along z (up), y (back), x (left), in mm from the nasopharynx
WINDOW_MM: Final = ((-60.0, 70.0), (-100.0, 80.0), (-84.0, 84.0))

# share of heads, median volume in cm3 (lognormal, cut at the limits below)
_STAGES: Final[dict[str, tuple[float, float]]] = {
    "none": (0.10, 0.0), "T1": (0.24, 3.0), "T2": (0.20, 6.0), "T3": (0.26, 11.0), "T4": (0.20, 24.0),
}  # fmt: skip
_VOLUME_LOG_SD: Final = 0.75
_VOLUME_LIMITS_CM3: Final = (0.5, 85.0)
_NODE_SHARES: Final = {"N0": 0.30, "N1": 0.30, "N2": 0.27, "N3": 0.13}
_METASTATIC: Final = (Tissue.METASTASIS, Tissue.NECROSIS)

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Order:
    """What a worker needs to make one head."""

    folder: Path
    number: int
    seed: int


def write_heads(out: Path | str, *, heads: int, seed: int, jobs: int = 0) -> Path:
    """Write simulated heads as arrays that can be mapped into memory.

    Parameters
    ----------
    out : path
        Folder; heads written there before are replaced.
    heads : int
        How many. A head takes 5.7 MB and about a second.
    seed : int
        The same seed gives the same first heads for any number of heads and processes.
    jobs : int
        Worker processes; 0 takes all cores.

    Returns
    -------
    Path
        ``out``. It holds ``tissue.npy`` and ``target.npy``, both uint8 of shape (heads, z, y, x): labels of
        :class:`radiomics_npc.simulate.tissue.Tissue`, and 0 nothing, 1 primary tumor, 2 metastatic
        node; and ``heads.json``, written last.

    Raises
    ------
    ConfigError
        A number is out of range.

    Examples
    --------
    >>> import tempfile
    >>> folder = write_heads(tempfile.mkdtemp(), heads=1, seed=1, jobs=1)
    >>> np.load(folder / "tissue.npy", mmap_mode="r").shape
    (1, 93, 181, 169)
    """
    if heads < 1 or seed < 0:
        raise ConfigError("heads must be at least 1 and seed not negative", "Change --heads or --seed.")
    out = Path(out).absolute()  # worker processes may have another current folder
    out.mkdir(parents=True, exist_ok=True)
    (out / "heads.json").unlink(missing_ok=True)
    for name in ("tissue", "target"):
        np.lib.format.open_memmap(_file(out, name), "w+", np.uint8, (heads, *_shape()))
    orders = [_Order(out, number, seed) for number in range(heads)]
    rows = list(track(map_cases(_write_head, orders, jobs=jobs), "Heads", heads))
    description = {
        "simulated": True,
        "spacing_mm": SPACING_MM,
        "first_mm": [low for low, _ in WINDOW_MM],
        "heads": sorted(rows, key=lambda row: row["name"]),
        "seed": seed,
        "version": __version__,
    }
    write_json(out / "heads.json", description)
    return out


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _shape() -> tuple[int, int, int]:
    z, y, x = (int((high - low) / s) + 1 for (low, high), s in zip(WINDOW_MM, SPACING_MM, strict=True))
    return z, y, x


def _write_head(order: _Order) -> dict[str, Any]:
    # the third number keeps these draws apart from those of simulated cohorts
    rng = np.random.default_rng([order.seed, order.number, 2])
    tissue, target, row = draw_head(rng)
    for name, labels in (("tissue", tissue), ("target", target)):
        np.load(_file(order.folder, name), mmap_mode="r+")[order.number] = labels
    return {"name": f"head-{order.number:05d}", **row, "seed": [order.seed, order.number, 2]}


def draw_head(rng: np.random.Generator) -> tuple[Labels, Labels, dict[str, Any]]:
    """Draw one head with or without a tumor.

    Returns
    -------
    tissue, target : arrays of uint8, shape (z, y, x)
        Over :data:`WINDOW_MM`.
    dict
        ``t_stage`` ("none" without a tumor), ``n_stage``, ``volume_cm3`` of target 1.
    """
    t_stage = str(rng.choice(list(_STAGES), p=[share for share, _ in _STAGES.values()]))
    n_stage = str(rng.choice(list(_NODE_SHARES), p=list(_NODE_SHARES.values())))
    nodes = (*normal_nodes(rng), *enlarged_nodes(rng, n_stage))
    head = build_head(rng, WINDOW_MM[0], nodes, draw_variation(rng), (WINDOW_MM[1], WINDOW_MM[2]))
    target = np.where(np.isin(head.tissue, _METASTATIC), 2, 0).astype(np.uint8)
    if t_stage != "none":
        _add_tumor(rng, head, target, t_stage)
    window = tuple(
        slice(first := int(np.searchsorted(axis, low - 1e-6)), first + n)
        for axis, (low, _), n in zip(head.axes, WINDOW_MM, _shape(), strict=True)
    )
    tissue, target = head.tissue[window], target[window]
    volume = float((target == 1).sum() * np.prod(SPACING_MM) / 1000)
    return tissue, target, {"t_stage": t_stage, "n_stage": n_stage, "volume_cm3": round(volume, 4)}


def _add_tumor(rng: np.random.Generator, head: Head, target: Labels, t_stage: str) -> None:
    """Paint a tumor into the tissues and its contour into the target.

    The contour is the inner part of the lesion, as simulated cohorts have it: the lesion painted is
    larger by the factor :data:`radiomics_npc.simulate.tumor.INNER`.
    """
    wanted = _STAGES[t_stage][1] * float(np.exp(_VOLUME_LOG_SD * rng.normal()))
    volume = float(np.clip(wanted, *_VOLUME_LIMITS_CM3))
    growth = grow(rng, head, t_stage, float(np.clip(rng.normal(1.0, 0.2), 0.4, 1.4)))
    interior = draw_interior(rng, head, growth, volume * INNER, float(np.clip(rng.normal(), -2.5, 2.5)))
    box, arrival = arrival_in(head, growth)
    contour = cut(arrival, round(volume * 1000 / float(np.prod(SPACING_MM)))) & interior.inside
    head.tissue[box][interior.inside] = Tissue.TUMOR
    head.tissue[box][interior.inside & (interior.necrosis > 0.5)] = Tissue.NECROSIS
    target[box][interior.inside] = 0
    target[box][contour] = 1
