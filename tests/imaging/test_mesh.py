"""The mesh of a mask against VTK and against closed forms."""

from itertools import permutations

import numpy as np
import pytest
import vtk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import pdist

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging._triangle_cases import CORNERS, EDGES, TRIANGLES
from radiomics_npc.imaging.mesh import mesh_geometry


def vtk_surface(array, spacing=(1.0, 1.0, 1.0)):
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.SetSpacing(*spacing)
    image.GetPointData().SetScalars(numpy_to_vtk(array.astype(np.uint8).ravel(), deep=True))
    cubes = vtk.vtkMarchingCubes()
    cubes.SetInputData(image)
    cubes.SetValue(0, 0.5)
    cubes.Update()
    return cubes


def vtk_measures(array, spacing):
    """Volume, area and vertex diameter of the zero-padded mask."""
    from vtk.util.numpy_support import vtk_to_numpy

    cubes = vtk_surface(np.pad(array, 1), spacing)
    mass = vtk.vtkMassProperties()
    mass.SetInputConnection(cubes.GetOutputPort())
    mass.Update()
    points = vtk_to_numpy(cubes.GetOutput().GetPoints().GetData()).astype(float)
    return mass.GetVolume(), mass.GetSurfaceArea(), pdist(points).max()


def test_case_table_is_the_one_of_vtk():
    from vtk.util.numpy_support import vtk_to_numpy

    corners = np.array(CORNERS)
    middles = {tuple(corners[a] + corners[b]): number for number, (a, b) in enumerate(EDGES)}
    for case, word in enumerate(TRIANGLES):
        cube = np.zeros((2, 2, 2), dtype=bool)
        for bit, (x, y, z) in enumerate(CORNERS):
            cube[z, y, x] = bool(case >> bit & 1)
        mesh = vtk_surface(cube).GetOutput()
        edges = ""
        if mesh.GetNumberOfCells():
            doubled = np.rint(2 * vtk_to_numpy(mesh.GetPoints().GetData())).astype(int)
            for point in vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()):
                edges += f"{middles[tuple(doubled[point])]:x}"
        assert word == (edges or "-"), f"case {case}"


@pytest.mark.parametrize("smoothing", [0.0, 0.7, 1.5])
def test_equals_vtk_on_any_mask(smoothing):
    rng = np.random.default_rng(7)
    for _ in range(60):
        shape = rng.integers(1, 13, 3)
        noise = gaussian_filter(rng.normal(size=shape), smoothing)
        array = noise > np.quantile(noise, rng.uniform(0.05, 0.95)) - 1e-12
        spacing = tuple(rng.uniform(0.3, 6.0, 3))
        # VTK keeps vertices in single precision, hence 1e-6 and not less
        assert mesh_geometry(array, spacing) == pytest.approx(vtk_measures(array, spacing), rel=1e-6)


def test_equals_vtk_on_awkward_masks():
    hollow = np.ones((7, 7, 7), dtype=bool)
    hollow[2:5, 2:5, 2:5] = False
    sheet = np.zeros((5, 9, 9), dtype=bool)
    sheet[2] = True
    touching_at_a_corner = np.zeros((4, 4, 4), dtype=bool)
    touching_at_a_corner[:2, :2, :2] = touching_at_a_corner[2:, 2:, 2:] = True
    checkerboard = np.indices((5, 6, 7)).sum(axis=0) % 2 == 0
    one_voxel = np.ones((1, 1, 1), dtype=bool)
    for array in (hollow, sheet, touching_at_a_corner, checkerboard, one_voxel):
        assert mesh_geometry(array, (0.43, 0.5, 5.5)) == pytest.approx(
            vtk_measures(array, (0.43, 0.5, 5.5)), rel=1e-6
        )


def test_closed_forms():
    octahedron = mesh_geometry(np.ones((1, 1, 1), dtype=bool), (1.0, 1.0, 1.0))
    assert octahedron == pytest.approx((1 / 6, np.sqrt(3), 1.0), rel=1e-12)
    rod = mesh_geometry(np.ones((1, 1, 10), dtype=bool), (2.0, 1.0, 1.0))
    assert rod.max_diameter_mm == pytest.approx(20.0, rel=1e-12)
    z, y, x = np.indices((41, 41, 41)) - 20
    ball = mesh_geometry(x**2 + y**2 + z**2 <= 18.5**2, (1.0, 1.0, 1.0))
    assert ball.volume_mm3 == pytest.approx(4 / 3 * np.pi * 18.5**3, rel=0.01)
    # a binary mask has no partial volume: its facets stay steeper than the sphere's
    assert ball.area_mm2 == pytest.approx(4 * np.pi * 18.5**2, rel=0.12)


masks = arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)).filter(np.any)
spacings = st.tuples(*[st.floats(0.2, 7.0)] * 3)


@settings(max_examples=60, deadline=None)
@given(masks, spacings, st.floats(0.1, 10.0), st.tuples(*[st.integers(0, 3)] * 6))
def test_scaling_translation_and_mirrors(array, spacing, factor, margins):
    measured = mesh_geometry(array, spacing)
    volume, area, diameter = measured
    scaled = mesh_geometry(array, tuple(s * factor for s in spacing))
    assert scaled == pytest.approx((volume * factor**3, area * factor**2, diameter * factor), rel=1e-9)
    moved = np.pad(array, np.reshape(margins, (3, 2)))
    assert mesh_geometry(moved, spacing) == pytest.approx(measured, rel=1e-9)
    assert mesh_geometry(array[::-1, ::-1], spacing) == pytest.approx(measured, rel=1e-9)
    assert 0 < volume < 8 * array.sum() * np.prod(spacing)


@settings(max_examples=30, deadline=None)
@given(masks, spacings)
def test_axes_may_be_permuted(array, spacing):
    measured = mesh_geometry(array, spacing)
    for order in permutations(range(3)):
        turned = mesh_geometry(array.transpose(order), tuple(spacing[::-1][a] for a in order)[::-1])
        assert turned == pytest.approx(measured, rel=1e-9)


def test_large_noise_needs_little_memory():
    import tracemalloc

    array = np.random.default_rng(1).random((24, 256, 256)) < 0.5
    tracemalloc.start()
    mesh_geometry(array, (0.43, 0.43, 5.5))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * array.size


def test_empty_mask_is_refused():
    with pytest.raises(MaskError, match="empty"):
        mesh_geometry(np.zeros((3, 3, 3), dtype=bool), (1.0, 1.0, 1.0))
    with pytest.raises(MaskError, match="three dimensions"):
        mesh_geometry(np.ones((3, 3), dtype=bool), (1.0, 1.0, 1.0))
