"""A whole cohort: naming, failures, the store, and interruption."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.config import read_settings
from radiomics_npc.errors import ConfigError
from radiomics_npc.features import case_job
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import FeatureStore, read_table

FILES = [
    "features.parquet",
    "features.csv",
    "features_long.parquet",
    "diagnostics.csv",
    "failures.csv",
    "feature_settings.json",
]
ROOT = Path(__file__).resolve().parents[2]


def written(table: FeatureTable, folder: Path) -> dict[str, bytes]:
    table.write(folder)
    return {name: (folder / name).read_bytes() for name in FILES}


def spoil(cohort: Cohort, patient: str, sequence: str, files: ImageFiles | None) -> Cohort:
    """The same cohort with other files for one case."""
    cases = []
    for case in cohort.cases:
        images = dict(case.images)
        if case.patient_id == patient:
            images.pop(sequence)
            if files is not None:
                images[sequence] = files
        cases.append(Case(case.patient_id, images))
    return replace(cohort, cases=tuple(cases))


def test_columns_say_where_a_value_comes_from(cohort, quick):
    table = extract_features(cohort, quick, jobs=1)
    assert table.to_frame().index.tolist() == ["001", "002", "003"]
    assert table.to_frame().index.name == "patient_id"
    names = ["log-sigma-2-0-mm-3D__firstorder__Entropy", "log-sigma-2-0-mm-3D__firstorder__Mean"]
    names += ["log-sigma-2-0-mm-3D__glcm__Contrast"]
    names += [
        f"morphology__{name}"
        for name in ("max_diameter_cm", "surface_cm2", "surface_regularity", "volume_cm3")
    ]
    names += ["original__firstorder__Entropy", "original__firstorder__Mean", "original__glcm__Contrast"]
    names += ["original__shape__MeshVolume"]
    assert table.to_frame().columns.tolist() == [f"{s}__{name}" for s in ("t1", "t2") for name in names]
    assert set(table.to_frame().dtypes) == {np.dtype(float)}
    assert table.to_frame().notna().all(axis=None)
    assert table.failures.empty
    assert table.diagnostics[["patient_id", "sequence"]].to_numpy().tolist() == [
        [patient, sequence] for patient in ("001", "002", "003") for sequence in ("t1", "t2")
    ]
    assert "6 cases done" in table._repr_html_()


def test_morphology_can_be_left_out(cohort, quick):
    table = extract_features(cohort, quick.model_copy(update={"morphology": False}), jobs=1)
    assert not any("morphology" in name for name in table.to_frame().columns)


def test_absent_sequences_are_a_choice(cohort, quick):
    table = extract_features(replace(cohort, sequences=("t2",)), quick, jobs=1)
    assert table.failures.empty
    assert {name.split("__")[0] for name in table.to_frame().columns} == {"t2"}


@pytest.fixture
def faulty(cohort, tmp_path):
    """One sound case in three; all that can go wrong in the others."""
    empty = sitk.Image([44, 48, 10], sitk.sitkUInt8)
    empty.SetSpacing((1.1, 1.1, 4.0))
    sitk.WriteImage(empty, str(tmp_path / "empty.nii.gz"))
    other_grid = sitk.ReadImage(str(cohort.cases[0].images["t1"].mask))
    other_grid.SetOrigin((3.0, 0.0, 0.0))
    sitk.WriteImage(other_grid, str(tmp_path / "shifted.nii.gz"))
    (tmp_path / "damaged.nii.gz").write_bytes(b"no image")
    image, mask = cohort.cases[0].images["t1"].image, cohort.cases[0].images["t1"].mask
    for patient, sequence, files in (
        ("001", "t2", None),
        ("002", "t1", ImageFiles(image, None)),
        ("002", "t2", ImageFiles(image, tmp_path / "empty.nii.gz")),
        ("003", "t1", ImageFiles(tmp_path / "damaged.nii.gz", mask)),
        ("003", "t2", ImageFiles(tmp_path / "absent.nii.gz", mask)),
    ):
        cohort = spoil(cohort, patient, sequence, files)
    cases = (*cohort.cases, Case("004", {"t1": ImageFiles(image, tmp_path / "shifted.nii.gz")}))
    return replace(cohort, cases=cases)


def test_a_failed_case_is_listed_and_stops_nobody(faulty, quick, tmp_path):
    table = extract_features(faulty, quick, jobs=1)
    assert table.to_frame().index.tolist() == ["001"]
    failures = table.failures.set_index(["patient_id", "sequence"])
    expected = {
        ("001", "t2"): ("ImageError", "no t2 image"),
        ("002", "t1"): ("MaskError", "no t1 mask"),
        ("002", "t2"): ("RegionAbsentError", "empty"),
        ("003", "t1"): ("ImageError", "damaged"),
        ("003", "t2"): ("ImageError", "absent.nii.gz does not exist"),
        ("004", "t1"): ("MaskError", ""),
        ("004", "t2"): ("ImageError", "no t2 image"),
    }
    assert list(failures.index) == list(expected)
    for key, (error, words) in expected.items():
        row = failures.loc[key]
        assert row["error"] == error, key
        assert words in row["message"], key
        assert row["remedy"], key
        assert str(tmp_path) not in row["message"] + row["remedy"]
    assert (failures["stage"] == "read").all()
    assert "002 t1" in table._repr_html_()


def test_a_failure_is_never_kept(faulty, cohort, quick, tmp_path):
    store = FeatureStore(tmp_path / "store")
    first = extract_features(faulty, quick, jobs=1, store=store)
    assert len(list(store.root.rglob("*.json"))) == len(first.diagnostics) == 1
    again = extract_features(faulty, quick, jobs=1, store=store)
    assert again.reused == 1
    assert len(again.failures) == len(first.failures)
    # repaired under the same name, it is done
    (tmp_path / "damaged.nii.gz").write_bytes(cohort.cases[1].images["t2"].image.read_bytes())
    repaired = extract_features(faulty, quick, jobs=1, store=store)
    assert len(repaired.failures) == len(first.failures) - 1
    assert repaired.reused == 1


def test_a_mask_on_another_grid_is_resampled_when_the_study_says_so(faulty, quick):
    table = extract_features(replace(faulty, on_mismatch="resample"), quick, jobs=1)
    assert "004" in table.to_frame().index


def test_an_unforeseen_error_is_a_failure_without_folders(cohort, quick, monkeypatch):
    def break_down(*_, **__):
        raise RuntimeError("many words\nITK ERROR in /home/someone/secret/thing.cxx: no")

    monkeypatch.setattr(case_job, "measure_case", break_down)
    table = extract_features(cohort, quick, jobs=1)
    assert len(table.failures) == 6
    message = table.failures["message"][0]
    assert message == "unexpected RuntimeError: ITK ERROR in thing.cxx: no"
    assert table.failures["stage"].unique().tolist() == ["extract"]
    assert table.to_frame().shape == (0, 0)


def test_done_work_is_found_by_content(cohort, quick, tmp_path, monkeypatch):
    store = FeatureStore(tmp_path / "store")
    first = written(extract_features(cohort, quick, jobs=1, store=store), tmp_path / "a")

    def refuse(*_, **__):
        raise AssertionError("computed again")

    with monkeypatch.context() as patched:
        patched.setattr(case_job, "measure_case", refuse)
        again = extract_features(cohort, quick, jobs=1, store=store)
        assert again.reused == 6
        assert written(again, tmp_path / "b") == first
        # other names and another order of the same images are still the same images
        renamed = replace(cohort, cases=tuple(Case(f"x{c.patient_id}", c.images) for c in cohort.cases[::-1]))
        moved = extract_features(renamed, quick, jobs=1, store=store)
        assert moved.reused == 6
        assert moved.to_frame().index.tolist() == ["x003", "x002", "x001"]
    changed = {
        "normalize": quick.model_copy(update={"normalize": "image"}),
        "morphology": quick.model_copy(update={"morphology": False}),
        "preset": quick.model_copy(update={"settings": {}, "preset": "native"}),
    }
    one = replace(cohort, cases=cohort.cases[:1], sequences=("t1",))
    for what, settings in changed.items():
        assert extract_features(one, settings, jobs=1, store=store).reused == 0, what
    for what, other in (
        ("on_mismatch", replace(one, on_mismatch="resample")),
        ("label", spoil(one, "001", "t1", replace(one.cases[0].images["t1"], label=1))),
    ):
        assert extract_features(other, quick, jobs=1, store=store).reused == 0, what
    monkeypatch.setattr(case_job.metadata, "version", lambda _: "99")
    assert extract_features(one, quick, jobs=1, store=store).reused == 0


def test_a_changed_image_is_computed_again(cohort, quick, tmp_path):
    store = FeatureStore(tmp_path / "store")
    before = extract_features(cohort, quick, jobs=1, store=store)
    path = cohort.cases[1].images["t2"].image
    sitk.WriteImage(sitk.ReadImage(str(path)) + 5, str(path))
    after = extract_features(cohort, quick, jobs=1, store=store)
    assert after.reused == 5
    same = before.to_frame().drop(index="002")
    pd.testing.assert_frame_equal(after.to_frame().drop(index="002"), same)


@pytest.mark.slow
def test_number_of_processes_does_not_matter(cohort, tmp_path):
    settings = FeatureSettings()
    one = written(extract_features(cohort, settings, jobs=1), tmp_path / "one")
    two = written(extract_features(cohort, settings, jobs=2), tmp_path / "two")
    assert one == two


def test_threads_are_given_back(cohort, quick):
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    environment = dict(os.environ)
    extract_features(cohort, quick, jobs=1)
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == before
    assert dict(os.environ) == environment


def test_written_tables_read_back(faulty, quick, tmp_path):
    table = extract_features(faulty, quick, jobs=1)
    table.write(tmp_path / "tables")
    back = FeatureTable.read(tmp_path / "tables")
    pd.testing.assert_frame_equal(back.to_frame(), table.to_frame())
    pd.testing.assert_frame_equal(back.failures, table.failures)
    assert back.settings == table.settings
    csv = read_table(tmp_path / "tables/features.csv")
    np.testing.assert_array_equal(csv.drop(columns="patient_id").to_numpy(), table.to_frame().to_numpy())


def test_wrong_settings_stop_at_once(cohort, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        extract_features(cohort, FeatureSettings(settings={"t1": tmp_path / "none.yaml"}), jobs=1)


KILLED = """
import sys
from pathlib import Path
from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.storage import FeatureStore

