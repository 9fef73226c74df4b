"""Overlap and surface measures against closed forms, brute force, meshes and DeepMind's surface-distance."""

from itertools import permutations, product
from math import hypot, inf
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging._triangle_cases import CORNERS
from radiomics_npc.imaging.mesh import _triangles, mesh_geometry
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.segmentation.metrics import segmentation_metrics
from radiomics_npc.segmentation.overlap import Overlap, count_overlap
from radiomics_npc.segmentation.surface import SurfaceDistances, surface_distances

REFERENCE = Path(__file__).parents[1] / "reference" / "surface_distance.csv"
NPC = (0.43, 0.43, 5.5)

pairs = st.tuples(*[st.integers(1, 5)] * 3).flatmap(lambda shape: st.tuples(*[arrays(bool, shape)] * 2))
filled_pairs = pairs.filter(lambda pair: pair[0].any() and pair[1].any())
spacings = st.tuples(*[st.floats(0.3, 6.0)] * 3)
modes = st.sampled_from(["faces", "surfel"])


def coordinates(shape, spacing):
    """Voxel middles in mm from the middle of the image: z, y, x."""
    return [(i - (n - 1) / 2) * s for i, n, s in zip(np.indices(shape), shape, spacing[::-1], strict=True)]


def ball(radius, shape, spacing, center=(0.0, 0.0, 0.0)):
    z, y, x = coordinates(shape, spacing)
    return (x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2 <= radius**2


def numbers(found):
    """Everything measured, as one row of numbers."""
    return found.to_frame().drop(columns="mode").iloc[0].to_numpy(dtype=float)


# overlap


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_overlap_is_that_of_sets(pair):
    a, b = [set(map(tuple, np.argwhere(m))) for m in pair]
    found = count_overlap(*pair)
    if not a and not b:
        assert found.dice == found.jaccard == found.sensitivity == found.precision == 1
        return
    assert found.dice == pytest.approx(2 * len(a & b) / (len(a) + len(b)), abs=1e-15)
    assert found.jaccard == pytest.approx(len(a & b) / len(a | b), abs=1e-15)
    assert found.sensitivity == pytest.approx(len(a & b) / len(b) if b else 0.0, abs=1e-15)
    assert found.precision == pytest.approx(len(a & b) / len(a) if a else 0.0, abs=1e-15)
    assert found.jaccard == pytest.approx(found.dice / (2 - found.dice), abs=1e-15)
    assert count_overlap(pair[1], pair[0]).sensitivity == found.precision


def test_volume_error():
    assert Overlap(50, 90, 60).volume_error_percent == pytest.approx(50.0)
    assert Overlap(0, 0, 60).volume_error_percent == -100.0
    assert Overlap(0, 0, 0).volume_error_percent == 0.0
    assert Overlap(0, 3, 0).volume_error_percent == inf


# closed forms


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), NPC])
def test_shifted_boxes(axis, spacing):
    box = np.zeros((12, 30, 34), dtype=bool)
    box[2:8, 6:20, 6:22] = True
    moved = np.roll(box, 2, axis=axis)
    found = segmentation_metrics(moved, box, spacing, tolerances_mm=(0.0, 2 * spacing[::-1][axis]))
    sides = np.array([6, 14, 16]) * np.array(spacing[::-1])
    length, shift = sides[axis], 2 * spacing[::-1][axis]
    w, h = np.delete(sides, axis)
    assert found.dice == pytest.approx(1 - shift / length, abs=1e-12)
    assert found.hd_mm == pytest.approx(shift, rel=1e-12)
    # only the walls along the shift touch, over the length both boxes share
    touching = 2 * (w + h) * (length - shift) / (2 * (w + h) * length + 2 * w * h)
    assert found.nsd == pytest.approx((touching, 1.0), rel=1e-12)


