"""Masks of a cohort: written as the published layout has them, found again, failures apart."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.layouts import find_published
from radiomics_npc.errors import ModelFileError
from radiomics_npc.imaging.grid import grid_difference
from radiomics_npc.imaging.reading import read_image, read_mask, read_pair
from radiomics_npc.segmentation import batch
from radiomics_npc.segmentation.batch import predict_masks
from radiomics_npc.segmentation.overlap import count_overlap
from radiomics_npc.segmentation.prediction import Segmenter
from radiomics_npc.settings import SegmentationSettings
from tests.segmentation.phantoms import Bright, Geometry, head, segmenter, truth

SMALL = Geometry((64, 64, 10), (3.0, 3.0, 8.0))
TILTED = Geometry((72, 64, 12), (2.7, 3.0, 7.0), (-1.0, 0, 0, 0, 0.96, -0.28, 0, 0.28, 0.96))


@pytest.fixture
def cohort(tmp_path):
    """Two sound patients, one with a drawn mask in T2, one whose T2 is no image, one without tumor."""
    cases = []
    for who in ("1", "2/b", "3", "4"):
        images = {}
        for name, geometry in (("t1", TILTED), ("t2", SMALL)):
            path = tmp_path / "images" / who / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(
                head(geometry, spheres=() if who == "4" else (((3, -2, 1), 16.0),)).to_sitk(), str(path)
            )
            images[name] = ImageFiles(path)
        cases.append(Case(who, images))
    drawn = tmp_path / "drawn.nii.gz"
    sitk.WriteImage(truth(head(SMALL)).to_sitk(), str(drawn))
    second = cases[1].images
    cases[1] = Case("2/b", {"t1": second["t1"], "t2": ImageFiles(second["t2"].image, drawn, 1)})
    cases[2].images["t2"].image.write_bytes(b"no image")
    return Cohort(tuple(cases), sequences=("t1", "t2"))


class Counting(Segmenter):
    calls = 0

    def predict(self, images, **options):
        self.calls += 1
        return super().predict(images, **options)


@pytest.fixture
def counting():
    description = {"grid": {"window": 96}, "members": [{"sha256": "a"}], "simulated": True}
    return Counting([Bright(level=4.5)], description)


def predict(cohort, out, model, **settings):
    return predict_masks(
        cohort, out, settings=SegmentationSettings(**settings), segmenter=model, progress=False
    )


def test_masks_lie_on_the_grid_of_their_image(cohort, tmp_path, counting):
    found = predict(cohort, tmp_path / "masks", counting)
    case = found.cohort.cases[0]
    for name, file in (("t1", "ROI-T1.nii.gz"), ("t2", "ROI-T2.nii.gz")):
        assert case.images[name].mask == tmp_path / "masks" / "1" / file
        image, mask = read_pair(case.images[name])
        assert grid_difference(read_mask(case.images[name].mask), image) is None
        assert count_overlap(mask.array, image.array == 700).dice > 0.7
        assert sitk.ReadImage(str(case.images[name].mask)).GetPixelID() == sitk.sitkUInt8


def test_who_is_predicted_and_who_failed(cohort, tmp_path, counting):
    found = predict(cohort, tmp_path / "masks", counting)
    rows = list(zip(found.table["patient_id"], found.table["sequence"], strict=True))
    assert rows == [("1", "t1"), ("1", "t2"), ("2/b", "t1"), ("3", "t1"), ("4", "t1"), ("4", "t2")]
    # drawn by hand: kept
    assert found.cohort.cases[1].images["t2"].mask == tmp_path / "drawn.nii.gz"
    assert found.cohort.cases[1].images["t2"].label == 1
    assert found.failures[["patient_id", "sequence", "error"]].to_numpy().tolist() == [
        ["3", "t2", "ImageError"],
        ["4", "t1", "MaskError"],
        ["4", "t2", "MaskError"],
    ]
    assert found.failures["remedy"].str.len().min() > 10
    assert not found.failures["message"].str.contains(str(tmp_path)).any()
    assert found.cohort.cases[2].images["t2"].mask is None
    assert found.cohort.cases[3].images["t1"].mask is None
    assert found.table.set_index(["patient_id", "sequence"])["flags"]["4", "t1"] == "empty"


def test_always_predicts_drawn_ones_too(cohort, tmp_path, counting):
    found = predict(cohort, tmp_path / "masks", counting, when="always")
    assert found.cohort.cases[1].images["t2"].mask == tmp_path / "masks" / "2%2Fb" / "ROI-T2.nii.gz"


def test_only_the_sequences_asked_for_but_all_are_looked_at(cohort, tmp_path, counting):
    found = predict_masks(cohort, tmp_path / "masks", sequences=["t1"], segmenter=counting, progress=False)
    assert set(found.table["sequence"]) == {"t1"}
    record = json.loads((tmp_path / "masks" / "1" / "ROI-T1.json").read_text())
    assert record["sequences"] == ["t1", "t2"]


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_done_work_is_found_again(cohort, tmp_path, counting):
    out = tmp_path / "masks"
    first = predict(cohort, out, counting)
    before, calls = contents(out), counting.calls
    second = predict(cohort, out, counting)
    assert counting.calls == calls == 4
    assert contents(out) == before
    assert (first.reused, second.reused) == (0, 4)
    pd.testing.assert_frame_equal(first.table, second.table, rtol=1e-3)
    pd.testing.assert_frame_equal(first.failures, second.failures)
    assert first.cohort.cases == second.cohort.cases


def test_the_same_bytes_anew(cohort, tmp_path, counting):
    a, b = tmp_path / "a", tmp_path / "b"
    predict(cohort, a, counting, probabilities=True, uncertainty=2)
    predict(cohort, b, counting, probabilities=True, uncertainty=2)
    masks = [{k: v for k, v in contents(out).items() if k.suffix == ".gz"} for out in (a, b)]
    assert masks[0] == masks[1]


@pytest.mark.parametrize("change", ["model", "image", "flips", "uncertainty", "probabilities", "lost mask"])
def test_what_makes_it_new(cohort, tmp_path, counting, change):
    out = tmp_path / "masks"
    cohort = Cohort(cohort.cases[:1], sequences=("t1", "t2"))
    predict(cohort, out, counting)
    options, model = {}, counting
    if change == "model":
        model = Counting([Bright(level=4.6)], counting.description | {"members": [{"sha256": "b"}]})
    elif change == "image":
        path = cohort.cases[0].images["t2"].image
        sitk.WriteImage(head(SMALL, spheres=(((0, 0, 0), 20.0),)).to_sitk(), str(path))
    elif change == "lost mask":
        (out / "1" / "ROI-T2.nii.gz").unlink()
    else:
        options = {"flips": False} if change == "flips" else {change: 2 if change == "uncertainty" else True}
    before = model.calls
    found = predict(cohort, out, model, **options)
    assert model.calls == before + 1
    assert found.reused == 0


def spoil(path, how):
    """Make an image of which nothing can be seen; gives its path."""
    if how == "not finite":
        image = head(SMALL)
        image.array[3, 20, 20] = np.nan
        path = path.with_name("t2.mha")  # ITK takes NaN in NIfTI as 0
        sitk.WriteImage(image.to_sitk(), str(path))
    elif how == "absent":
        path.unlink()
    elif how == "no series":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(b"no image")
    return path


@pytest.mark.parametrize("how", ["damaged", "absent", "no series", "not finite"])
def test_an_unreadable_sequence_costs_its_own_mask_alone(cohort, tmp_path, counting, how):
    first = cohort.cases[0]
    spoiled = ImageFiles(spoil(first.images["t2"].image, how))
    both = Cohort((replace(first, images=first.images | {"t2": spoiled}),), sequences=("t1", "t2"))
    alone = Cohort((replace(first, images={"t1": first.images["t1"]}),), sequences=("t1",))
    predict(alone, tmp_path / "alone", counting)
    for calls in (2, 2):  # predicted, and found again
        found = predict(both, tmp_path / "both", counting, uncertainty=2)
        assert counting.calls == calls
        assert found.failures[["patient_id", "sequence", "stage", "error"]].to_numpy().tolist() == [
            ["1", "t2", "predict", "ImageError"]
        ]
        assert not found.failures["message"].str.contains(str(tmp_path)).any()
        assert found.table["sequence"].tolist() == ["t1"]
        assert [c.cases[0].images["t2"].mask for c in (found.cohort, *found.variations)] == [None] * 3
    masks = [read_mask(tmp_path / name / "1" / "ROI-T1.nii.gz").array for name in ("alone", "both")]
    np.testing.assert_array_equal(*masks)


def test_an_unreadable_sequence_that_needs_no_mask_is_said(cohort, tmp_path, counting):
    """The others are predicted without it, which they would not be if it were read."""
    cohort.cases[1].images["t2"].image.write_bytes(b"no image")
    one = Cohort(cohort.cases[1:2], sequences=("t1", "t2"))
    for _ in range(2):
        found = predict(one, tmp_path / "masks", counting)
        assert found.failures[["sequence", "error"]].to_numpy().tolist() == [["t2", "ImageError"]]
        assert found.cohort.cases[0].images["t2"].mask == tmp_path / "drawn.nii.gz"
        assert found.table["sequence"].tolist() == ["t1"]


def test_no_sequence_that_can_be_read_is_no_mask(cohort, tmp_path, counting):
    cohort.cases[2].images["t1"].image.unlink()
    found = predict(Cohort(cohort.cases[2:3], sequences=("t1", "t2")), tmp_path / "masks", counting)
    assert found.failures["sequence"].tolist() == ["t1", "t2"]
    assert found.failures["message"].str.contains("t1.nii.gz does not exist").tolist() == [True, False]
    assert found.table.empty
    assert counting.calls == found.reused == 0


def test_a_failure_is_tried_again(cohort, tmp_path, counting):
    """And what was predicted without the image is predicted with it."""
    out = tmp_path / "masks"
    predict(cohort, out, counting)
    assert sorted(p.name for p in (out / "3").iterdir()) == ["ROI-T1.json", "ROI-T1.nii.gz"]
    sitk.WriteImage(head(SMALL).to_sitk(), str(cohort.cases[2].images["t2"].image))
    found = predict(cohort, out, counting).table.query("patient_id == '3'")
    assert found["sequence"].tolist() == ["t1", "t2"]
    assert json.loads((out / "3" / "ROI-T1.json").read_text())["sequences"] == ["t1", "t2"]


def test_readable_later_though_its_files_are_the_same(cohort, tmp_path, counting, monkeypatch):
    """A share that was not there, memory that ran out: nothing of that may stay in a mask."""
    one, out = Cohort(cohort.cases[:1], sequences=("t1", "t2")), tmp_path / "masks"

    def reader(path, series=None):
        if path.name.startswith("t2"):
            raise OSError(f"{path} is away")
        return read_image(path)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "read_image", reader)
        found = predict(one, out, counting)
    assert found.failures[["sequence", "message"]].to_numpy().tolist() == [["t2", "unexpected OSError"]]
    found = predict(one, out, counting)
    assert found.failures.empty
    assert all(json.loads((out / "1" / f"ROI-{s}.json").read_text())["sequences"] == ["t1", "t2"]
               for s in ("T1", "T2"))  # fmt: skip
    assert predict(one, out, counting).reused == 1


@pytest.mark.parametrize("by", ["changed", "drawn anew"])
def test_edited_masks_are_kept(cohort, tmp_path, counting, by):
    """A rater's work is never written over, whatever the settings."""
    out = tmp_path / "masks"
    predict(cohort, out, counting, uncertainty=2)
    path = out / "1" / "ROI-T2.nii.gz"
    sitk.WriteImage(truth(head(SMALL, spheres=(((0, 0, 0), 30.0),))).to_sitk(), str(path))
    if by == "drawn anew":
        path.with_name("ROI-T2.json").unlink()
    bytes_ = path.read_bytes()
    model = Counting([Bright(level=4.6)], counting.description | {"members": [{"sha256": "b"}]})
    found = predict(cohort, out, model, uncertainty=2)
    assert path.read_bytes() == bytes_
    row = found.table.set_index(["patient_id", "sequence"]).loc[("1", "t2")]
    assert row["flags"] == "edited"
    assert np.isnan(row["confidence"])
    assert [v.cases[0].images["t2"].mask for v in found.variations] == [path, path]
    path.unlink()
    assert predict(cohort, out, model).table["flags"].iloc[1] != "edited"


