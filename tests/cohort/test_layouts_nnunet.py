"""The layout of nnU-Net."""

import json

import pytest

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.cohort.layouts import find_cases, guess_layout
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import CohortSettings

V2 = {
    "channel_names": {"0": "T1", "1": "T2WI", "2": "CE-T1WI"},
    "labels": {"background": 0, "GTVp": 1, "GTVnd": 2},
}
V1 = {
    "modality": {"0": "T1", "1": "T2WI", "2": "CE-T1WI"},
    "labels": {"0": "background", "1": "GTVp", "2": "GTVnd"},
}


def dataset(folder, about, cases=("npc_001", "npc_002"), ending=".nii.gz", channels=3):
    for case in cases:
        for part in ("imagesTr", "labelsTr"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for channel in range(channels):
            (folder / "imagesTr" / f"{case}_{channel:04d}{ending}").touch()
        (folder / "labelsTr" / f"{case}{ending}").touch()
    (folder / "dataset.json").write_text(json.dumps({**about, "file_ending": ending}))
    return folder


def found(folder, **settings):
    return find_cases(CohortSettings(layout="nnunet", path=folder, **settings))


@pytest.mark.parametrize("about", [V1, V2])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_both_versions_and_all_file_endings(tmp_path, about, ending):
    folder = dataset(tmp_path / "Dataset501_鼻 咽", about, ending=ending)
    cases, findings = found(folder, regions={"gtvp": ["gtvp"]})
    assert [case.patient_id for case in cases] == ["npc_001", "npc_002"]
    images, mask = folder / "imagesTr", folder / "labelsTr" / f"npc_001{ending}"
    assert cases[0].images == {
        "t1": ImageFiles(images / f"npc_001_0000{ending}", mask, 1),
        "t2": ImageFiles(images / f"npc_001_0001{ending}", mask, 1),
        "ce_t1": ImageFiles(images / f"npc_001_0002{ending}", mask, 1),
    }
    assert findings == []
    assert guess_layout(folder) == guess_layout(tmp_path) == "nnunet"


def test_names_that_stand_for_several_values(tmp_path):
    about = {**V2, "labels": {"background": 0, "whole": [1, 2], "GTVp": 1, "ignore": 3}}
    folder = dataset(tmp_path, about)
    assert found(folder, regions={"all": ["Whole"]})[0][0].images["t1"].label == (1, 2)
    assert found(folder, regions={"all": ["gtvp", 2]})[0][0].images["t1"].label == (1, 2)
    assert found(folder, regions={"all": ["gtvp", "whole?"]})[0][0].images["t1"].label == (1, "1?", "2?")


def test_the_only_structure_needs_no_region_and_several_need_one(tmp_path):
    cases, findings = found(dataset(tmp_path / "a", {**V2, "labels": {"background": 0, "tumor": 1}}))
    assert (cases[0].images["t1"].label, findings) == (1, [])
    cases, findings = found(dataset(tmp_path / "b", V2))
    assert cases[0].images["t1"].label is None
    (fault,) = findings
    assert fault.severity == "error"
    assert "several structures (GTVnd, GTVp)" in fault.problem


def test_a_misspelt_region_names_what_there_is(tmp_path):
    _, (fault,) = found(dataset(tmp_path, V2), regions={"p": ["GTVq"]})
    assert fault.problem == "nobody has a structure 'GTVq', of which region p is made"
    assert fault.remedy == "There are: GTVnd, GTVp."


def test_test_images_and_files_listed_one_by_one(tmp_path):
    folder = dataset(tmp_path, V2, channels=1, cases=["a"])
    for part in ("imagesTs", "labelsTs"):
        (folder / part).mkdir()
    (folder / "imagesTs" / "b_0000.nii.gz").touch()
    cases, _ = found(folder, sequences=["t1"], regions={"p": [1]})
    assert [(c.patient_id, c.images["t1"].mask is not None) for c in cases] == [("a", True), ("b", False)]
    listed = {"x": {"images": ["far/x1.nii.gz", "far/x2.nii.gz"], "label": "far/y.nii.gz"}}
    (folder / "dataset.json").write_text(json.dumps({**V2, "dataset": listed}))
    (case,), _ = found(folder, sequences=["t2"], regions={"p": [1]})
    assert case.images["t2"] == ImageFiles(folder / "far/x2.nii.gz", folder / "far/y.nii.gz", 1)


def test_channels_by_the_studys_own_names(tmp_path):
    folder = dataset(tmp_path, {"channel_names": {"0": "MRI", "1": "CT"}, "labels": {"tumor": 1}}, channels=3)
    with pytest.raises(CohortError, match=r"none of the channels .* is a known sequence \(0 MRI, 1 CT\)"):
        found(folder)
    cases, findings = found(folder, sequence_names={"ce_t1": ["mri"]})
    assert list(cases[0].images) == ["ce_t1"]
    assert [f.problem for f in findings] == [
        "channels CT passed over: no sequence that the study asks for",
        "images of channel 2 passed over: dataset.json does not name it",
    ]
    twice = {"channel_names": {"0": "T1", "1": "T1W"}, "labels": {"tumor": 1}}
    with pytest.raises(CohortError, match="channels T1 and T1W both read as t1"):
        found(dataset(tmp_path / "twice", twice))


def test_descriptions_of_scanners_are_channels_too(tmp_path):
    about = {"channel_names": {"0": "t1_tse_tra", "1": "Ax T1 post contrast"}, "labels": {"tumor": 1}}
    cases, _ = found(dataset(tmp_path, about, channels=2))
    assert list(cases[0].images) == ["t1", "ce_t1"]


def test_several_data_sets_and_none(tmp_path):
    for name in ("Dataset001_A", "Dataset002_B"):
        dataset(tmp_path / name, V2)
    with pytest.raises(CohortError, match="several data sets: Dataset001_A, Dataset002_B"):
        found(tmp_path)
    assert guess_layout(tmp_path) == "nnunet"
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="empty holds no data set of nnU-Net"):
        found(tmp_path / "empty")
    (tmp_path / "Dataset001_A" / "dataset.json").write_text("{")
    with pytest.raises(CohortError, match=r"dataset\.json is damaged"):
        found(tmp_path / "Dataset001_A")
