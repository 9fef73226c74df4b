"""The simulated cohort on disk: layout, geometry, headers, shapes, determinism."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK as sitk
from scipy import stats

from radiomics_npc.errors import ConfigError
from radiomics_npc.parallel import map_cases
from radiomics_npc.simulate.acquisition import draw_series
from radiomics_npc.simulate.clinical import draw_patients
from radiomics_npc.simulate.cohort import MASK_NAME, _draw_head, _fitting_tumor, _order, simulate_cohort
from radiomics_npc.simulate.dicom import DESCRIPTION
from radiomics_npc.simulate.published import ACQUISITION, MORPHOLOGY, SCANNERS
from radiomics_npc.storage import file_digest, read_table

SEQUENCE = {name: key for key, name in DESCRIPTION.items()}


def _read_series(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return simulate_cohort(tmp_path_factory.mktemp("small"), patients=3, seed=11, jobs=1, matrix=80)


@pytest.fixture(scope="module")
def larger(tmp_path_factory) -> Path:
    return simulate_cohort(tmp_path_factory.mktemp("larger"), patients=20, seed=5, matrix=128)


def _shapes_of_one(order: Any) -> list[dict[str, Any]]:
    """Contours of one patient at the published matrix, without taking the images."""
    rng = np.random.default_rng([order.seed, int(order.patient_id), 1])
    series = draw_series(rng, order.scanner)
    head = _draw_head(rng, order, (-62.0, 68.0))
    rows = _fitting_tumor(rng, head, order, series)[2]
    return [{"patient_id": order.patient_id, "T": order.t_stage, **row} for row in rows]


@pytest.fixture(scope="module")
def shapes() -> pd.DataFrame:
    table = draw_patients(30, seed=2)
    orders = [_order(Path("."), str(i), row, 2, None) for i, row in table.iterrows()]
    return pd.DataFrame([row for rows in map_cases(_shapes_of_one, orders) for row in rows])


def test_layout_is_the_published_one(small):
    assert sorted(p.name for p in small.iterdir()) == [
        "MRI-Segments", "dataset.json", "info_diagnoses.csv", "meta_data.csv", "morphological_parameters.csv",
        "truth.csv",
    ]  # fmt: skip
    assert sorted(p.name for p in (small / "MRI-Segments").iterdir()) == ["001", "002", "003"]
    description = json.loads((small / "dataset.json").read_text())
    assert description["simulated"] is True
    assert (description["seed"], description["patients"]) == (11, 3)


@pytest.mark.parametrize("sequence", DESCRIPTION)
def test_image_and_mask_share_one_geometry_in_every_reader(small, sequence):
    for patient in sorted((small / "MRI-Segments").iterdir()):
        image = _read_series(patient / DESCRIPTION[sequence])
        mask = sitk.ReadImage(str(patient / MASK_NAME[sequence]))
        assert image.GetSize() == mask.GetSize()
        for name in ("GetSpacing", "GetOrigin", "GetDirection"):
            # NIfTI keeps the origin in single precision
            np.testing.assert_allclose(getattr(image, name)(), getattr(mask, name)(), rtol=0, atol=1e-5)
        assert set(np.unique(sitk.GetArrayViewFromImage(mask))) == {0, 1}
        _compare_with_pydicom(patient / DESCRIPTION[sequence], image)


def _compare_with_pydicom(folder: Path, image: sitk.Image) -> None:
    slices = [pydicom.dcmread(f) for f in folder.iterdir()]
    rows, columns = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(rows, columns)
    slices.sort(key=lambda s: float(np.array(s.ImagePositionPatient, float) @ normal))
    np.testing.assert_array_equal(np.stack([s.pixel_array for s in slices]), sitk.GetArrayFromImage(image))
    np.testing.assert_allclose(
        np.array(image.GetDirection()).reshape(3, 3),
        np.column_stack([rows, columns, normal]),
        rtol=0,
        atol=1e-9,
    )
    first = np.array(slices[0].ImagePositionPatient, float)
    np.testing.assert_allclose(first, image.GetOrigin(), rtol=0, atol=1e-9)
    steps = np.diff([np.array(s.ImagePositionPatient, float) for s in slices], axis=0) @ normal
    np.testing.assert_allclose(steps, float(slices[0].SpacingBetweenSlices), rtol=0, atol=1e-8)
    assert float(slices[0].SliceThickness) <= float(slices[0].SpacingBetweenSlices)
    np.testing.assert_allclose(
        np.array(slices[0].PixelSpacing, float)[::-1], image.GetSpacing()[:2], rtol=0, atol=1e-9
    )


def test_some_scanners_number_their_slices_downward():
    # GE and Philips do here, Siemens does not: only the geometry tells the order
    rng = np.random.default_rng(0)
    assert draw_series(rng, "Achieva")["t1"].downward
    assert not draw_series(rng, "MAGNETOM IMPACT")["t1"].downward


def test_headers_are_honest_and_name_nobody(small):
    meta = read_table(small / "meta_data.csv").set_index(["patient_id", "sequence"])
    seen = set()
    for file in (small / "MRI-Segments").rglob("*.dcm"):
        header = pydicom.dcmread(file, stop_before_pixels=True)
        patient, sequence = file.parts[-3], file.parts[-2]
        assert str(header.PatientName) == header.PatientID == patient
        assert header.ImageComments == "SIMULATED - this patient never lived"
        for blank in ("PatientAge", "PatientSex", "PatientBirthDate", "StudyDate", "ContentDate"):
            assert not getattr(header, blank)
        row = meta.loc[(patient, sequence)]
        assert sequence in header.SeriesDescription
        assert float(header.EchoTime) == row["echo_time"]
        assert float(header.RepetitionTime) == row["repetition_time"]
        assert header.ManufacturerModelName == row["scanner_device_name"]
        assert float(header.MagneticFieldStrength) == SCANNERS[row["scanner_device_name"]].field_tesla
        assert header.MRAcquisitionType == "2D"
        assert ("ContrastBolusAgent" in header) == (sequence == "CE-T1WI")
        assert len(header.SOPInstanceUID) <= 64
        seen.add(header.SOPInstanceUID)
    assert len(seen) == len(list((small / "MRI-Segments").rglob("*.dcm")))


@pytest.mark.slow
def test_the_same_bytes_for_any_number_of_processes(small, tmp_path):
    again = simulate_cohort(tmp_path, patients=3, seed=11, jobs=2, matrix=80)
    assert file_digest(again) == file_digest(small)


def test_a_smaller_cohort_is_the_beginning_of_a_larger_one(small, tmp_path):
    one = simulate_cohort(tmp_path, patients=1, seed=11, jobs=1, matrix=80)
    assert file_digest(one / "MRI-Segments" / "001") == file_digest(small / "MRI-Segments" / "001")


def test_another_seed_is_another_head(small, tmp_path):
    other = simulate_cohort(tmp_path, patients=1, seed=12, jobs=1, matrix=80)
    first = _read_series(small / "MRI-Segments" / "001" / "T1WI")
    second = _read_series(other / "MRI-Segments" / "001" / "T1WI")
    assert first.GetOrigin() != second.GetOrigin()


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not a simulated cohort"):
        simulate_cohort(tmp_path, patients=1, seed=1, matrix=64)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_impossible_matrix_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="matrix 8"):
        simulate_cohort(tmp_path / "x", patients=1, seed=1, matrix=8)
    assert not (tmp_path / "x").exists()


def test_a_smaller_cohort_leaves_nothing_of_the_larger_one(tmp_path):
    simulate_cohort(tmp_path, patients=2, seed=1, jobs=1, matrix=64)
    simulate_cohort(tmp_path, patients=1, seed=1, jobs=1, matrix=64)
    assert [p.name for p in (tmp_path / "MRI-Segments").iterdir()] == ["001"]


def test_acquisition_reproduces_the_published_table():
    weights = np.array([s.patients for s in SCANNERS.values()])
    rows = []
    for i in range(600):
        rng = np.random.default_rng([3, i])
        rows += list(draw_series(rng, str(rng.choice(list(SCANNERS), p=weights / weights.sum()))).values())
    values = pd.DataFrame(
        {
            "sequence": [s.sequence for s in rows],
            "echo_time_ms": [s.echo_time for s in rows],
            "repetition_time_ms": [s.repetition_time for s in rows],
            "slice_spacing_mm": [s.spacing_mm[2] for s in rows],
            "slice_thickness_mm": [s.thickness_mm for s in rows],
            "pixel_spacing_mm": [round(s.spacing_mm[0], 2) for s in rows],
            "flip_angle_deg": [s.flip_angle for s in rows],
            "matrix": [s.matrix for s in rows],
        }
    )
    for sequence, group in values.groupby("sequence"):
        for name, published in ACQUISITION[sequence].items():
            if name in group:
                assert group[name].between(published.low, published.high).all(), (sequence, name)
                assert group[name].median() == pytest.approx(published.median, rel=0.06), (sequence, name)
    assert (values["slice_thickness_mm"] <= values["slice_spacing_mm"]).all()
    assert all(20 <= s.slices <= 28 for s in rows)


@pytest.mark.slow
def test_shapes_are_those_of_the_published_tumors(shapes):
    for name, group in shapes.groupby("sequence"):
        for column, published in MORPHOLOGY[SEQUENCE[name]].items():
            assert group[column].between(published.low, published.high).all(), (name, column)
            # 15 % for the simulation, and one standard error of a median of 30 patients
            slack = 0.15 + 1.25 * group[column].std() / group[column].median() / np.sqrt(len(group))
            assert group[column].median() == pytest.approx(published.median, rel=slack), (name, column)
    t1 = shapes[shapes["sequence"] == "T1WI"]
    assert stats.spearmanr(t1["T"].str[1].astype(int), t1["volume_cm3"]).statistic > 0.4


@pytest.mark.slow
def test_mask_volume_agrees_with_the_truth(larger):
    shapes = read_table(larger / "morphological_parameters.csv").set_index("patient_id")
    truth = read_table(larger / "truth.csv").set_index("patient_id")
    t1 = shapes[shapes["sequence"] == "T1WI"]
    ratio = t1["volume_cm3"] / np.exp(truth["log_volume"])
    assert ratio.median() == pytest.approx(1, abs=0.05)
    assert ratio.between(0.75, 1.3).all()


@pytest.mark.slow
def test_heterogeneity_can_be_seen_inside_the_tumor(larger):
    truth = read_table(larger / "truth.csv").set_index("patient_id")
    spread = {name: [] for name in ("T2WI", "CE-T1WI")}
    for patient in truth.index:
        for name, values in spread.items():
            folder = larger / "MRI-Segments" / patient
            image = sitk.GetArrayFromImage(_read_series(folder / name)).astype(float)
            mask = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / MASK_NAME[SEQUENCE[name]]))) > 0
            body = image > 0.1 * np.percentile(image, 99)
            values.append(np.subtract(*np.percentile(image[mask], [75, 25])) / image[body].std())
    for name, smallest in (("T2WI", 0.8), ("CE-T1WI", 0.6)):
        rank = stats.spearmanr(spread[name], truth["heterogeneity"]).statistic
        size = stats.spearmanr(spread[name], truth["log_volume"]).statistic
        assert rank > smallest
        assert rank > abs(size) + 0.2