def test_variations_are_cohorts(cohort, tmp_path, counting):
    two = Counting(
        [Bright(0.8, 3.6), Bright(0.8, 4.6)],
        counting.description | {"members": [{"sha256": "x"}, {"sha256": "y"}]},
    )
    found = predict(cohort, tmp_path / "masks", two, uncertainty=3)
    assert len(found.variations) == 3
    first = [v.cases[0].images["t1"].mask for v in found.variations]
    assert [p.name for p in first] == ["ROI-T1-001.nii.gz", "ROI-T1-002.nii.gz", "ROI-T1-003.nii.gz"]
    assert len({read_mask(p).array.sum() for p in first}) > 1
    assert found.variations[0].cases[1].images["t2"].mask == tmp_path / "drawn.nii.gz"
    assert [c.patient_id for c in found.variations[2].cases] == cohort.patient_ids


def test_record_says_where_a_mask_comes_from(cohort, tmp_path, counting):
    predict(cohort, tmp_path / "masks", counting)
    text = (tmp_path / "masks" / "1" / "ROI-T2.json").read_text()
    record = json.loads(text)
    assert record["trained_on_simulated_heads_only"] is True
    assert record["model"]["members"] == ["a"]
    assert record["settings"] == {"flips": True, "uncertainty": 0}
    assert str(tmp_path) not in text
    assert record["volume_cm3"] > 5