def test_nested_cylinders():
    """Same height, 3 mm between the walls: staircases lie within a voxel diagonal, their length is 4/pi."""
    shape, inner, outer = (9, 121, 121), 15.0, 18.0
    z, y, x = coordinates(shape, NPC)
    column = abs(z) < 3.5 * 5.5
    a, b = [(np.hypot(x, y) <= r) & column for r in (inner, outer)]
    gap, height, diagonal = outer - inner, 7 * 5.5, hypot(0.43, 0.43)
    found = segmentation_metrics(a, b, NPC, tolerances_mm=(gap + diagonal, 0.0))
    assert found.hd_mm == pytest.approx(gap, abs=diagonal)
    assert found.hd95_mm == pytest.approx(gap, abs=diagonal)
    caps = 2 * np.pi * inner**2
    walls = 8 * inner * height, 8 * outer * height
    ring = 2 * np.pi * (outer**2 - inner**2)
    # caps of both coincide over the inner circle; the ring is at rho - inner; the inner wall is near the caps
    ring_sum = 4 * np.pi * ((outer**3 - inner**3) / 3 - inner * (outer**2 - inner**2) / 2)
    wall_sum = 8 * inner * (height * gap - gap**2) + walls[1] * gap
    total = 2 * caps + ring + sum(walls)
    assert found.mean_surface_distance_mm == pytest.approx((ring_sum + wall_sum) / total, abs=diagonal / 2)
    assert found.nsd[0] == 1.0
    # at tolerance 0 the shared caps alone; a disk counted in voxels is off by less than its rim of one voxel
    assert found.nsd[1] == pytest.approx(2 * caps / total, abs=4 * np.pi * inner * 0.43 / total)


@pytest.mark.parametrize("mode", ["faces", "surfel"])
def test_nested_spheres(mode):
    """Isotropic voxels: every surface point lies within half a voxel diagonal of its sphere."""
    spacing, shape = (0.5, 0.5, 0.5), (53, 53, 53)
    a, b = ball(9, shape, spacing), ball(12, shape, spacing)
    found = segmentation_metrics(a, b, spacing, tolerances_mm=(2.0, 4.0), mode=mode)
    diagonal = 0.5 * np.sqrt(3)
    for distance in (found.hd_mm, found.hd95_mm, found.mean_surface_distance_mm):
        assert distance == pytest.approx(3.0, abs=diagonal)
    assert found.nsd == (0.0, 1.0)


def test_faces_add_up_to_the_surface():
    a = ball(9, (9, 51, 51), NPC)
    found = surface_distances(a, a, NPC)
    padded = np.pad(a, 1)
    area = [5.5 * 0.43, 5.5 * 0.43, 0.43**2]
    expected = sum((np.diff(padded, axis=2 - k) != 0).sum() * area[k] for k in range(3))
    assert found.predicted_mm2.sum() == pytest.approx(expected, rel=1e-12)


# meshes


def mesh_points(mask, spacing, longest=0.45):
    """Points spread over the marching-cubes mesh, ``longest`` mm or an eighth of an edge apart; areas."""
    padded = np.pad(mask, 1)
    shape = tuple(n - 1 for n in padded.shape)
    code = np.zeros(shape, dtype=int)
    for bit, (x, y, z) in enumerate(CORNERS):
        code |= padded[z:, y:, x:][: shape[0], : shape[1], : shape[2]].astype(int) << bit
    case, corners = _triangles()
    points, areas = [], []
    for number in np.unique(code[(code > 0) & (code < 255)]):
        cubes = np.argwhere(code == number)[:, None, None, ::-1]
        triangles = ((cubes + corners[case == number]) * spacing).reshape(-1, 3, 3)
        first, u, v = (triangles[:, 0], *np.moveaxis(triangles[:, 1:] - triangles[:, :1], 1, 0))
        size = np.linalg.norm(np.cross(u, v), axis=1) / 2
        for t in range(len(triangles)):
            edge = max(np.linalg.norm(u[t]), np.linalg.norm(v[t]), np.linalg.norm(u[t] - v[t]))
            n = int(np.clip(np.ceil(edge / longest), 1, 8))
            i, j = np.mgrid[:n, :n]
            up, down = i + j < n, i + j < n - 1
            share = np.concatenate([np.argwhere(up) + 1 / 3, np.argwhere(down) + 2 / 3]) / n
            points.append(first[t] + share @ np.stack([u[t], v[t]]))
            areas.append(np.full(len(share), size[t] / len(share)))
    return np.concatenate(points), np.concatenate(areas)


