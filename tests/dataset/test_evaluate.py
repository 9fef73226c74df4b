"""Folders of predictions scored against a reference and ranked, in files of other libraries."""

import json
import shutil

import nibabel
import nrrd
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from scipy import stats
from scipy.spatial.distance import dice as dice_distance

from radiomics_npc.dataset.case_files import find_case_masks, find_image
from radiomics_npc.dataset.case_masks import name_classes
from radiomics_npc.dataset.evaluate import evaluate_folders, name_methods
from radiomics_npc.dataset.evaluation_page import evaluation_page
from radiomics_npc.dataset.one_grid import on_one_grid
from radiomics_npc.errors import CohortError, ConfigError, MaskError
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.segmentation.evaluation import evaluate

SHAPE, SPACING = (6, 40, 44), (0.5, 0.5, 5.0)  # z y x; x y z


def box(x=10, y=10, width=14, slices=(1, 4)):
    array = np.zeros(SHAPE, np.uint8)
    array[slices[0] : slices[1], y : y + 12, x : x + width] = 1
    return array


def save(path, array, *, spacing=SPACING, origin=(0.0, 0.0, 0.0)):
    """With nibabel, which stores x, y, z in RAS: what ITK reads as LPS lies at the same voxels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = -origin[0], -origin[1], origin[2]
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.T.astype(np.uint8)), affine), path)
    return path


def save_segments(path, **masks):
    """A ``.seg.nrrd`` with a layer for all, as 3D Slicer writes it."""
    header = {
        "space": "left-posterior-superior",
        "space directions": np.diag(SPACING),
        "space origin": [0.0] * 3,
    }
    array = np.zeros(SHAPE, np.uint8)
    for k, (name, mask) in enumerate(masks.items()):
        array[mask > 0] = k + 1
        header |= {f"Segment{k}_Name": name, f"Segment{k}_LabelValue": str(k + 1), f"Segment{k}_Layer": "0"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nrrd.write(str(path), np.ascontiguousarray(array.T), header)


def save_rtstruct(path, **rois):
    """Boxes (x, y, width, height in pixels, slices) as contours."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = (
        ExplicitVRLittleEndian,
        "1.2.840.10008.5.1.4.1.1.481.3",
    )
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality, data.StructureSetROISequence, data.ROIContourSequence = "RTSTRUCT", [], []
    for number, (name, (x, y, width, height, slices)) in enumerate(rois.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for z in range(*slices):
            corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
            item = Dataset()
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", 4
            points = [((a - 0.5) * SPACING[0], (b - 0.5) * SPACING[1], z * SPACING[2]) for a, b in corners]
            item.ContourData = [f"{v:.4f}" for point in points for v in point]
            drawn.ContourSequence.append(item)
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(drawn)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def two_classes(tumor, nodes):
    array = tumor.copy()
    array[nodes > 0] = 2
    return array


def scored(predictions, reference, **options):
    options = {"jobs": 1, "progress": False, "resamples": 50} | options
    return evaluate_folders(predictions, reference, **options)


@pytest.fixture
def folders(tmp_path):
    """Three methods on six cases in the layout of nnU-Net; the reference of the fourth has no nodes."""
    rng = np.random.default_rng(6)
    truth = {}
    for case in range(6):
        name = f"npc_{case:03d}"
        tumor, nodes = box(10 + case), box(28, 24, 10, (2, 5)) * (case != 3)
        save(tmp_path / "reference" / f"{name}.nii.gz", two_classes(tumor, nodes))
        truth[name, "GTVp"], truth[name, "GTVnd"] = (tumor > 0) & (nodes == 0), nodes > 0
        for method, step in (("good", 1), ("fair", 2), ("poor", 4)):
            a, b = (int(v) for v in rng.integers(0, 2, 2))
            moved = box(10 + case + step + a), box(28 - step, 24 - b, 10, (2, 5)) * (case != 3)
            save(tmp_path / method / f"{name}.nii.gz", two_classes(*moved))
            truth[method, name, "GTVp"] = (moved[0] > 0) & (moved[1] == 0)
            truth[method, name, "GTVnd"] = moved[1] > 0
    about = {"labels": {"background": 0, "GTVp": 1, "GTVnd": 2}, "simulated": True}
    (tmp_path / "reference" / "dataset.json").write_text(json.dumps(about))
    return tmp_path, truth


METHODS = ("poor", "good", "fair")
SCORED = (
    "dice", "jaccard", "sensitivity", "precision", "hd95_mm", "mean_surface_distance_mm", "volume_error_cm3",
    "volume_error_percent", "predicted_cm3", "reference_cm3",
)  # fmt: skip


def test_every_case_class_and_method_is_scored(folders):
    root, truth = folders
    found = scored({m: root / m for m in METHODS}, root / "reference", tolerances_mm={"gtvnd": 2})
    assert len(found.table) == 3 * 6 * 2
    assert not found.table["missing"].any()
    assert found.failures.empty
    assert found.unscored.empty
    assert found.settings["tolerances_mm"] == {"GTVp": 1.0, "GTVnd": 2.0}
    for row in found.table.to_dict("records"):
        key = row["case"], row["class"]
        one, two = truth[(row["method"], *key)], truth[key]
        expected = evaluate({"": one}, {"": two}, SPACING, tolerances_mm=(1.0, 2.0)).iloc[0]
        for name in SCORED:
            assert row[name] == pytest.approx(expected[name], abs=1e-9), name
        assert row["nsd"] == pytest.approx(
            expected["nsd_2mm" if row["class"] == "GTVnd" else "nsd_1mm"], abs=1e-9
        )
        if two.any():
            assert row["dice"] == pytest.approx(1 - dice_distance(one.ravel(), two.ravel()), abs=1e-12)
            itk = sitk.LabelOverlapMeasuresImageFilter()
            itk.Execute(*(sitk.GetImageFromArray(m.astype(np.uint8)) for m in (two, one)))
            assert row["dice"] == pytest.approx(itk.GetDiceCoefficient(), abs=1e-6)
            assert row["jaccard"] == pytest.approx(itk.GetJaccardCoefficient(), abs=1e-6)
        diagonal = np.linalg.norm(np.array(SHAPE[::-1]) * SPACING)
        assert row["diagonal_mm"] == pytest.approx(diagonal, rel=1e-6)


def test_methods_are_ranked_and_compared(folders):
    root, _ = folders
    found = scored({m: root / m for m in METHODS}, root / "reference")
    assert found.methods == ["good", "fair", "poor"]
    assert list(dict.fromkeys(found.table["method"])) == found.methods
    assert found.ranking.table["rank"].tolist() == [1, 2, 3]
    assert found.stability.ranks.shape == (3, 50)
    assert found.schemes["method"].tolist() == found.methods
    wide = found.table.pivot_table(index=["case", "class"], columns="method", values="dice")
    row = found.comparisons.query(
        "measure == 'dice' and `class` == 'all' and first == 'good' and second == 'poor'"
    )
    x, y = (wide[m].groupby("case").mean() for m in ("good", "poor"))
    assert row["p_t"].iloc[0] == pytest.approx(stats.ttest_rel(x, y).pvalue, rel=1e-9)
    mean = found.summary.query("method == 'good' and `class` == 'GTVp' and measure == 'dice'")["mean"].iloc[0]
    assert mean == pytest.approx(wide["good"].xs("GTVp", level="class").mean())
    tests = scored({m: root / m for m in METHODS}, root / "reference", scheme="test_based")
    assert tests.stability is None
    only = scored({"good": root / "good"}, root / "reference")
    assert (only.ranking, only.stability, len(only.schemes), len(only.comparisons)) == (None, None, 0, 0)
    assert only.methods == ["good"]
    pd.testing.assert_frame_equal(only.table, found.table[found.table["method"] == "good"])


def test_the_order_of_the_folders_does_not_matter(folders):
    root, _ = folders
    one = scored({m: root / m for m in METHODS}, root / "reference")
    two = scored({m: root / m for m in METHODS[::-1]}, root / "reference")
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.summary, two.summary)
    pd.testing.assert_frame_equal(one.comparisons, two.comparisons)
    pd.testing.assert_frame_equal(one.stability.to_frame(), two.stability.to_frame())


