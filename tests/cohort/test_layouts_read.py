"""The same patient in every layout, written by other libraries: the same image and the same regions."""

import json
from pathlib import Path

import numpy as np
import pytest

from radiomics_npc.cohort.layouts import guess_layout
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.imaging.reading import read_pair

nibabel = pytest.importorskip("nibabel")
nrrd = pytest.importorskip("nrrd")

SPACING, ORIGIN = (0.8, 0.9, 4.0), (-12.0, 7.5, 30.0)
REGIONS = {"gtvp": ["GTVp"], "gtvnd": ["GTVnd"]}


def made() -> tuple[np.ndarray, np.ndarray]:
    """Image and labels (slices, rows, columns); 1 is GTVp, 2 is GTVnd."""
    image = np.random.default_rng(5).integers(1, 900, (6, 14, 12)).astype(np.int16)
    labels = np.zeros(image.shape, np.uint8)
    labels[2:4, 3:7, 2:8] = 1
    labels[1:3, 9:12, 7:10] = 2
    return image, labels


def nifti(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = -ORIGIN[0], -ORIGIN[1], ORIGIN[2]
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.T), affine), path)


def nrrd_file(path: Path, array: np.ndarray, **more) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag(SPACING),
        "space origin": ORIGIN,
        **more,
    }
    nrrd.write(str(path), np.ascontiguousarray(array.T), header)


def write_nnunet(root: Path) -> None:
    image, labels = made()
    nifti(root / "imagesTr" / "p_0000.nii.gz", image)
    nifti(root / "labelsTr" / "p.nii.gz", labels)
    about = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "GTVp": 1, "GTVnd": 2},
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(about))


def write_bids_map(root: Path) -> None:
    image, labels = made()
    nifti(root / "sub-p/anat/sub-p_T1w.nii.gz", image)
    nifti(root / "derivatives/manual/sub-p/anat/sub-p_dseg.nii.gz", labels)
    (root / "derivatives/manual/dseg.tsv").write_text("index\tname\n1\tGTVp\n2\tGTVnd\n")


def write_bids_files(root: Path) -> None:
    image, labels = made()
    nifti(root / "sub-p/ses-1/anat/sub-p_ses-1_T1w.nii.gz", image)
    for value, name in ((1, "GTVp"), (2, "GTVnd")):
        nifti(
            root / f"sub-p/ses-1/anat/sub-p_ses-1_label-{name}_mask.nii.gz",
            (labels == value).astype(np.uint8),
        )


def write_hanseg(root: Path) -> None:
    image, labels = made()
    nrrd_file(root / "case_01/case_01_IMG_MR_T1.nrrd", image)
    for value, name in ((1, "GTVp"), (2, "GTVnd")):
        segment = {
            "Segment0_ID": "Segment_1",
            "Segment0_Name": name,
            "Segment0_LabelValue": "1",
            "Segment0_Layer": "0",
        }
        nrrd_file(
            root / f"case_01/case_01_OAR_{name}.seg.nrrd", (labels == value).astype(np.uint8), **segment
        )


def write_segrap(root: Path) -> None:
    image, labels = made()
    nifti(root / "病例 1/image.nii.gz", image)
    for value, name in ((1, "GTVp"), (2, "GTVnd")):
        nifti(root / f"病例 1/{name}.nii.gz", (labels == value).astype(np.uint8))


def write_manifest(root: Path) -> None:
    image, labels = made()
    nifti(root / "图 像/t1.nii", image)
    segments = {}
    for k, name in enumerate(REGIONS.values()):
        told = {"ID": f"s{k}", "Name": name[0], "LabelValue": str(k + 1), "Layer": "0"}
        segments |= {f"Segment{k}_{key}": value for key, value in told.items()}
    nrrd_file(root / "图 像/tumor.seg.nrrd", labels, **segments)
    (root / "m.csv").write_text(
        "patient_id,sequence,image,mask\n病人 1,T1,图 像/t1.nii,图 像/tumor.seg.nrrd\n", "utf-8"
    )


WRITE = {"nnunet": write_nnunet, "bids": write_bids_map, "bids, a file a structure": write_bids_files,
         "hanseg": write_hanseg, "segrap": write_segrap, "manifest": write_manifest}  # fmt: skip


@pytest.mark.parametrize("written", list(WRITE))
def test_image_and_regions_are_those_that_were_written(tmp_path, written):
    layout, root = written.partition(",")[0], tmp_path / "数据 集"
    root.mkdir()
    WRITE[written](root)
    path = root / "m.csv" if layout == "manifest" else root
    assert guess_layout(path) == layout
    settings = {"layout": layout, "path": str(path), "sequences": ["t1"], "clinical": None}
    image, labels = made()
    several = read_cohort({**settings, "regions": REGIONS})
    assert check_cohort(several, jobs=1).ok
    (case,) = several.cases
    for value, region in enumerate(REGIONS, start=1):
        volume, mask = read_pair(case.images[f"t1-{region}"])
        np.testing.assert_array_equal(volume.array, image)
        np.testing.assert_allclose((*volume.spacing_mm, *volume.origin_mm), (*SPACING, *ORIGIN), atol=1e-5)
        np.testing.assert_array_equal(mask.array, labels == value)
    merged = read_cohort({**settings, "regions": {"all": ["GTVp", "GTVnd"]}})
    _, mask = read_pair(merged.cases[0].images["t1"])
    np.testing.assert_array_equal(mask.array, labels > 0)