def mesh_distances(a, b, spacing):
    (p, pw), (q, qw) = mesh_points(a, spacing), mesh_points(b, spacing)
    forth, back = cKDTree(q).query(p)[0], cKDTree(p).query(q)[0]
    first, second = np.argsort(forth), np.argsort(back)
    return SurfaceDistances(forth[first], pw[first], back[second], qw[second])


@pytest.mark.parametrize("center", [(1.0, 0.0, 0.0), (0.5, 0.7, 2.0)])
def test_thick_slices_agree_with_the_mesh(center):
    """The staircase of the voxels and the slanted mesh differ by less than a voxel edge in the plane."""
    shape = (7, 65, 65)
    a, b = ball(11, shape, NPC), ball(12, shape, NPC, center)
    mesh = mesh_distances(a, b, NPC)
    assert mesh.predicted_mm2.sum() == pytest.approx(mesh_geometry(a, NPC).area_mm2, rel=1e-9)
    found = surface_distances(a, b, NPC)
    assert found.hausdorff_mm() == pytest.approx(mesh.hausdorff_mm(), abs=0.22)
    assert found.hausdorff_mm(95) == pytest.approx(mesh.hausdorff_mm(95), abs=0.22)
    assert found.mean_mm == pytest.approx(mesh.mean_mm, abs=0.05)
    for tolerance in (1.0, 2.0):
        assert found.overlap_at(tolerance) == pytest.approx(mesh.overlap_at(tolerance), abs=0.02)
    # voxel corners are much farther off: the reason for faces
    corners = surface_distances(a, b, NPC, "surfel")
    assert abs(corners.overlap_at(1.0) - mesh.overlap_at(1.0)) > 0.05


# brute force


def brute_pieces(mask, spacing):
    """Middles of the near-square pieces of all exposed faces, x y z in mm, one voxel after another."""
    padded = np.pad(mask, 1)
    counts = [min(16, int(np.ceil(s / min(spacing) - 1e-9))) for s in spacing]
    points = []
    for z, y, x in np.argwhere(padded):
        for axis, side in product(range(3), (-1, 1)):
            step = np.eye(3, dtype=int)[axis] * side
            if padded[z + step[2], y + step[1], x + step[0]]:
                continue
            parts = [(np.arange(c) + 0.5) / c - 0.5 for c in counts]
            parts[axis] = np.array([0.5 * side])
            points += [(np.array([x, y, z]) + offset) * spacing for offset in product(*parts)]
    return np.array(points)


@settings(max_examples=25, deadline=None)
@given(filled_pairs, spacings)
def test_hausdorff_equals_brute_force(pair, spacing):
    table = cdist(*[brute_pieces(m, spacing) for m in pair])
    expected = max(table.min(axis=0).max(), table.min(axis=1).max())
    assert surface_distances(*pair, spacing).hausdorff_mm() == pytest.approx(expected, abs=1e-9)


# surface-distance


def test_surfel_reproduces_surface_distance():
    table = pd.read_csv(REFERENCE, comment="#", dtype={"predicted": str, "reference": str})
    assert len(table) == 24
    for row in table.to_dict("records"):
        shape = (row["z"], row["y"], row["x"])
        predicted, reference = [
            np.unpackbits(np.frombuffer(bytes.fromhex(row[name]), np.uint8), count=int(np.prod(shape)))
            .astype(bool)
            .reshape(shape)
            for name in ("predicted", "reference")
        ]
        spacing = (row["spacing_x"], row["spacing_y"], row["spacing_z"])
        found = surface_distances(predicted, reference, spacing, "surfel")
        measured = {f"nsd_{t:g}": found.overlap_at(t) for t in (0, 0.5, 1, 3)}
        measured |= {f"hd_{p}": found.hausdorff_mm(p) for p in (50, 95, 100)}
        measured["area_reference"] = found.reference_mm2.sum()
        measured["area_predicted"] = found.predicted_mm2.sum()
        measured["mean_from_reference"] = np.average(found.from_reference_mm, weights=found.reference_mm2)
        measured["mean_from_predicted"] = np.average(found.from_predicted_mm, weights=found.predicted_mm2)
        assert measured == pytest.approx({name: row[name] for name in measured}, abs=1e-9), row["case"]


