"""The layout of BIDS."""

import pytest

from radiomics_npc.cohort.cases import ImageFiles
from radiomics_npc.cohort.layouts import find_cases, guess_layout
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import CohortSettings


@pytest.fixture
def tree(tmp_path):
    def make(*files):
        for name in files:
            path = tmp_path / "数据 BIDS" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "数据 BIDS"

    return make


def found(folder, **settings):
    return find_cases(CohortSettings(layout="bids", path=folder, **settings))


def test_sequences_by_suffix_and_contrast(tree):
    root = tree(
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_ce-gadolinium_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii",
        "sub-01/anat/sub-01_T1w.json",
        "sub-01/dwi/sub-01_dwi.nii.gz",
        "sub-02/ses-pre/anat/sub-02_ses-pre_acq-postcontrast_T1w.nii.gz",
        "sub-02/ses-pre/anat/sub-02_ses-pre_ce-none_T1w.nii.gz",
    )
    cases, findings = found(root)
    assert findings == []
    names = [(c.patient_id, {s: f.image.name[7:] for s, f in c.images.items()}) for c in cases]
    assert names == [
        ("sub-01", {"t1": "T1w.nii.gz", "t2": "T2w.nii", "ce_t1": "ce-gadolinium_T1w.nii.gz"}),
        ("sub-02", {"t1": "ses-pre_ce-none_T1w.nii.gz", "ce_t1": "ses-pre_acq-postcontrast_T1w.nii.gz"}),
    ]
    assert guess_layout(root) == "bids"


def test_masks_of_each_sequence_in_the_derivatives(tree):
    anat, drawn = "sub-01/anat", "derivatives/manual/sub-01/anat"
    root = tree(
        f"{anat}/sub-01_T1w.nii.gz", f"{anat}/sub-01_ce-gd_T1w.nii.gz", f"{anat}/sub-01_T2w.nii.gz",
        f"{drawn}/sub-01_space-T1w_label-GTVp_mask.nii.gz",
        f"{drawn}/sub-01_ce-gd_label-GTVp_mask.nii.gz",
        f"{drawn}/sub-01_label-GTVp_mask.nii.gz",
    )  # fmt: skip
    cases, findings = found(root)
    assert findings == []
    assert {s: f.mask.name for s, f in cases[0].images.items()} == {
        "t1": "sub-01_space-T1w_label-GTVp_mask.nii.gz",
        "t2": "sub-01_label-GTVp_mask.nii.gz",
        "ce_t1": "sub-01_ce-gd_label-GTVp_mask.nii.gz",
    }


def test_one_mask_a_structure_one_region_each_or_merged(tree):
    anat = "sub-01/anat"
    root = tree(*(f"{anat}/sub-01_{what}.nii.gz" for what in ("T1w", "label-GTVp_mask", "label-GTVnd_mask")))
    (case,), _ = found(
        root, sequences=["t1"], regions={"p": ["GTVp"], "n": ["gtvnd"]}, optional_regions=["n"]
    )
    folder = root / anat
    assert case.images == {
        "t1-p": ImageFiles(folder / "sub-01_T1w.nii.gz", folder / "sub-01_label-GTVp_mask.nii.gz"),
        "t1-n": ImageFiles(
            folder / "sub-01_T1w.nii.gz", folder / "sub-01_label-GTVnd_mask.nii.gz", optional=True
        ),
    }
    (case,), _ = found(root, sequences=["t1"], regions={"all": ["GTVp", "GTVnd"]})
    names = ("sub-01_label-GTVp_mask", "sub-01_label-GTVnd_mask")
    assert case.images == {"t1": ImageFiles(folder / "sub-01_T1w.nii.gz", folder, names)}


@pytest.mark.parametrize("table", ["sub-01/anat/sub-01_dseg.tsv", "desc-manual_dseg.tsv"])
def test_label_maps_with_a_table(tree, table):
    root = tree("sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_dseg.nii.gz", table)
    (root / table).write_text("index\tname\n0\tBackground\n1\tGTVp\n2\tGTVnd\n3\tGTVnd\n", encoding="utf-8")
    (case,), findings = found(root, sequences=["t1"], regions={"nodes": ["GTVnd"]})
    assert (case.images["t1"].label, findings) == ((2, 3), [])
    (root / table).write_text("value\tname\n1\tGTVp\n", encoding="utf-8")
    with pytest.raises(CohortError, match="needs the columns index and name"):
        found(root)


def test_two_images_of_one_sequence_are_named(tree):
    root = tree("sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz", "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz",
                "sub-01/ses-b/anat/sub-01_ses-b_mask.nii.gz")  # fmt: skip
    (case,), (doubt,) = found(root, sequences=["t1"])
    assert case.images["t1"] == ImageFiles(root / "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz")
    assert (doubt.severity, doubt.patient_id, doubt.sequence) == ("warning", "sub-01", "t1")
    assert doubt.problem == "sub-01_ses-a_T1w.nii.gz is taken; sub-01_ses-b_T1w.nii.gz would do as well"


def test_the_studys_own_names_settle_it(tree):
    what = [f"acq-{acquired}_{suffix}" for suffix in ("T1w", "mask") for acquired in ("space", "tse")]
    root = tree(*(f"sub-01/anat/sub-01_{name}.nii.gz" for name in what))
    (case,), findings = found(root, sequences=["t1"], sequence_names={"t1": ["TSE"]})
    assert findings == []
    assert case.images["t1"].image.name == "sub-01_acq-tse_T1w.nii.gz"
    assert case.images["t1"].mask.name == "sub-01_acq-tse_mask.nii.gz"


def test_no_patients(tmp_path):
    with pytest.raises(CohortError, match="holds no sub- folders"):
        found(tmp_path)
