"""What a segmenter is evaluated on: simulated patients of seeds that no training used, and real slices.

Every set gives a table of cases as ``radiomics_npc.segmentation.evaluation.evaluate`` makes it, with the
groups of each case joined to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from radiomics_npc.cohort.cases import Case
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.errors import RadiomicsNPCError
from radiomics_npc.imaging.reading import read_pair
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.segmentation.augmentation import degrade, to_window
from radiomics_npc.segmentation.evaluation import evaluate
from radiomics_npc.segmentation.heads import SPACING_MM, WINDOW_MM, draw_head
from radiomics_npc.segmentation.synthesis import HeadMap, draw_signals, draw_stack, take_stack
from radiomics_npc.settings import SEQUENCES
from radiomics_npc.simulate.acquisition import draw_series
from radiomics_npc.simulate.anatomy import build_head
from radiomics_npc.simulate.cohort import simulate_cohort
from radiomics_npc.simulate.nodes import enlarged_nodes, normal_nodes
from radiomics_npc.simulate.physics import take_image
from radiomics_npc.simulate.published import SCANNERS
from radiomics_npc.simulate.tumor import Interior
from radiomics_npc.simulate.variation import draw_variation
from radiomics_npc.storage import read_table

SEED = 7_240_101  # heads to train on have seeds from 20240101
MATRIX = 256
# one sequence left out and one alone: with three sequences these are all pairs and all singles
SUBSETS = (
    SEQUENCES, ("t1", "t2"), ("t1", "ce_t1"), ("t2", "ce_t1"), ("t1",), ("t2",), ("ce_t1",),
)  # fmt: skip
FREE, TRAINING = "every tissue a signal by chance", "drawn as in training"
# the slices come without a header: 512 pixels; a head of 314 to 387 pixels across the cheeks or ears and
# 401 to 494 from nose to occiput is of usual size (about 160 by 205 mm) at 0.42 to 0.48 mm
REAL_PIXELS_MM = (0.45, 0.42, 0.48)
_PIXEL_MM, _PIXELS = 0.8, 224


@lru_cache(maxsize=1)
def segmenter(model: Path) -> Any:
    """Read the model once a process."""
    from radiomics_npc.segmentation.prediction import load_segmenter

    return load_segmenter(model, device="cpu")


def predict(model: Path, images: Mapping[str, Volume]) -> Mapping[str, Mask]:
    """Masks by sequence; none where prediction refused, which is then scored as missing."""
    try:
        masks: Mapping[str, Mask] = segmenter(model).predict(images).masks
    except RadiomicsNPCError:
        return {}
    return masks


@dataclass(frozen=True)
class Order:
    """What a worker needs for one case."""

    model: Path
    name: str
    seed: tuple[int, ...] = ()
    case: Case | None = None
    subsets: tuple[tuple[str, ...], ...] = (SEQUENCES,)


def run(worker: Any, orders: Iterable[Order], what: str, jobs: int) -> pd.DataFrame:
    """All cases of a set, in the order of their names."""
    orders = list(orders)
    tables = list(track(map_cases(worker, orders, jobs=jobs, ordered=True), what, len(orders)))
    return pd.concat(tables, ignore_index=True)


def patients(out: Path, model: Path, count: int, fewer: int, seed: int, jobs: int) -> pd.DataFrame:
    """Simulated patients through DICOM, every sequence on its own grid; ``fewer`` of them also by subset."""
    folder = out / "patients"
    simulate_cohort(folder, patients=count, seed=seed, matrix=MATRIX, jobs=jobs)
    cohort = read_cohort(folder)
    orders = [
        Order(model, case.patient_id, case=case, subsets=SUBSETS if k < fewer else SUBSETS[:1])
        for k, case in enumerate(cohort.cases)
    ]
    table = run(one_patient, orders, "Patients", jobs)
    assert cohort.clinical is not None
    scans = read_table(folder / "meta_data.csv").drop_duplicates("patient_id").set_index("patient_id")
    scanner = scans["scanner_device_name"].map(_scanner)
    return table.assign(
        t_category=table["case"].map(cohort.clinical["T"].astype(str)), scanner=table["case"].map(scanner)
    )


def _scanner(model: str) -> str:
    about = SCANNERS[model]
    return f"{about.manufacturer.split()[0]}, {about.field_tesla:.1f} T"


def one_patient(order: Order) -> pd.DataFrame:
    """A patient of a cohort with contours, by each subset of the sequences."""
    torch.set_num_threads(1)
    assert order.case is not None
    pairs = {s: read_pair(files) for s, files in order.case.images.items()}
    tables = []
    for subset in order.subsets:
        found = predict(order.model, {s: pairs[s][0] for s in subset})
        drawn = {s: pairs[s][1] for s in subset}
        table = evaluate(found, drawn, name="sequence", simulated=True)
        tables.append(table.assign(case=order.name, sequences=" + ".join(subset)))
    return pd.concat(tables, ignore_index=True)


def contrasts(model: Path, count: int, seed: int, jobs: int) -> pd.DataFrame:
    """Heads with a tumor, each imaged twice: contrasts by chance alone, and as in training."""
    orders = [Order(model, f"{k:03d}", (seed, k, 3)) for k in range(count)]
    return run(one_contrast, orders, "Contrasts", jobs)


def one_contrast(order: Order) -> pd.DataFrame:
    """One head in both regimes; all sequences share a grid, and one of them is measured."""
    torch.set_num_threads(1)
    head, about = tumor_head(np.random.default_rng(order.seed))
    tables = []
    for number, regime in enumerate((FREE, TRAINING)):
        rng = np.random.default_rng((*order.seed, number))
        signals = draw_signals(rng, 1.0) if regime == FREE else draw_signals(rng)
        images, drawn = take_volumes(head, signals, rng)
        found = {s: m for s, m in predict(order.model, images).items() if s == "t2"}
        table = evaluate(found, {"t2": drawn}, name="sequence", simulated=True)
        tables.append(table.assign(case=order.name, regime=regime, t_category=about["t_stage"]))
    return pd.concat(tables, ignore_index=True)


def tumor_head(rng: np.random.Generator) -> tuple[HeadMap, dict[str, Any]]:
    """The first head with a tumor."""
    while True:
        tissue, target, about = draw_head(rng)
        if about["t_stage"] != "none":
            first = tuple(low for low, _ in WINDOW_MM)
            return HeadMap(torch.from_numpy(tissue), torch.from_numpy(target), SPACING_MM, first), about  # type: ignore[arg-type]


def take_volumes(
    head: HeadMap, signals: dict[str, np.ndarray], rng: np.random.Generator
) -> tuple[dict[str, Volume], Mask]:
    """Images of a head by an imperfect scanner, and the contour on their grid."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    stack = draw_stack(rng, head)
    images, target = take_stack(head, stack, signals, rng, generator)
    steps = (torch.arange(_PIXELS) - (_PIXELS - 1) / 2) * _PIXEL_MM
    first, spacing, size = head.first_mm[1:], head.spacing_mm[1:], head.tissue.shape[1:]
    middle = [a + (n - 1) / 2 * d for a, d, n in zip(first, spacing, size, strict=True)]
    place = torch.stack(torch.meshgrid(steps + middle[0], steps + middle[1], indexing="ij"), dim=-1)
    images = degrade(torch.clamp(to_window(images, place, first, spacing), min=0), rng, generator)
    geometry = (
        (_PIXEL_MM, _PIXEL_MM, stack.spacing_mm),
        (float(place[0, 0, 1]), float(place[0, 0, 0]), float(stack.centers_mm[0])),
    )
    drawn = to_window(target, place, first, spacing)[0] > 0.5
    volumes = {s: Volume(image.numpy(), *geometry) for s, image in zip(signals, images, strict=True)}
    return volumes, Mask(drawn.numpy(), *geometry)