def test_networks_in_memory_are_told_apart(cohort, tmp_path):
    """Nothing in their descriptions differs: the masks of one must not pass for those of the other."""
    one = Cohort(cohort.cases[:1], sequences=("t2",))
    about = {"grid": {"window": 96}, "simulated": True}
    first, same, other = (Segmenter([Bright(gain, 4.5)], about) for gain in (2.0, 2.0, 0.5))
    assert first.identity == same.identity != other.identity
    predict(one, tmp_path / "masks", first)
    assert predict(one, tmp_path / "masks", same).reused == 1
    assert predict(one, tmp_path / "masks", other).reused == 0
    record = json.loads((tmp_path / "masks" / "1" / "ROI-T2.json").read_text())
    assert record["model"] == {"identity": other.identity, "members": other.weights}
    assert len(other.weights[0]) == 64


def test_a_model_says_what_it_was_trained_on():
    with pytest.raises(ModelFileError, match="does not say whether it was trained on simulated heads only"):
        Segmenter([Bright()], {"grid": {"window": 96}, "members": [{"sha256": "a"}]})


def test_probabilities_on_request(cohort, tmp_path, counting):
    predict(cohort, tmp_path / "masks", counting, probabilities=True)
    probability = read_image(tmp_path / "masks" / "1" / "probability-T2.nii.gz")
    mask = read_mask(tmp_path / "masks" / "1" / "ROI-T2.nii.gz")
    assert count_overlap(probability.array > 0.5, mask.array).dice > 0.95
    spread = read_image(tmp_path / "masks" / "1" / "uncertainty-T2.nii.gz")
    assert spread.array.shape == mask.array.shape
    assert 0 <= spread.array.min() <= spread.array.max() <= 0.5  # of numbers between 0 and 1


