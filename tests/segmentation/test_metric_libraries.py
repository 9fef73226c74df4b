"""Overlap and surface measures beside MONAI, MedPy and surface-distance, on masks that each can make."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.segmentation.metrics import segmentation_metrics

TABLE = pd.read_csv(Path(__file__).parents[1] / "reference" / "segmentation_libraries.csv", comment="#")
ROWS = TABLE.to_dict("records")
NAMES = [f"{row['grid']}-{k}" for k, row in enumerate(ROWS)]


def ellipsoid(row, name):
    shape, spacing = (row["z"], row["y"], row["x"]), (row["spacing_z"], row["spacing_y"], row["spacing_x"])
    z, y, x = ((i - (n - 1) / 2) * s for i, n, s in zip(np.indices(shape), shape, spacing, strict=True))
    parts = ((x, "x"), (y, "y"), (z, "z"))
    return sum(((at - row[f"{name}_c{k}"]) / row[f"{name}_r{k}"]) ** 2 for at, k in parts) <= 1


def measured(row, mode):
    spacing = (row["spacing_x"], row["spacing_y"], row["spacing_z"])
    masks = ellipsoid(row, "predicted"), ellipsoid(row, "reference")
    return segmentation_metrics(*masks, spacing, tolerances_mm=(1.0,), mode=mode)


@pytest.fixture(scope="module")
def gaps():
    """Largest distance in mm between the faces and each library, by grid."""
    rows = []
    for row in ROWS:
        found = measured(row, "faces")
        for library in ("monai", "medpy", "deepmind"):
            hd95 = abs(found.hd95_mm - row[f"{library}_hd95"])
            mean = abs(found.mean_surface_distance_mm - row[f"{library}_assd"])
            rows.append({"grid": row["grid"], "library": library, "hd95": hd95, "mean": mean})
    return pd.DataFrame(rows).groupby(["grid", "library"]).max()


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_dice_is_that_of_monai_and_medpy(row):
    found = measured(row, "surfel").dice
    assert found == pytest.approx(row["monai_dice"], abs=1e-6)  # MONAI counts in single precision
    assert found == pytest.approx(row["medpy_dice"], abs=1e-12)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_surfels_measure_what_surface_distance_does(row):
    found = measured(row, "surfel")
    numbers = found.hd_mm, found.hd95_mm, found.mean_surface_distance_mm, found.nsd[0]
    expected = [row[f"deepmind_{name}"] for name in ("hd", "hd95", "assd", "nsd_1mm")]
    assert numbers == pytest.approx(expected, abs=1e-9)
    assert found.nsd[0] == pytest.approx(row["monai_nsd_1mm"], abs=1e-6)
    assert found.hd_mm == pytest.approx(row["monai_hd"], abs=1e-3)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_the_largest_distance_is_that_of_monai_within_half_a_voxel_in_the_plane(row):
    """Middles of faces lie half a voxel outside the middles of border voxels; both surfaces shift alike."""
    assert measured(row, "faces").hd_mm == pytest.approx(row["monai_hd"], abs=row["spacing_x"] / 2)


@pytest.mark.parametrize(("grid", "library", "hd95", "mean"), [
    ("isotropic", "monai", 0.3, 0.05), ("isotropic", "medpy", 0.3, 0.05), ("isotropic", "deepmind", 0.4, 0.3),
    ("thick", "monai", 0.6, 0.45), ("thick", "medpy", 0.9, 0.45), ("thick", "deepmind", 0.4, 0.35),
])  # fmt: skip
def test_faces_are_another_definition(gaps, grid, library, hd95, mean):
    """The libraries differ from each other as much: border voxels count alike whatever area they show (MONAI,
    MedPy, which also takes the 95th percentile of both directions together), or corners by the area that
    marching cubes cuts there. None is within 0.001 mm of another, and no tolerance here says so."""
    found = gaps.loc[(grid, library)]
    assert 1e-3 < found["hd95"] < hd95
    assert 1e-3 < found["mean"] < mean


def test_the_libraries_differ_from_each_other():
    for one, other in (("monai", "medpy"), ("monai", "deepmind"), ("medpy", "deepmind")):
        assert abs(TABLE[f"{one}_hd95"] - TABLE[f"{other}_hd95"]).max() > 0.3, (one, other)


def test_of_nested_spheres_the_faces_are_nearest_to_the_truth():
    """3 mm between two spheres in voxels of 0.5 mm."""
    row = ROWS[2]
    found = measured(row, "faces").mean_surface_distance_mm
    others = [row[f"{library}_assd"] for library in ("monai", "medpy", "deepmind")]
    assert abs(found - 3) < min(abs(other - 3) for other in others)
