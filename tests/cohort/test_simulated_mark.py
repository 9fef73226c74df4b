"""Patients who never lived are known as such, however they are named in the study."""

import json

import pytest

from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.errors import CohortError


@pytest.fixture
def manifest(tmp_path):
    folder = tmp_path / "cohort" / "MRI-Segments" / "001"
    folder.mkdir(parents=True)
    for name in ("t1.nii", "mask.nii"):
        (folder / name).write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "manifest.csv"
    where = "../cohort/MRI-Segments/001"
    path.write_text(f"patient_id,sequence,image,mask\n001,t1,{where}/t1.nii,{where}/mask.nii\n")
    return path


def read(path):
    return read_cohort({"layout": "manifest", "path": str(path), "sequences": ["t1"], "clinical": None})


@pytest.mark.parametrize(("said", "expected"), [(True, True), (False, False), (None, False)])
def test_a_manifest_of_simulated_images_is_simulated(manifest, said, expected):
    if said is not None:
        mark = manifest.parents[1] / "cohort" / "dataset.json"
        mark.write_text(json.dumps({"simulated": said}))
    assert read(manifest).simulated is expected


def test_a_damaged_mark_is_never_passed_over(manifest):
    (manifest.parents[1] / "cohort" / "dataset.json").write_text('{"simulated": tr')
    with pytest.raises(CohortError, match="damaged"):
        read(manifest)
