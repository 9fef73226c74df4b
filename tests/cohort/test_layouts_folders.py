"""The layouts of HaN-Seg and SegRap, regions of the published one, and guessing."""

import pytest

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.cohort.layouts import find_cases, guess_layout
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import CohortSettings


def touch(root, *files):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(layout, folder, **settings):
    return find_cases(CohortSettings(layout=layout, path=folder, **settings))


@pytest.mark.parametrize("deeper", ["", "set_1/"])
def test_hanseg(tmp_path, deeper):
    root = touch(
        tmp_path,
        *(f"{deeper}case_{n}/case_{n}_{what}" for n in ("01", "19") for what in
          ("IMG_MR_T1.nrrd", "IMG_CT.nrrd", "OAR_Parotid_L.seg.nrrd", "OAR_Parotid_R.seg.nrrd")),
        f"{deeper}case_01/case_01_OAR_OpticChiasm.seg.nrrd", "OAR_data.csv", "patient_data.csv",
    )  # fmt: skip
    assert guess_layout(root) == "hanseg"
    regions = {"parotids": ["Parotid_L", "parotid_r"], "chiasm": ["OpticChiasm"]}
    cases, findings = found("hanseg", root, sequences=["t1"], regions=regions, optional_regions=["chiasm"])
    assert [case.patient_id for case in cases] == ["case_01", "case_19"]
    folder = tmp_path / deeper / "case_01"
    image = folder / "case_01_IMG_MR_T1.nrrd"
    assert cases[0].images == {
        "t1-parotids": ImageFiles(image, folder, ("case_01_OAR_Parotid_L", "case_01_OAR_Parotid_R")),
        "t1-chiasm": ImageFiles(image, folder / "case_01_OAR_OpticChiasm.seg.nrrd", optional=True),
    }
    assert cases[1].images["t1-chiasm"].mask is None
    assert [(f.severity, f.problem) for f in findings] == [
        ("info", "images CT passed over: no sequence that the study asks for"),
        ("warning", "masks beside a CT were drawn on it, as those of HaN-Seg were"),
    ]


def test_hanseg_without_regions_names_the_structures(tmp_path):
    root = touch(
        tmp_path, *(f"case_01/case_01_{w}" for w in ("IMG_MR_T1.nrrd", "OAR_A.seg.nrrd", "OAR_B.seg.nrrd"))
    )
    (case,), (fault,) = found("hanseg", root, sequences=["t1"])
    assert case.images["t1"].mask is None
    assert "several structures (A, B)" in fault.problem
    (root / "case_01" / "case_01_OAR_B.seg.nrrd").unlink()
    (case,), findings = found("hanseg", root, sequences=["t1"])
    assert (case.images["t1"].mask.name, findings) == ("case_01_OAR_A.seg.nrrd", [])


def test_a_part_that_must_be_there_and_one_that_need_not(tmp_path):
    root = touch(
        tmp_path, "segrap_1/image.nii.gz", "segrap_1/GTVp.nii.gz", "segrap_1/GTVnd.nii.gz",
        "segrap_2/image.nii.gz", "segrap_2/GTVp.nii.gz",
    )  # fmt: skip
    names = {"t1": ["image"]}
    cases, (fault,) = found(
        "segrap", root, sequences=["t1"], sequence_names=names, regions={"all": ["GTVp", "GTVnd"]}
    )
    assert cases[1].images["t1"].mask is None
    assert (fault.severity, fault.patient_id) == ("error", "segrap_2")
    assert fault.problem == "there is no GTVnd, which is to be merged with others"
    assert "write GTVnd? for it" in fault.remedy
    cases, (note,) = found(
        "segrap", root, sequences=["t1"], sequence_names=names, regions={"all": ["GTVp", "GTVnd?"]}
    )
    assert cases[0].images["t1"].label == ("GTVp", "GTVnd")
    assert cases[1].images["t1"] == ImageFiles(root / "segrap_2/image.nii.gz", root / "segrap_2/GTVp.nii.gz")
    assert (note.severity, note.problem) == ("info", "1 images have no GTVnd: region all is made of the rest")


def test_segrap_says_what_it_took_images_for(tmp_path):
    folder = "SegRap 训练/segrap_0001"
    root = touch(
        tmp_path, *(f"{folder}/{name}.nii.gz" for name in ("image", "image_contrast", "image_t2", "GTVp"))
    )
    (case,), (doubt,) = found("segrap", root)
    assert {s: f.image.name for s, f in case.images.items()} == {
        "t1": "image.nii.gz", "t2": "image_t2.nii.gz", "ce_t1": "image_contrast.nii.gz"
    }  # fmt: skip
    assert {f.mask.name for f in case.images.values()} == {"GTVp.nii.gz"}
    assert doubt.severity == "warning"
    assert doubt.problem == "by their names alone, image for t1 and image_contrast for ce_t1 are taken"
    assert "CT" in doubt.remedy
    assert guess_layout(root) == "segrap"


@pytest.mark.parametrize("layout", ["hanseg", "segrap"])
def test_nobody(tmp_path, layout):
    touch(tmp_path, "a/b.txt")
    with pytest.raises(CohortError, match="holds no cases in the layout of") as caught:
        found(layout, tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("root", ["", "data", "data/MRI-Segments", "MRI-Segments"])
def test_regions_of_the_published_layout(tmp_path, root):
    touch(tmp_path / root, "001/T1WI/1.dcm", "001/ROI-T1.nii", "001/T2WI/1.dcm", "001/ROI-T2.nii")
    regions = {"gtvp": [1], "gtvnd": [2, 3]}
    both = ["t1", "t2"]
    (case,), findings = found(
        "published", tmp_path, sequences=both, regions=regions, optional_regions=["gtvnd"]
    )
    assert findings == []
    folder = tmp_path / root / "001"
    assert list(case.images) == ["t1-gtvp", "t1-gtvnd", "t2-gtvp", "t2-gtvnd"]
    assert case.images["t2-gtvnd"] == ImageFiles(
        folder / "T2WI", folder / "ROI-T2.nii", (2, 3), optional=True
    )
    assert guess_layout(tmp_path) == "published"


def test_guessing(tmp_path):
    touch(tmp_path, "m.csv", "odd/007/x/0001", "odd/007/notes.txt", "none/a.txt")
    assert guess_layout(tmp_path / "m.csv") == "manifest"
    with pytest.raises(CohortError, match="none is in no known layout"):
        guess_layout(tmp_path / "none")
    with pytest.raises(CohortError, match="the folder away does not exist"):
        guess_layout(tmp_path / "away")
    (tmp_path / "odd/007/x/0001").write_bytes(b"\0" * 128 + b"DICM")
    assert guess_layout(tmp_path / "odd") == "dicom"
