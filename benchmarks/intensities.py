"""How much of the scanner is left in features after each choice of intensities.

    python -m benchmarks.intensities OUT [--heads 6] [--scans 3] [--matrix 128] [--jobs 0]

Each simulated head is taken several times, with another coil (1.5 or 3 T), gain (a factor of e**0.6), field
of view (205 to 260 mm), position and noise, and nothing else changed. A feature that tells of the patient
agrees between the scans: ICC(1,1), median over features and share of at least 0.75. "ideal" is the same image
taken without coil and with one gain for all: what noise, resolution and position leave at best. Histogram
landmarks come from five further heads. Texture is measured with 32 bins a tumor, and with one width of bins
for all (an eighth of the standard deviation of all tumors on that scale).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from radiomics_npc.features.measure import measure_case
from radiomics_npc.features.stability import intraclass_correlation
from radiomics_npc.imaging.bias_field import correct_bias
from radiomics_npc.imaging.landmarks import StandardScale
from radiomics_npc.imaging.normalize import body_mask, normalize_body, normalize_image, normalize_percentile
from radiomics_npc.imaging.nyul import fit_landmarks, normalize_nyul
from radiomics_npc.imaging.reference_tissue import normalize_reference
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.parallel import map_cases
from radiomics_npc.settings import SEQUENCES
from radiomics_npc.simulate import physics
from radiomics_npc.simulate.acquisition import Series, draw_series
from radiomics_npc.simulate.anatomy import Head, build_head
from radiomics_npc.simulate.artifacts import CLEAN
from radiomics_npc.simulate.nodes import normal_nodes
from radiomics_npc.simulate.tissue import Tissue
from radiomics_npc.simulate.tumor import INNER, contour, draw_interior, grow
from radiomics_npc.simulate.variation import draw_variation
from radiomics_npc.storage import write_table

_GAIN, _VOLUME_CM3, _FURTHER = 1500.0, 20.0, 5
_TEXTURE = {"glcm": None, "glrlm": None, "glszm": None}
_GRID = {"resampledPixelSpacing": [1, 1, 1], "interpolator": "sitkBSpline", "padDistance": 5}


@dataclass(frozen=True, eq=False)
class Scan:
    """One image of a head, with the image that an ideal scanner would have given."""

    head: int
    sequence: str
    number: int
    image: Volume
    ideal: Volume
    tumor: Mask
    muscle: Mask


def take_scans(seed: int, count: int, matrix: int) -> Iterator[Scan]:
    """Take a head several times by different scanners of one protocol."""
    rng = np.random.default_rng([seed, 7])
    series = draw_series(rng, "Achieva", matrix)
    ends = [one.axes[0][[0, -1]] for one in series.values()]
    z_range = (min(end[0] for end in ends) - 5, max(end[1] for end in ends) + 5)
    head = build_head(rng, z_range, normal_nodes(rng), draw_variation(rng, 50.0))
    growth = grow(rng, head, "T3", 1.0)
    interior = draw_interior(rng, head, growth, _VOLUME_CM3 * INNER, 0.5)
    own_coil = physics._coil
    for number in range(count):
        drawn = _scanner(rng)
        for name in SEQUENCES:
            one = _protocol(series[name], drawn, matrix)
            noise = int(rng.integers(2**31))
            image = physics.take_image(np.random.default_rng(noise), head, interior, one)
            physics._coil = _no_coil
            even = replace(one, gain=_GAIN)
            ideal = physics.take_image(np.random.default_rng(noise), head, interior, even)
            physics._coil = own_coil
            tumor = contour(np.random.default_rng(3), growth, one, _VOLUME_CM3)
            yield Scan(
                seed, name, number, *(Volume(array, one.spacing_mm) for array in (image, ideal)),
                Mask(tumor, one.spacing_mm), Mask(_muscle(head, one), one.spacing_mm),
            )  # fmt: skip


def _scanner(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "fov": rng.uniform(205, 260), "gain": _GAIN * float(np.exp(rng.normal(0, 0.6))),
        "bias": float(rng.choice([0.095, 0.17])), "noise": float(np.exp(rng.normal(0, 0.2))),
        "shift": rng.uniform(-6, 6, 2),
    }  # fmt: skip


def _protocol(series: Series, drawn: dict[str, Any], matrix: int) -> Series:
    pixel = drawn["fov"] / matrix
    half = (matrix - 1) / 2 * pixel
    x, y = drawn["shift"]
    return replace(
        series, faults=CLEAN, motion_mm=(0.0, 0.0, 0.0), spacing_mm=(pixel, pixel, series.spacing_mm[2]),
        first_mm=(x - half, y - 4 - half, series.first_mm[2]), gain=drawn["gain"], bias=drawn["bias"],
        noise=series.noise * drawn["noise"], acquired_matrix=min(matrix, round(drawn["fov"] / 1.3)),
    )  # fmt: skip


def _no_coil(_: Any, axes: tuple[Any, Any, Any], __: float) -> np.ndarray:
    return np.ones([len(axis) for axis in axes], dtype=np.float32)


def _muscle(head: Head, series: Series) -> np.ndarray:
    """Voxels whose middle is muscle, without those beside another tissue in their slice."""
    nearest = [
        np.clip(np.rint((axis - grid[0]) / (grid[1] - grid[0])).astype(int), 0, len(grid) - 1)
        for axis, grid in zip(series.axes, head.axes, strict=True)
    ]
    return ndimage.binary_erosion(head.tissue[np.ix_(*nearest)] == Tissue.MUSCLE, np.ones((1, 3, 3)))


def prepare(scan: Scan, scale: StandardScale) -> dict[str, Volume]:
    """The image after each choice, by its name."""
    image, muscle = scan.image, scan.muscle
    body = body_mask(image)
    corrected = correct_bias(image, body)[0]
    return {
        "ideal": scan.ideal, "none": image, "image": normalize_image(image),
        "body": normalize_body(image, body=body), "percentile": normalize_percentile(image, body=body),
        "nyul": normalize_nyul(image, scale, body=body), "reference": normalize_reference(image, muscle),
        "N4, none": corrected, "N4, body": normalize_body(corrected, body=body),
        "N4, reference": normalize_reference(corrected, muscle),
    }  # fmt: skip


def _near_tumor(volume: Volume, tumor: Mask) -> tuple[Volume, Mask]:
    where = np.argwhere(tumor.array)
    low = np.maximum(where.min(axis=0) - np.array([2, 12, 12]), 0)
    high = where.max(axis=0) + np.array([3, 13, 13])
    part = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    array = np.asarray(volume.array[part], dtype=float)
    return Volume(array, volume.spacing_mm), Mask(tumor.array[part], volume.spacing_mm)


def _scans_of(seed: int, *, count: int, matrix: int, scales: dict[str, StandardScale]) -> list[Any]:
    return [
        (scan.head, scan.sequence, scan.number, how, *_near_tumor(volume, scan.tumor))
        for scan in take_scans(seed, count, matrix)
        for how, volume in prepare(scan, scales[scan.sequence]).items()
    ]


def _features_of(item: tuple[Any, ...], *, widths: dict[tuple[str, str], float]) -> list[dict[str, Any]]:
    head, sequence, number, how, image, tumor = item
    kinds = {
        "first-order": {"featureClass": {"firstorder": None}, "setting": _GRID | {"binCount": 32}},
        "texture, 32 bins": {"featureClass": _TEXTURE, "setting": _GRID | {"binCount": 32}},
        "texture, one width": {
            "featureClass": _TEXTURE, "setting": _GRID | {"binWidth": widths[sequence, how]},
        },
    }  # fmt: skip
    rows = []
    for kind, parameters in kinds.items():
        wanted = parameters | {"imageType": {"Original": {}}}
        found = measure_case(image, tumor, wanted, normalize="none", with_morphology=False).features
        rows += [
            {"head": head, "sequence": sequence, "scan": number, "choice": how, "kind": kind,
             "feature": name, "value": value}
            for name, value in found.items()
        ]  # fmt: skip
    return rows


def agreement(features: pd.DataFrame) -> pd.DataFrame:
    """ICC(1,1) between the scans, of every feature of every sequence."""
    rows = []
    keys = ["choice", "sequence", "kind", "feature"]
    for key, part in features.groupby(keys, sort=False):
        table = part.pivot_table(index="head", columns="scan", values="value").to_numpy()
        if np.ptp(table) > 0:
            icc = float(np.asarray(intraclass_correlation(table).estimate))
            rows.append(dict(zip(keys, key, strict=True)) | {"icc": icc})
    return pd.DataFrame(rows)


def main() -> None:
    """Take the heads, measure all, and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    for name, value in (("heads", 6), ("scans", 3), ("matrix", 128), ("jobs", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    further = [s for seed in range(100, 100 + _FURTHER) for s in take_scans(seed, 1, asked.matrix)]
    scales = {
        name: fit_landmarks((s.image for s in further if s.sequence == name), name).scale(name)
        for name in SEQUENCES
    }
    take = partial(_scans_of, count=asked.scans, matrix=asked.matrix, scales=scales)
    items = [i for found in map_cases(take, range(1, asked.heads + 1), jobs=asked.jobs) for i in found]
    inside: dict[tuple[str, str], list[np.ndarray]] = {}
    for _, sequence, _, how, image, tumor in items:
        inside.setdefault((sequence, how), []).append(image.array[tumor.array])
    widths = {place: float(np.concatenate(values).std() / 8) for place, values in inside.items()}
    measured = map_cases(partial(_features_of, widths=widths), items, jobs=asked.jobs)
    found = agreement(pd.DataFrame([row for rows in measured for row in rows]))
    table = found.groupby(["choice", "kind"], sort=False)["icc"].agg(
        median="median", at_least_075=lambda icc: (icc >= 0.75).mean()
    )
    write_table(asked.out / "icc.csv", found.assign(simulated=True))
    write_table(asked.out / "summary.csv", table.reset_index().assign(simulated=True))
    print(table.round(2).to_string())


if __name__ == "__main__":
    main()