@pytest.mark.slow
def test_the_number_of_jobs_does_not_matter(folders):
    root, _ = folders
    one, two = (scored({m: root / m for m in METHODS}, root / "reference", jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table)


def test_what_is_missing_scores_0(folders):
    root, _ = folders
    (root / "good" / "npc_001.nii.gz").unlink()
    (root / "good" / "npc_002.nii.gz").write_bytes(b"\x1f\x8b damaged")
    save(root / "good" / "npc_004.nii.gz", np.zeros(SHAPE))
    save(root / "good" / "extra.nii.gz", box())
    found = scored({m: root / m for m in METHODS}, root / "reference")
    rows = found.table[found.table["method"] == "good"].set_index(["case", "class"])
    for case in ("npc_001", "npc_002"):
        for name in ("GTVp", "GTVnd"):
            row = rows.loc[(case, name)]
            assert (row["missing"], row["dice"], row["nsd"], row["hd95_mm"]) == (True, 0, 0, np.inf)
            assert row["remark"] == "no prediction"
            assert np.isnan(row["predicted_cm3"])
    empty = rows.loc[("npc_004", "GTVp")]
    assert (empty["missing"], empty["dice"], empty["hd95_mm"], empty["predicted_cm3"]) == (
        False,
        0,
        np.inf,
        0,
    )
    assert found.failures[["method", "case", "class"]].to_numpy().tolist() == [["good", "npc_002", ""]]
    assert "damaged or truncated" in found.failures["message"].iloc[0]
    assert found.unscored.to_numpy().tolist() == [["good", "extra", "", "there is no reference"]]
    assert str(root) not in found.failures.to_csv()
    # in means the diagonal stands for what is infinite
    summary = found.summary.query("method == 'good' and `class` == 'GTVp' and measure == 'hd95_mm'").iloc[0]
    part = rows.xs("GTVp", level="class")["hd95_mm"].replace(np.inf, rows["diagonal_mm"].iloc[0])
    assert summary["mean"] == pytest.approx(part.mean())
    assert (summary["infinite"], summary["missing"], summary["n"]) == (3, 2, 6)
    other = scored({"good": root / "good"}, root / "reference", infinite=100)
    summary = other.summary.query("`class` == 'GTVp' and measure == 'hd95_mm'").iloc[0]
    assert summary["highest"] == 100
    assert found.methods[-1] == "good"
    assert "4 predictions missing" in repr(found)


def test_classes_without_anything_in_the_reference(folders):
    root, _ = folders
    found = scored({"good": root / "good"}, root / "reference").table.set_index(["case", "class"])
    both = found.loc[("npc_003", "GTVnd")]
    assert (both["dice"], both["nsd"], both["hd95_mm"], both["volume_error_percent"]) == (1, 1, 0, 0)
    assert both["remark"] == "nothing is drawn in the reference"
    save(root / "good" / "npc_003.nii.gz", two_classes(box(13), box(28, 24)))
    false = scored({"good": root / "good"}, root / "reference").table.set_index(["case", "class"])
    row = false.loc[("npc_003", "GTVnd")]
    assert (row["dice"], row["hd95_mm"], row["reference_cm3"]) == (0, np.inf, 0)
    assert row["predicted_cm3"] > 0
    left = scored({"good": root / "good"}, root / "reference", empty_reference="omit")
    assert ("npc_003", "GTVnd") not in left.table.set_index(["case", "class"]).index
    assert left.unscored.to_numpy().tolist() == [
        ["", "npc_003", "GTVnd", "nothing is drawn in the reference"]
    ]
    assert left.summary.query("`class` == 'GTVnd' and measure == 'dice'")["n"].iloc[0] == 5


def test_predictions_on_other_grids(tmp_path):
    save(tmp_path / "reference" / "1.nii.gz", box())
    save(tmp_path / "reference" / "2.nii.gz", box())
    save(tmp_path / "cropped" / "1.nii.gz", box()[1:5, 8:30, 6:40], origin=(3.0, 4.0, 5.0))
    flipped = sitk.GetImageFromArray(box()[:, :, ::-1])
    flipped.SetSpacing(SPACING)
    flipped.SetOrigin(((SHAPE[2] - 1) * 0.5, 0, 0))
    flipped.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(flipped, str(tmp_path / "cropped" / "2.nii.gz"))
    save(
        tmp_path / "coarse" / "1.nii.gz",
        box()[:, ::2, ::2],
        spacing=(1.0, 1.0, 5.0),
        origin=(0.25, 0.25, 0.0),
    )
    save(tmp_path / "coarse" / "2.nii.gz", box(), origin=(1000.2, 0.0, 0.0))
    methods = {m: tmp_path / m for m in ("cropped", "coarse")}
    found = scored(methods, tmp_path / "reference")
    assert found.table.query("method == 'cropped'")["dice"].tolist() == [1.0, 1.0]
    assert found.table.query("method == 'coarse'")["missing"].tolist() == [True, True]
    assert [m.split(" ")[4:7] for m in found.failures["message"]] == [
        ["different", "grids:", "size"], ["grids", "that", "do"],
    ]  # fmt: skip
    again = scored(methods, tmp_path / "reference", on_mismatch="resample")
    rows = again.table.query("method == 'coarse'").set_index("case")
    assert rows.loc["1", ["dice", "remark"]].tolist() == [1.0, "resampled"]
    assert rows.loc["2", "missing"]  # nothing of it lies there: no resampling helps


def test_nothing_of_a_prediction_is_cut_off_by_a_cropped_reference():
    """A reference that was cropped tightly, and a prediction that goes beyond it."""
    reference = Mask(np.ones((2, 4, 4)), SPACING, (5.0, 5.0, 5.0))
    whole = np.zeros(SHAPE, bool)
    whole[1:3, 10:14, 10:18] = True
    a, b, resampled = on_one_grid(reference, Mask(whole, SPACING))
    assert (int(a.array.sum()), int(b.array.sum()), int((a.array & b.array).sum())) == (32, 64, 32)
    assert not resampled
    coarse = Mask(np.ones((1, 4, 8)), (0.5, 0.5, 10.0), (5.0, 5.0, 7.5))
    with pytest.raises(MaskError, match="different grids"):
        on_one_grid(reference, coarse)
    a, b, resampled = on_one_grid(reference, coarse, "resample")
    assert (int(a.array.sum()), int(b.array.sum()), int((a.array & b.array).sum())) == (32, 64, 32)
    assert resampled
    apart = Mask(np.ones((1, 2, 2)), SPACING, (15.0, 5.0, 5.0))
    a, b, _ = on_one_grid(reference, apart)  # the same voxels elsewhere: nothing shared
    assert (int(b.array.sum()), int((a.array & b.array).sum())) == (4, 0)
    with pytest.raises(MaskError, match="do not overlap"):
        on_one_grid(reference, Mask(np.ones((1, 2, 2)), SPACING, (1000.1, 5.0, 5.0)), "resample")


def test_a_folder_a_case_with_a_file_a_class(tmp_path):
    """SegRap: files by structure; what the reference has no file for is not scored."""
    for case in ("segrap_0001", "segrap_0002"):
        folder = tmp_path / "reference" / case
        save(folder / "image.nii.gz", np.arange(np.prod(SHAPE)).reshape(SHAPE) % 250)
        save(folder / "GTVp.nii.gz", 255 * box())
        save(tmp_path / "a" / case / "gtv_p.nii.gz", box(11))
    save(tmp_path / "reference" / "segrap_0001" / "Larynx.nii.gz", box(4, 4, 6))
    save(tmp_path / "a" / "segrap_0001" / "Larynx.nii.gz", box(4, 4, 6))
    found = scored({"a": tmp_path / "a"}, tmp_path / "reference", tolerances_mm={"Larynx": 2.0})
    rows = found.table.set_index(["case", "class"])
    assert rows["dice"].round(3).to_dict() == {
        ("segrap_0001", "GTVp"): 0.929, ("segrap_0001", "Larynx"): 1.0, ("segrap_0002", "GTVp"): 0.929,
    }  # fmt: skip
    assert rows["tolerance_mm"].tolist() == [1.0, 2.0, 1.0]
    assert found.unscored.to_numpy().tolist() == [
        ["", "segrap_0002", "Larynx", "the reference has no file for it"]
    ]
    (tmp_path / "a" / "segrap_0001" / "Larynx.nii.gz").unlink()
    rows = scored({"a": tmp_path / "a"}, tmp_path / "reference").table.set_index(["case", "class"])
    assert rows.loc[("segrap_0001", "Larynx"), ["missing", "dice"]].tolist() == [True, 0.0]


def test_hanseg_and_label_maps_meet(tmp_path):
    """References by structure in NRRD, in a folder within; predictions as label maps, and the other way."""
    for case in ("case_01", "case_02"):
        folder = tmp_path / "reference" / "set_1" / case
        sitk_image = sitk.GetImageFromArray(np.zeros(SHAPE, np.int16))
        folder.mkdir(parents=True)
        sitk.WriteImage(sitk_image, str(folder / f"{case}_IMG_MR_T1.nrrd"))
        save_segments(folder / f"{case}_OAR_Parotid_L.seg.nrrd", Parotid_L=box())
        save_segments(folder / f"{case}_OAR_Parotid_R.seg.nrrd", Parotid_R=box(28, 24, 10))
        save_segments(tmp_path / "named" / f"{case}.seg.nrrd", Parotid_R=box(28, 24, 10), Parotid_L=box(12))
        save(tmp_path / "values" / f"{case}.nii.gz", two_classes(box(12), box(28, 24, 10)))
    methods = {"named": tmp_path / "named"}
    found = scored(methods, tmp_path / "reference")
    assert found.table.groupby("class")["dice"].mean().round(3).to_dict() == {
        "Parotid_L": 0.857,
        "Parotid_R": 1.0,
    }
    methods["values"] = tmp_path / "values"
    unnamed = scored(methods, tmp_path / "reference")
    assert set(unnamed.failures["method"]) == {"values"}
    assert "it names none" in unnamed.failures["message"].iloc[0]
    told = scored(
        {"values": tmp_path / "values"}, tmp_path / "reference", classes={"Parotid_L": 1, "Parotid_R": 2}
    )
    assert told.table["dice"].tolist() == found.table["dice"].tolist()
    swapped = scored({"names": tmp_path / "reference"}, tmp_path / "named")
    assert swapped.table.groupby("class")["dice"].mean().round(3).to_dict() == {
        "Parotid_L": 0.857,
        "Parotid_R": 1.0,
    }


def test_a_class_that_no_prediction_has_is_told(folders):
    """All empty may be true, but more likely the class has another name there."""
    root, _ = folders
    for case in range(6):
        save_segments(
            root / "named" / f"npc_{case:03d}.seg.nrrd", Tumor=box(10 + case), GTVnd=box(28, 24, 10, (2, 5))
        )
    found = scored({"named": root / "named"}, root / "reference")
    assert found.failures[["method", "case", "class"]].to_numpy().tolist() == [["named", "", "GTVp"]]
    assert "no prediction holds" in found.failures["message"].iloc[0]
    rows = found.table[found.table["class"] == "GTVp"]
    assert (rows["remark"] == "nothing is drawn in the prediction").all()
    assert (rows["dice"] == 0).all()


def test_merged_classes(tmp_path):
    save(tmp_path / "reference" / "1.nii.gz", two_classes(box(), box(28, 24, 10)))
    save(tmp_path / "a" / "1" / "GTVp.nii.gz", box())
    save(tmp_path / "a" / "1" / "GTVnd.nii.gz", box(28, 24, 10))
    (tmp_path / "reference" / "dataset.json").write_text('{"labels": {"GTVp": 1, "GTVnd": 2}}')
    found = scored({"a": tmp_path / "a"}, tmp_path / "reference", classes={"lesions": ("GTVp", "GTVnd")})
    assert found.table[["class", "dice"]].to_numpy().tolist() == [["lesions", 1.0]]


def test_contours_are_filled_on_the_grid_of_the_reference(tmp_path):
    for case in ("1", "2"):
        save(tmp_path / "reference" / f"{case}.nii.gz", box())
        save_rtstruct(tmp_path / "plans" / case / "RS.dcm", tumor=(12, 10, 14, 12, (1, 4)))
        save(tmp_path / "images" / f"{case}_0000.nii.gz", np.zeros(SHAPE))
    found = scored({"plans": tmp_path / "plans"}, tmp_path / "reference")
    assert found.table["class"].unique().tolist() == ["tumor"]
    assert found.table["dice"].tolist() == pytest.approx([1 - 2 / 14] * 2, abs=1e-12)
    # contours as the reference: nothing tells their grid but an image
    turned = scored({"a": tmp_path / "reference"}, tmp_path / "plans", images=tmp_path / "images")
    assert turned.table["dice"].tolist() == pytest.approx([1 - 2 / 14] * 2, abs=1e-12)
    with pytest.raises(CohortError, match="need an image"):
        scored({"a": tmp_path / "reference"}, tmp_path / "plans")


def test_classes_are_named_by_what_there_is(tmp_path):
    save(tmp_path / "one" / "1.nii.gz", box() * 255)
    assert [(c.name, c.label) for c in name_classes(find_case_masks(tmp_path / "one"))] == [("tumor", None)]
    save(tmp_path / "values" / "1.nii.gz", box())
    save(tmp_path / "values" / "2.nii.gz", two_classes(box(), box(28, 24)))
    assert [(c.name, c.label) for c in name_classes(find_case_masks(tmp_path / "values"))] == [
        ("1", 1),
        ("2", 2),
    ]
    (tmp_path / "values" / "dataset.json").write_text(
        '{"labels": {"background": 0, "both": [1, 2], "GTVnd": 2}}'
    )
    named = name_classes(find_case_masks(tmp_path / "values"))
    assert [(c.name, c.values) for c in named] == [("both", (1, 2)), ("GTVnd", 2)]  # noqa: PD011
    save(tmp_path / "nothing" / "1.nii.gz", np.zeros(SHAPE))
    with pytest.raises(CohortError, match="nothing is drawn"):
        name_classes(find_case_masks(tmp_path / "nothing"))


def test_a_data_set_of_nnunet_is_found_whole(tmp_path):
    save(tmp_path / "d" / "labelsTr" / "a.nii.gz", box())
    save(tmp_path / "d" / "labelsTs" / "b.nii.gz", box())
    save(tmp_path / "d" / "imagesTs" / "b_0000.nii.gz", box())
    assert list(find_case_masks(tmp_path / "d")) == ["a", "b"]
    assert find_image(tmp_path / "d", "b").name == "b_0000.nii.gz"
    assert find_image(tmp_path / "d", "a") is None


def test_folders_are_named_by_what_tells_them_apart(tmp_path):
    assert list(name_methods([tmp_path / "a" / "masks", tmp_path / "b" / "masks"])) == ["a/masks", "b/masks"]
    with pytest.raises(ConfigError, match="named twice"):
        name_methods(["x", "y/../x"])


def test_what_cannot_be_evaluated_is_said(folders):
    root, _ = folders
    one = {"good": root / "good"}
    (root / "empty").mkdir()
    save(root / "others" / "other.nii.gz", box())
    for options, match in (
        ({"tolerances_mm": {"GTVnn": 1}}, "Did you mean GTVnd"), ({"tolerances_mm": -1}, "no tolerance"),
        ({"surface": "mesh"}, "surface is 'mesh'"), ({"on_mismatch": "ignore"}, "on_mismatch"),
        ({"empty_reference": "drop"}, "empty_reference"), ({"infinite": "mean"}, "cannot stand"),
        ({"resamples": 0}, "bootstrap samples"), ({"classes": {}}, "no class"),
        ({"measures": ["reference_cm3"]}, "cannot be ranked"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=match):
            scored(one, root / "reference", **options)
    with pytest.raises(ConfigError, match="no prediction"):
        scored({}, root / "reference")
    for folder, match in (
        ("empty", "holds no masks"),
        ("nowhere", "does not exist"),
        ("others", "share no case"),
    ):
        with pytest.raises(CohortError, match=match):
            scored({"x": root / folder}, root / "reference")
    shutil.copy(root / "good" / "npc_001.nii.gz", root / "good" / "npc_001.nii")
    with pytest.raises(CohortError, match="two masks of the case npc_001"):
        scored(one, root / "reference")
    with pytest.raises(CohortError, match="no case could be scored"):
        scored({"fair": root / "fair"}, root / "reference", classes={"GTVx": "GTVx"}, empty_reference="omit")


def test_a_fault_of_the_reference_leaves_the_case_out(folders):
    root, _ = folders
    (root / "reference" / "npc_000.nii.gz").write_bytes(b"")
    found = scored({m: root / m for m in METHODS}, root / "reference")
    assert found.failures[["method", "case"]].to_numpy().tolist() == [["", "npc_000"]]
    assert found.table["case"].nunique() == 5


def test_surfels_are_measured_where_asked(folders):
    root, truth = folders
    row = scored({"fair": root / "fair"}, root / "reference", surface="surfel").table.iloc[0]
    key = row["case"], row["class"]
    expected = evaluate({"": truth[("fair", *key)]}, {"": truth[key]}, SPACING, mode="surfel").iloc[0]
    assert (row["hd95_mm"], row["nsd"]) == pytest.approx((expected["hd95_mm"], expected["nsd_1mm"]), abs=1e-9)


def test_what_is_written_and_that_simulated_patients_are_called_so(folders):
    root, _ = folders
    (root / "good" / "npc_002.nii.gz").unlink()
    save(root / "good" / "new.nii.gz", box())
    methods = {"good <1>": root / "good", "fair": root / "fair", "poor": root / "poor"}
    found = scored(methods, root / "reference")
    assert found.simulated
    paths = found.write(root / "out")
    figures = ["dice", "nsd", "hd95_mm", "stability", "schemes"]
    tables = ["scores", "summary", "ranking", "schemes", "stability", "kendall", "comparisons", "unscored"]
    assert [p.name for p in paths] == [
        *(f"{n}.csv" for n in tables), *(f"{n}.{kind}" for n in figures for kind in ("svg", "png")),
        "evaluation.html",
    ]  # fmt: skip
    for path in paths[:7]:
        assert pd.read_csv(path)["simulated"].all()
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    for name in figures:
        assert "Simulated patients" in (root / "out" / f"{name}.svg").read_text(encoding="utf-8")
    page = paths[-1].read_text(encoding="utf-8")
    assert "SIMULATED PATIENTS" in page
    assert "good &lt;1&gt;" in page
    assert "good <1>" not in page
    assert "2 predictions missing" in page
    assert "stands for 2 infinite distances" in page
    assert "<script" not in page
    (root / "reference" / "dataset.json").write_text('{"labels": {"GTVp": 1, "GTVnd": 2}}')
    for folder in ("reference", "fair"):
        (root / folder / "npc_002.nii.gz").rename(root / folder / "甲.nii.gz")
    only = scored({"fair": root / "fair"}, root / "reference")
    paths = only.write(root / "out")
    assert not (root / "out" / "ranking.csv").exists()
    page = paths[-1].read_text(encoding="utf-8")
    assert "甲" in (root / "out" / "scores.csv").read_text(encoding="utf-8-sig")
    assert "simulated" not in page.lower()
    assert "Ranking" not in page
    before = {p.name: p.read_bytes() for p in paths}
    assert {p.name: p.read_bytes() for p in only.write(root / "out")} == before


def test_many_classes_and_methods_fit_the_page(tmp_path):
    """Of more than six classes the page shows the mean over them; the tables hold all."""
    array, names = np.zeros(SHAPE, np.uint8), {}
    for k in range(7):
        array[1:4, 10:20, 4 * k + 2 : 4 * k + 5] = k + 1
        names[f"Organ_{k}"] = k + 1
    for case in ("1", "2"):
        save(tmp_path / "reference" / f"{case}.nii.gz", array)
        for m in range(4):
            save(tmp_path / f"team {m}" / f"{case}.nii.gz", np.roll(array, m, axis=2))
    (tmp_path / "reference" / "dataset.json").write_text(json.dumps({"labels": names}))
    found = scored({f"team {m}": tmp_path / f"team {m}" for m in range(4)}, tmp_path / "reference")
    assert found.methods == [f"team {m}" for m in range(4)]
    assert len(found.comparisons) == 2 * 8 * 6
    page = evaluation_page(found, found.figures())
    scores, lowest = page.partition("Lowest Dice</h2>")[::2]
    assert "Mean over classes" in scores
    assert "Organ_3" not in scores
    assert "Organ_3</td>" in lowest
    assert "Here each method and the next" in page


def test_names_of_segments_do_not_stand_for_values_of_other_maps(tmp_path):
    """The first segment of one file need not be value 1 of another."""
    save_segments(tmp_path / "reference" / "1.seg.nrrd", GTVnd=box(28, 24, 10), GTVp=box())
    save(tmp_path / "a" / "1.nii.gz", two_classes(box(), box(28, 24, 10)))
    found = scored({"a": tmp_path / "a"}, tmp_path / "reference")
    assert found.table["missing"].all()
    assert "it names none" in found.failures["message"].iloc[0]
    (tmp_path / "a" / "dataset.json").write_text('{"labels": {"GTVp": 1, "GTVnd": 2}}')
    assert scored({"a": tmp_path / "a"}, tmp_path / "reference").table["dice"].tolist() == [1.0, 1.0]