def test_layout_is_the_published_one(cohort, tmp_path, counting):
    out = tmp_path / "masks"
    predict(cohort, out, counting)
    for name in ("T1WI", "T2WI"):
        (out / "1" / name).mkdir()
        (out / "1" / name / "1.dcm").write_bytes(b"")
    cases, _ = find_published(out, ("t1", "t2"))
    assert cases[0].images["t1"].mask == out / "1" / "ROI-T1.nii.gz"


def test_nothing_to_do_needs_no_model(tmp_path):
    found = predict_masks(Cohort((Case("1"),), sequences=("t1",)), tmp_path / "masks", progress=False)
    assert found.cohort.cases == (Case("1"),)
    assert (len(found.table), len(found.failures)) == (0, 0)
    assert not (tmp_path / "masks").exists()


def test_simulated_is_said(cohort, tmp_path, counting):
    found = predict(replace(cohort, cases=cohort.cases[:1], simulated=True), tmp_path / "m", counting)
    assert found.to_frame()["simulated"].all()
    assert "simulated" in found._repr_html_()
    assert found.to_frame()["trained_on_simulated_heads_only"].all()
    about = {"grid": {"window": 96}, "simulated": False}
    one = Cohort(cohort.cases[:1], sequences=("t1",))
    real = predict(one, tmp_path / "n", Segmenter([Bright(level=4.5)], about)).to_frame()
    assert len(real) == 1
    assert not {"simulated", "trained_on_simulated_heads_only"} & set(real)
    assert repr(found) == "<PredictedMasks: 2 masks of 1 patients, 0 failed>"