folder, store = map(Path, sys.argv[1:])
cases = [
    Case(image.stem, {"t1": ImageFiles(image, image.with_name(image.name.replace("image", "mask")))})
    for image in sorted(folder.glob("image*.nii.gz"))
]
cohort = Cohort(tuple(cases), sequences=("t1",))
extract_features(cohort, FeatureSettings(), jobs=1, store=FeatureStore(store))
"""


@pytest.mark.slow
def test_killed_in_the_middle_only_the_rest_is_computed(make_cohort, tmp_path):
    cohort = make_cohort(tmp_path / "images", 8, ("t1",))
    store = FeatureStore(tmp_path / "store")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "images"), str(store.root)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(store.root.rglob("[!.]*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = len(list(store.root.rglob("[!.]*.json")))
    assert 3 <= done < 8
    resumed = extract_features(cohort, FeatureSettings(), jobs=1, store=store)
    assert resumed.reused == done
    undisturbed = extract_features(cohort, FeatureSettings(), jobs=1)
    assert written(resumed, tmp_path / "a") == written(undisturbed, tmp_path / "b")


def test_example_study_of_real_tumors_is_valid():
    settings = read_settings(ROOT / "configs/examples/sts_mr.yaml")
    assert settings.models is None
    assert settings.cohort.sequences == ["t1"]
    manifest = pd.read_csv(settings.cohort.path)
    assert len(manifest) == 14
    assert manifest["patient_id"].is_unique
    assert (manifest["sequence"] == "t1").all()


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_other_voxels_beside_the_same_header_are_computed_again(make_cohort, quick, tmp_path, suffix):
    cohort = make_cohort(tmp_path, 1, ("t1",))
    files = cohort.cases[0].images["t1"]
    header = tmp_path / f"image{suffix}"
    image = sitk.ReadImage(str(files.image))
    sitk.WriteImage(image, str(header), useCompression=False)
    cohort = spoil(cohort, "001", "t1", replace(files, image=header))
    store = FeatureStore(tmp_path / "store")
    before = extract_features(cohort, quick, jobs=1, store=store)
    assert extract_features(cohort, quick, jobs=1, store=store).reused == 1
    written_header = header.read_bytes()
    header.with_suffix(".raw").write_bytes(sitk.GetArrayFromImage(image)[::-1].tobytes())
    assert header.read_bytes() == written_header
    after = extract_features(cohort, quick, jobs=1, store=store)
    assert after.reused == 0
    assert not after.to_frame().equals(before.to_frame())


def test_a_folder_named_after_the_patient_stays_out_of_the_message(make_cohort, quick, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", "/data/Smith John/T1 axial.nii")

    monkeypatch.setattr(case_job, "file_digest", refuse)
    failures = extract_features(make_cohort(tmp_path, 1, ("t1",)), quick, jobs=1).failures
    assert failures["message"].tolist() == ["unexpected PermissionError: Permission denied"]
