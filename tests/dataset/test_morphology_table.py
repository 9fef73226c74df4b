"""Morphology of a cohort, against VTK."""

from __future__ import annotations

import nibabel
import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.dataset.morphology import MEASURES, measure_morphology

SPACING = (0.5, 0.5, 5.5)


def write(file, array, value=1):
    """Array in the order x, y, z."""
    affine = np.diag([*SPACING, 1.0])
    nibabel.save(nibabel.Nifti1Image((array * value).astype(np.uint8), affine), file)
    return file


def blob(seed):
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(np.arange(60), np.arange(56), np.arange(9), indexing="ij")
    inside = ((x - 30) / 20) ** 2 + ((y - 28) / 15) ** 2 + ((z - 4) / 3) ** 2 < 1
    return inside & (rng.random(inside.shape) < 0.97)


def vtk_measures(array):
    """As the toolkit of the data set does it: marching cubes at half range, mass properties."""
    vtk = pytest.importorskip("vtk")
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    padded = np.pad(array.astype(np.uint8), 1)
    image = vtk.vtkImageData()
    image.SetDimensions(padded.shape)
    image.SetSpacing(SPACING)
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel(order="F"), deep=True))
    cubes = vtk.vtkMarchingCubes()
    cubes.SetInputData(image)
    cubes.SetValue(0, 0.5)
    cubes.Update()
    mass = vtk.vtkMassProperties()
    mass.SetInputData(cubes.GetOutput())
    mass.Update()
    points = vtk_to_numpy(cubes.GetOutput().GetPoints().GetData()).astype(float)
    diameter = max(np.linalg.norm(points - p, axis=1).max() for p in points)
    volume, area = mass.GetVolume(), mass.GetSurfaceArea()
    regularity = volume / (4 / 3 * np.pi * (area / (4 * np.pi)) ** 1.5)
    return volume / 1000, area / 100, diameter / 10, regularity


def test_masks_measure_as_the_toolkit_of_the_data_set_measures_them(tmp_path):
    arrays = {"t1": blob(1), "t2": blob(2)}
    images = {
        name: ImageFiles(tmp_path / "absent", write(tmp_path / f"{name}.nii", a, 255))
        for name, a in arrays.items()
    }
    found = measure_morphology(Cohort((Case("007", images),)), jobs=1, progress=False)
    assert list(found.table.columns) == ["patient_id", "sequence", *MEASURES]
    for row, array in zip(found.table[list(MEASURES)].to_numpy(float), arrays.values(), strict=True):
        np.testing.assert_allclose(
            row, vtk_measures(array), rtol=2e-6
        )  # VTK keeps points in single precision


def test_a_turned_mask_is_the_same_tumor(tmp_path):
    array = blob(3)
    files = [write(tmp_path / "a.nii", array)]
    turned = nibabel.as_closest_canonical(nibabel.load(files[0])).as_reoriented(
        np.array([[1, -1], [0, 1], [2, -1]])
    )
    nibabel.save(turned, tmp_path / "b.nii")
    files.append(tmp_path / "b.nii")
    cohort = Cohort(tuple(Case(str(k), {"t1": ImageFiles(file, file)}) for k, file in enumerate(files)))
    table = measure_morphology(cohort, jobs=1, progress=False).table[list(MEASURES)].to_numpy(float)
    np.testing.assert_allclose(table[0], table[1], rtol=1e-12)


def test_faults_are_listed_and_stop_no_other(tmp_path):
    good, blank = write(tmp_path / "good.nii", blob(1)), write(tmp_path / "empty.nii", np.zeros((5, 5, 5)))
    damaged = tmp_path / "damaged.nii"
    damaged.write_bytes(good.read_bytes()[:1000])
    cases = (
        Case("1", {"t1": ImageFiles(good, good), "t2": ImageFiles(good), "ce_t1": ImageFiles(good, blank)}),
        Case("2", {"t1": ImageFiles(good, damaged), "t2": ImageFiles(good, tmp_path / "nowhere.nii")}),
        Case("3", {"t1-gtvp": ImageFiles(good, good), "t1-gtvnd": ImageFiles(good, blank, optional=True)}),
    )
    found = measure_morphology(Cohort(cases, simulated=True), jobs=1, progress=False)
    assert found.table[["patient_id", "sequence"]].to_numpy().tolist() == [["1", "t1"], ["3", "t1-gtvp"]]
    assert found.failures[["patient_id", "sequence"]].to_numpy().tolist() == [
        ["1", "ce_t1"],
        ["2", "t1"],
        ["2", "t2"],
    ]
    assert str(tmp_path) not in found.failures.to_csv()
    path = found.write(tmp_path / "morphological_parameters.csv")
    read = pd.read_csv(path, dtype={"patient_id": str})
    assert read["simulated"].all()
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_size_of_a_region_by_its_label(tmp_path):
    array = np.zeros((40, 40, 6))
    array[5:15, 5:15, 1:3], array[20:38, 20:38, 1:5] = 1, 2
    file = write(tmp_path / "both.nii", array)
    images = {"t1-gtvp": ImageFiles(file, file, 2), "t1-gtvnd": ImageFiles(file, file, 1)}
    table = measure_morphology(Cohort((Case("1", images),)), jobs=1, progress=False).table
    for label, row in zip((2, 1), table[list(MEASURES)].to_numpy(float), strict=True):
        np.testing.assert_allclose(row, vtk_measures(array == label), rtol=2e-6)