def tumor_free(model: Path, count: int, seed: int, jobs: int) -> pd.DataFrame:
    """Heads without a tumor, taken as the patients are: what is predicted is false."""
    return run(one_tumor_free, [Order(model, f"{k:03d}", (seed, k, 4)) for k in range(count)], "Free", jobs)


def one_tumor_free(order: Order) -> pd.DataFrame:
    """One head with nodes of any category, and no tumor."""
    torch.set_num_threads(1)
    images = tumor_free_volumes(np.random.default_rng(order.seed))
    drawn = {
        s: Mask(np.zeros(v.array.shape, bool), v.spacing_mm, v.origin_mm, v.direction)
        for s, v in images.items()
    }
    table = evaluate(predict(order.model, images), drawn, name="sequence", simulated=True)
    return table.assign(case=order.name)


def tumor_free_volumes(rng: np.random.Generator, matrix: int = MATRIX) -> dict[str, Volume]:
    """The three series of an examination of a head without a tumor."""
    share = np.array([about.patients for about in SCANNERS.values()], dtype=float)
    series = draw_series(rng, str(rng.choice(list(SCANNERS), p=share / share.sum())), matrix)
    ends = [one.axes[0][[0, -1]] for one in series.values()]
    nodes = (*normal_nodes(rng), *enlarged_nodes(rng, str(rng.choice(["N0", "N1", "N2", "N3"]))))
    z_range = (min(e[0] for e in ends) - 5, max(e[1] for e in ends) + 5)
    head = build_head(rng, z_range, nodes, draw_variation(rng))
    none = np.zeros((1, 1, 1), dtype=np.float32)
    nothing = Interior((slice(0, 1),) * 3, none > 0, none, none)
    return {
        s: Volume(take_image(rng, head, nothing, one), one.spacing_mm, one.origin_mm, one.direction)
        for s, one in series.items()
    }


def real_slices(folder: Path, model: Path) -> pd.DataFrame:
    """Real T2 slices, each of another patient and its own neighbor; at three guesses of the pixel size."""
    tables = []
    for number, (image, drawn) in enumerate(read_slices(folder), start=1):
        for pixel_mm in REAL_PIXELS_MM:
            spacing = (pixel_mm, pixel_mm, 5.5)
            volume = Volume(image[None], spacing)
            found = predict(model, {"t2": volume})
            table = evaluate(found, {"t2": Mask(drawn[None], spacing)}, name="sequence")
            tables.append(table.assign(case=f"{number:02d}", pixel=f"{pixel_mm:g} mm"))
    return pd.concat(tables, ignore_index=True)


def read_slices(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of slice and contour, in the order of their names."""
    pairs = []
    for file in sorted((folder / "images").glob("*.jpg")):
        with Image.open(file) as image, Image.open(folder / "masks" / file.name) as drawn:
            pairs.append((np.asarray(image.convert("L"), np.float32), np.asarray(drawn.convert("L")) > 127))
    return pairs