@pytest.mark.parametrize("name", ["..", "a/../../b", "C:\\x"])
def test_no_patient_id_leads_out_of_the_folder(cohort, tmp_path, counting, name):
    out = tmp_path / "deep" / "masks"
    one = replace(cohort.cases[0], patient_id=name)
    mask = predict(Cohort((one,), sequences=("t2",)), out, counting).cohort.cases[0].images["t2"].mask
    assert mask.resolve().parent.parent == out.resolve()


def test_progress_is_shown(cohort, tmp_path, capsys):
    predict_masks(cohort, tmp_path / "masks", segmenter=segmenter(Bright(level=4.5)))
    assert "segment: 4/4 4" in capsys.readouterr().err


def test_importing_it_does_not_import_torch():
    code = "import sys, radiomics_npc.segmentation.batch; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_empty_on_the_slices_of_one_sequence_is_no_mask_there(tmp_path, counting):
    """T1 ends below the tumor that T2 shows: its mask has no voxel, and nothing could be measured in it."""
    images = {}
    for name, geometry in (
        ("t1", Geometry((64, 64, 6), (3.0, 3.0, 8.0), middle=(0, 0, -60.0))),
        ("t2", SMALL),
    ):
        sitk.WriteImage(
            head(geometry, spheres=(((3, -2, 1), 16.0),)).to_sitk(), str(tmp_path / f"{name}.nii")
        )
        images[name] = ImageFiles(tmp_path / f"{name}.nii")
    both = Cohort((Case("1", images),), sequences=("t1", "t2"))
    for _ in range(2):  # predicted, and found again
        found = predict(both, tmp_path / "masks", counting)
        case = found.cohort.cases[0]
        assert (case.images["t1"].mask, case.images["t2"].mask.name) == (None, "ROI-T2.nii.gz")
        assert found.failures[["sequence", "error"]].to_numpy().tolist() == [["t1", "MaskError"]]


@pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
def test_voxels_in_a_file_beside_the_header_count(tmp_path, counting, suffix):
    """The header stays the same where only the voxels change; other files of the folder do not matter."""
    path = tmp_path / "images" / f"t2{suffix}"
    path.parent.mkdir()
    sitk.WriteImage(head(SMALL).to_sitk(), str(path))
    one = Cohort((Case("1", {"t2": ImageFiles(path)}),), sequences=("t2",))
    predict(one, tmp_path / "masks", counting)
    (tmp_path / "images" / "notes.txt").write_text("of the reader")
    assert predict(one, tmp_path / "masks", counting).reused == 1
    sitk.WriteImage(head(SMALL, spheres=(((0, 0, 0), 20.0),)).to_sitk(), str(path))
    assert predict(one, tmp_path / "masks", counting).reused == 0