# properties


@settings(max_examples=30, deadline=None)
@given(filled_pairs, spacings, modes)
def test_symmetry_and_identity(pair, spacing, mode):
    a, b = pair
    forth = segmentation_metrics(a, b, spacing, tolerances_mm=(0.5, 3.0), mode=mode)
    back = segmentation_metrics(b, a, spacing, tolerances_mm=(0.5, 3.0), mode=mode)
    assert (forth.hd_mm, forth.hd95_mm, forth.dice) == (back.hd_mm, back.hd95_mm, back.dice)
    assert forth.nsd == pytest.approx(back.nsd, rel=1e-12)
    assert forth.mean_surface_distance_mm == pytest.approx(back.mean_surface_distance_mm, rel=1e-12)
    assert forth.hd95_mm <= forth.hd_mm
    assert 0 <= forth.nsd[0] <= forth.nsd[1] <= 1
    same = segmentation_metrics(a, a, spacing, tolerances_mm=(0.0,), mode=mode)
    assert (same.dice, same.hd_mm, same.mean_surface_distance_mm, same.nsd) == (1.0, 0.0, 0.0, (1.0,))


@settings(max_examples=30, deadline=None)
@given(filled_pairs, spacings, modes, st.floats(0.1, 10.0), st.tuples(*[st.integers(0, 3)] * 6))
def test_translation_mirrors_and_scale(pair, spacing, mode, factor, margins):
    found = segmentation_metrics(*pair, spacing, tolerances_mm=(1.01,), mode=mode)
    moved = [np.pad(m, np.reshape(margins, (3, 2))) for m in pair]
    assert np.array_equal(
        numbers(segmentation_metrics(*moved, spacing, tolerances_mm=(1.01,), mode=mode)), numbers(found)
    )
    scaled = segmentation_metrics(
        *pair, tuple(s * factor for s in spacing), tolerances_mm=(1.01 * factor,), mode=mode
    )
    assert scaled.hd_mm == pytest.approx(found.hd_mm * factor, rel=1e-9)
    assert scaled.hd95_mm == pytest.approx(found.hd95_mm * factor, rel=1e-9)
    assert scaled.mean_surface_distance_mm == pytest.approx(found.mean_surface_distance_mm * factor, rel=1e-9)
    assert scaled.predicted_cm3 == pytest.approx(found.predicted_cm3 * factor**3, rel=1e-9)
    assert scaled.nsd == pytest.approx(found.nsd, rel=1e-9)
    mirrored = [m[::-1, :, ::-1] for m in pair]
    flipped = segmentation_metrics(*mirrored, spacing, tolerances_mm=(1.01,), mode=mode)
    assert numbers(flipped) == pytest.approx(numbers(found), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(filled_pairs, spacings)
def test_axes_may_be_permuted(pair, spacing):
    found = numbers(segmentation_metrics(*pair, spacing, tolerances_mm=(0.7, 1.9)))
    for order in permutations(range(3)):
        turned = [m.transpose(order) for m in pair]
        spaced = tuple(spacing[::-1][k] for k in order)[::-1]
        again = numbers(segmentation_metrics(*turned, spaced, tolerances_mm=(0.7, 1.9)))
        assert again == pytest.approx(found, rel=1e-9, abs=1e-12)


# empty and tiny masks


@pytest.mark.parametrize("mode", ["faces", "surfel"])
def test_empty_masks_have_stated_values(mode):
    nothing, some = np.zeros((3, 8, 8), dtype=bool), np.ones((3, 8, 8), dtype=bool)
    both = segmentation_metrics(nothing, nothing, NPC, mode=mode)
    assert (both.dice, both.jaccard, both.sensitivity, both.precision, both.nsd) == (1, 1, 1, 1, (1,))
    assert (both.hd_mm, both.hd95_mm, both.mean_surface_distance_mm, both.volume_error_percent) == (0,) * 4
    missed = segmentation_metrics(nothing, some, NPC, mode=mode)
    invented = segmentation_metrics(some, nothing, NPC, mode=mode)
    for found in (missed, invented):
        assert (found.dice, found.jaccard, found.sensitivity, found.precision, found.nsd) == (0,) * 4 + (
            (0,),
        )
        assert found.hd_mm == found.hd95_mm == found.mean_surface_distance_mm == inf
    assert (missed.volume_error_percent, invented.volume_error_percent) == (-100, inf)


def test_one_voxel_masks():
    a, b = np.zeros((2, 3, 5, 9), dtype=bool)
    a[1, 2, 2], b[1, 2, 6] = True, True
    found = segmentation_metrics(a, b, NPC, tolerances_mm=(4 * 0.43,))
    # the far walls are a voxel farther from the near wall of the other than the walls between are apart
    assert found.hd_mm == pytest.approx(4 * 0.43, rel=1e-12)
    assert (found.dice, found.nsd, found.volume_error_percent) == (0.0, (1.0,), 0.0)
    assert surface_distances(a, b, NPC).predicted_mm2.sum() == pytest.approx(4 * 0.43 * 5.5 + 2 * 0.43**2)
    alone = segmentation_metrics(a, a, NPC)
    assert (alone.dice, alone.hd_mm, alone.nsd) == (1.0, 0.0, (1.0,))
    corners = surface_distances(a, b, NPC, "surfel")
    assert len(corners.predicted_mm2) == 8
    assert corners.hausdorff_mm() == pytest.approx(4 * 0.43, rel=1e-12)


# masks, tables, refusals


def test_masks_with_geometry_and_the_table():
    a, b = ball(9, (5, 51, 51), NPC), ball(8, (5, 51, 51), NPC)
    found = segmentation_metrics(Mask(a, NPC), Mask(b, NPC), tolerances_mm=(1, 2.5), simulated=True)
    assert numbers(found) == pytest.approx(
        numbers(segmentation_metrics(a, b.astype(np.uint8), NPC, tolerances_mm=(1, 2.5), simulated=True))
    )
    row = found.to_frame().iloc[0]
    assert row["simulated"]
    assert row["nsd_2.5mm"] == found.nsd[1]
    assert row["volume_error_cm3"] == pytest.approx((a.sum() - b.sum()) * 0.43**2 * 5.5 / 1000)
    assert "simulated" in found._repr_html_()


def test_refusals():
    a = np.ones((2, 3, 4), dtype=bool)
    with pytest.raises(MaskError, match="no voxel size"):
        segmentation_metrics(a, a)
    with pytest.raises(MaskError, match="know their spacing"):
        segmentation_metrics(Mask(a, NPC), Mask(a, NPC), NPC)
    with pytest.raises(MaskError, match=r"different grids.*origin 1 mm"):
        segmentation_metrics(Mask(a, NPC), Mask(a, NPC, (1.0, 0.0, 0.0)))
    with pytest.raises(MaskError, match="two of a kind"):
        segmentation_metrics(Mask(a, NPC), a)
    with pytest.raises(MaskError, match="shapes"):
        segmentation_metrics(a, a[:1], NPC)
    with pytest.raises(MaskError, match="three dimensions"):
        segmentation_metrics(a[0], a[0], NPC)
    for values in (a * 0.4, a * 2, a * np.nan):
        with pytest.raises(MaskError, match="other values"):
            segmentation_metrics(values, a, NPC)
    with pytest.raises(ValueError, match="negative"):
        segmentation_metrics(a, a, NPC, tolerances_mm=(-1.0,))
    with pytest.raises(ValueError, match="faces, surfel"):
        segmentation_metrics(a, a, NPC, mode="points")
    for spacing in ((1.0, 1.0), (1.0, 0.0, 1.0), (1.0, np.nan, 1.0)):
        with pytest.raises(ValueError, match="spacing_mm"):
            segmentation_metrics(a, a, spacing)
    with pytest.raises(ValueError, match="percent"):
        surface_distances(a, a, NPC).hausdorff_mm(0)
