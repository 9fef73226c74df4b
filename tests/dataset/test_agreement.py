"""Two sets of masks of the same patients."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import dice as dice_distance
from scipy.spatial.distance import jaccard as jaccard_distance

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.dataset.agreement import compare_masks
from radiomics_npc.dataset.bland_altman import bland_altman
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.features.stability import intraclass_correlation

GOLDEN = json.loads((Path(__file__).parents[1] / "reference" / "r" / "bland_altman.json").read_text())
SPACING = (0.5, 0.5, 5.0)


def save(file, array, *, spacing=SPACING, origin=(0.0, 0.0, 0.0)):
    """Array in the order x, y, z."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    file.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array.astype(np.uint8), affine), file)
    return file


def box(shift=0, size=20):
    array = np.zeros((60, 40, 8), bool)
    array[10 + shift : 10 + shift + size, 10:30, 2:6] = True
    return array


def two_raters(root, cases=6, sequences=("T1", "T2", "CE-T1")):
    """Boxes in the published layout; the second rater's are moved and of another size."""
    rng = np.random.default_rng(4)
    truth = {}
    for case in range(1, cases + 1):
        for name in sequences:
            size = int(rng.integers(8, 25))
            one, two = box(0, size), box(int(rng.integers(0, 4)), size + int(rng.integers(-3, 4)))
            save(root / "one" / f"{case:03d}" / f"ROI-{name}.nii", one)
            save(root / "two" / f"{case:03d}" / f"ROI-{name}.nii", two)
            truth[f"{case:03d}", {"T1": "t1", "T2": "t2", "CE-T1": "ce_t1"}[name]] = one, two
    return truth


@pytest.fixture
def raters(tmp_path):
    return tmp_path, two_raters(tmp_path)


def compare(*sources, **options):
    return compare_masks(*sources, jobs=1, progress=False, **options)


@pytest.mark.parametrize(("key", "options"), [
    ("difference_95", {}), ("difference_90", {"confidence": 0.90}), ("ratio_95", {"ratio": True}),
])  # fmt: skip
def test_limits_of_agreement_are_those_of_r(key, options):
    found = bland_altman(GOLDEN["x"], GOLDEN["y"], **options).to_frame().iloc[0]
    for name, value in GOLDEN[key].items():
        assert found[name] == pytest.approx(value, rel=1e-12), name


def test_limits_of_agreement_hold_95_of_100_new_differences():
    rng = np.random.default_rng(0)
    x = rng.lognormal(2, 1, 20000)
    y = x + rng.normal(0.5, 2.0, 20000)
    found = bland_altman(x, y)
    assert found.bias[0] == pytest.approx(-0.5, abs=0.06)
    assert ((x - y > found.low[0]) & (x - y < found.high[0])).mean() == pytest.approx(0.95, abs=0.005)


def test_the_intervals_hold_what_they_estimate():
    rng = np.random.default_rng(1)
    held = np.zeros(3)
    for _ in range(1000):
        found = bland_altman(rng.normal(0, 1, 30), np.zeros(30))
        truth = (0.0, -1.959964, 1.959964)
        for k, (_, lower, upper) in enumerate((found.bias, found.low, found.high)):
            held[k] += lower < truth[k] < upper
    np.testing.assert_allclose(held / 1000, 0.95, atol=0.025)


def test_limits_of_agreement_of_messy_input():
    swapped = bland_altman(GOLDEN["y"], GOLDEN["x"])
    found = bland_altman(GOLDEN["x"], GOLDEN["y"])
    assert swapped.bias[0] == -found.bias[0]
    assert swapped.low[0] == pytest.approx(-found.high[0], rel=1e-12)
    assert bland_altman([*GOLDEN["x"], np.nan], [*GOLDEN["y"], 3.0]) == found
    same = bland_altman([1.0, 2.0], [1.0, 2.0])
    assert (same.bias, same.low, same.high) == ((0.0,) * 3,) * 3
    with pytest.raises(CohortError, match="1 patients have both"):
        bland_altman([1.0], [2.0])
    with pytest.raises(CohortError, match="differ in length"):
        bland_altman([1.0, 2.0], [2.0])
    with pytest.raises(CohortError, match="not positive"):
        bland_altman([1.0, 0.0], [2.0, 1.0], ratio=True)
    with pytest.raises(ConfigError, match="confidence"):
        bland_altman([1.0, 2.0], [2.0, 1.0], confidence=95)


def test_every_pair_is_measured(raters):
    root, truth = raters
    found = compare(root / "one", root / "two")
    assert len(found.table) == 18
    assert found.failures.empty
    assert found.unmatched.empty
    assert found.names == ("one", "two")
    for row in found.table.itertuples():
        one, two = truth[row.patient_id, row.sequence]
        assert row.dice == pytest.approx(1 - dice_distance(one.ravel(), two.ravel()), abs=1e-12)
        assert row.jaccard == pytest.approx(1 - jaccard_distance(one.ravel(), two.ravel()), abs=1e-12)
        assert row.first_cm3 == pytest.approx(one.sum() * 1.25e-3, rel=1e-12)
        assert row.difference_cm3 == pytest.approx((int(one.sum()) - int(two.sum())) * 1.25e-3, abs=1e-12)
        assert row.jaccard == pytest.approx(row.dice / (2 - row.dice), abs=1e-12)


def test_distances_of_a_moved_box(tmp_path):
    """A box that is moved by 1.5 mm along x has that Hausdorff distance; its sides keep theirs of 0."""
    save(tmp_path / "a" / "1_T1.nii.gz", box(0))
    save(tmp_path / "b" / "1_T1.nii.gz", box(3))
    row = compare(tmp_path / "a", tmp_path / "b", tolerances_mm=(0.5, 1, 2)).table.iloc[0]
    assert row["hd95_mm"] == pytest.approx(1.5, abs=1e-12)
    assert row["nsd_2mm"] == 1.0
    assert row["nsd_0.5mm"] < row["nsd_1mm"] < 1.0
    assert 0 < row["mean_surface_distance_mm"] < 1.5


def test_the_order_of_the_sets_changes_the_sign_of_differences_alone(raters):
    root, _ = raters
    a, b = compare(root / "one", root / "two"), compare(root / "two", root / "one")
    same = ["dice", "jaccard", "hd95_mm", "mean_surface_distance_mm", "nsd_1mm", "nsd_2mm"]
    np.testing.assert_allclose(a.table[same], b.table[same], rtol=0, atol=1e-12)
    np.testing.assert_allclose(a.table["difference_cm3"], -b.table["difference_cm3"])
    np.testing.assert_allclose(a.volumes["icc"], b.volumes["icc"], rtol=1e-12)
    np.testing.assert_allclose(a.volumes["limit_low"], -b.volumes["limit_high"], rtol=1e-12)


def test_volumes_agree_as_their_statistics_say(raters):
    root, _ = raters
    found = compare(root / "one", root / "two")
    assert found.volumes["sequence"].tolist() == ["t1", "t2", "ce_t1"]
    for row in found.volumes.to_dict("records"):
        part = found.table[found.table["sequence"] == row["sequence"]]
        expected = bland_altman(part["first_cm3"], part["second_cm3"]).to_frame().iloc[0]
        for name in ("n", "bias", "bias_lower", "limit_low_upper", "limit_high"):
            assert row[name] == expected[name]
        icc = intraclass_correlation(part[["first_cm3", "second_cm3"]].to_numpy(), "2,1")
        assert (row["icc"], row["icc_lower"]) == pytest.approx((icc.estimate, icc.lower), rel=1e-12)
        ratio = np.exp(np.mean(np.log(part["first_cm3"] / part["second_cm3"])))
        assert row["ratio"] == pytest.approx(ratio, rel=1e-12)


def test_masks_of_one_side_only_are_listed(raters):
    root, _ = raters
    (root / "two" / "003" / "ROI-T2.nii").unlink()
    (root / "one" / "005" / "ROI-T1.nii").unlink()
    found = compare(root / "one", root / "two")
    assert len(found.table) == 16
    assert found.unmatched.to_numpy().tolist() == [["003", "t2", "one"], ["005", "t1", "two"]]


def test_where_a_rater_drew_nothing(raters):
    root, _ = raters
    save(root / "two" / "003" / "ROI-T2.nii", np.zeros((60, 40, 8)))
    save(root / "one" / "004" / "ROI-T2.nii", np.zeros((60, 40, 8)))
    save(root / "two" / "004" / "ROI-T2.nii", np.zeros((60, 40, 8)))
    found = compare(root / "one", root / "two")
    row = found.table.set_index(["patient_id", "sequence"]).loc[("003", "t2")]
    assert (row["dice"], row["hd95_mm"], row["second_cm3"]) == (0, np.inf, 0)
    assert row["remark"] == "the second is empty"
    assert found.failures[["patient_id", "sequence"]].to_numpy().tolist() == [["004", "t2"]]
    summary = found.summary.query("group == 't2' and measure == 'hd95_mm'").iloc[0]
    assert summary["infinite"] == 1
    page = found.write(root / "out")[-1].read_text(encoding="utf-8")
    assert "1 infinite" in page
    assert "nothing is drawn in either mask" in page
    for said in ("left out of means alone", "without patients of whom one mask is empty"):
        assert said in page


def test_which_of_two_files_of_one_name_is_at_fault(raters):
    root, _ = raters
    save(root / "two" / "003" / "ROI-T2.nii", np.arange(60 * 40 * 8).reshape(60, 40, 8) % 200)
    message = compare(root / "one", root / "two").failures["message"].iloc[0]
    assert message.startswith("the second mask: ROI-T2.nii holds more than two values")


def test_no_figure_of_an_earlier_call_stays(raters):
    root, _ = raters
    compare(root / "one", root / "two").write(root / "out")
    assert (root / "out" / "volumes.svg").is_file()
    for case in range(2, 7):  # one patient has no limits of agreement
        for file in (root / "two" / f"{case:03d}").iterdir():
            file.unlink()
    written = compare(root / "one", root / "two").write(root / "out")
    assert sorted(p.name for p in written) == sorted(p.name for p in (root / "out").iterdir())


def test_masks_on_other_grids(tmp_path):
    whole = box()
    save(tmp_path / "a" / "1_T1.nii", whole)
    save(tmp_path / "b" / "1_T1.nii", whole[5:50, 5:35, 1:7], origin=(2.5, 2.5, 5.0))  # cropped
    save(tmp_path / "a" / "2_T1.nii", whole[5:50, 5:35, 1:7], origin=(2.5, 2.5, 5.0))
    save(tmp_path / "b" / "2_T1.nii", whole)
    save(tmp_path / "a" / "3_T1.nii", whole)
    save(tmp_path / "b" / "3_T1.nii", whole[::2, ::2], spacing=(1.0, 1.0, 5.0), origin=(0.25, 0.25, 0))
    found = compare(tmp_path / "a", tmp_path / "b")
    assert found.table[["patient_id", "dice", "remark"]].to_numpy().tolist() == [
        ["1", 1.0, ""],
        ["2", 1.0, ""],
    ]
    assert found.failures["patient_id"].tolist() == ["3"]
    assert "different grids" in found.failures["message"].iloc[0]
    assert str(tmp_path) not in found.failures.to_csv()
    row = compare(tmp_path / "a", tmp_path / "b", on_mismatch="resample").table.iloc[2]
    assert (row["dice"], row["remark"]) == (1.0, "the second was resampled")


def test_masks_cropped_otherwise_meet_on_their_image(tmp_path):
    whole = box()
    image = save(tmp_path / "T1.nii", whole)
    one = save(tmp_path / "one.nii", whole[5:50, 5:35, 1:7], origin=(2.5, 2.5, 5.0))
    two = save(tmp_path / "two.nii", whole[8:40, 8:32, 2:8], origin=(4.0, 4.0, 10.0))
    sets = [Cohort((Case("1", {"t1": ImageFiles(image, mask)}),), sequences=("t1",)) for mask in (one, two)]
    found = compare(*sets, names=("A", "B"))
    assert found.table["dice"].tolist() == [1.0]
    assert found.names == ("A", "B")


@pytest.mark.parametrize("layout", ["folders", "names"])
def test_two_raters_in_one_folder(tmp_path, layout):
    for rater in (1, 2):
        for case in ("07", "11"):
            name = f"rater{rater}/{case}/mask_T2" if layout == "folders" else f"{case}/T2_mask_rater{rater}"
            save(tmp_path / "inner" / f"{name}.nii.gz", box(rater))
            save(tmp_path / "inner" / f"{name.replace('mask', 'image')}.nii.gz", box(9))
    found = compare(tmp_path / "inner")
    assert found.names == ("rater1", "rater2")
    assert found.table[["patient_id", "sequence"]].to_numpy().tolist() == [["07", "t2"], ["11", "t2"]]
    assert found.table["dice"].tolist() == [0.95, 0.95]


def test_manifests_and_labels(tmp_path):
    labels = np.zeros((60, 40, 8))
    labels[box(2)], labels[:5] = 3, 1
    save(tmp_path / "first.nii", box(0))
    save(tmp_path / "second.nii", labels)
    for name, label in (("first", ""), ("second", "3")):
        (tmp_path / f"{name}.csv").write_text(
            f"patient_id,sequence,image,mask,label\n甲,t1,{name}.nii,{name}.nii,{label}\n", encoding="utf-8"
        )
    found = compare(tmp_path / "first.csv", tmp_path / "second.csv")
    assert found.table[["patient_id", "dice"]].to_numpy().tolist() == [["甲", 0.9]]
    assert np.isnan(found.volumes["bias"].iloc[0])  # of one patient there are no limits
    assert "甲" in found.write(tmp_path / "out")[-1].read_text(encoding="utf-8")


def test_what_cannot_be_compared_is_said(tmp_path):
    save(tmp_path / "a" / "1_T1.nii", box())
    save(tmp_path / "b" / "2_T1.nii", box())
    save(tmp_path / "c" / "1_T1.nii", box())
    save(tmp_path / "c" / "1-T1.nrrd.nii", box())
    (tmp_path / "d").mkdir()
    with pytest.raises(CohortError, match="share no mask"):
        compare(tmp_path / "a", tmp_path / "b")
    with pytest.raises(CohortError, match="no masks"):
        compare(tmp_path / "a", tmp_path / "d")
    with pytest.raises(CohortError, match="does not exist"):
        compare(tmp_path / "a", tmp_path / "nowhere")
    with pytest.raises(CohortError, match="does not hold two sets"):
        compare(tmp_path / "a")
    with pytest.raises(ConfigError, match="one set"):
        compare(Cohort(()))
    with pytest.raises(ConfigError, match="tolerance"):
        compare(tmp_path / "a", tmp_path / "b", tolerances_mm=(-1,))
    save(tmp_path / "e" / "x" / "1_T1.nii", box())
    save(tmp_path / "e" / "x" / "1" / "T1.nii", box())
    (tmp_path / "e" / "x" / "1_T1.nii").rename(tmp_path / "e" / "x" / "1.T1.nii")
    (tmp_path / "b" / "1_T1.nii").write_bytes(b"")
    with pytest.raises(CohortError, match="none of 1 pairs"):
        compare(tmp_path / "a", tmp_path / "b")


def test_what_is_written_and_that_simulated_patients_are_called_so(raters):
    root, _ = raters
    (root / "one" / "dataset.json").write_text('{"simulated": true}')
    (root / "two" / "006" / "ROI-T1.nii").unlink()
    found = compare(root / "one", root / "two", names=("Rater <1>", "Rater 2"))
    assert found.simulated
    paths = found.write(root / "out")
    assert [p.name for p in paths] == [
        "agreement.csv", "summary.csv", "volumes.csv", "unmatched.csv", "dice.svg", "dice.png", "jaccard.svg",
        "jaccard.png", "volumes.svg", "volumes.png", "agreement.html",
    ]  # fmt: skip
    for name in ("agreement.csv", "summary.csv", "volumes.csv"):
        assert pd.read_csv(root / "out" / name)["simulated"].all()
        assert (root / "out" / name).read_bytes().startswith(b"\xef\xbb\xbf")
    for name in ("dice", "jaccard", "volumes"):
        assert "Simulated patients" in (root / "out" / f"{name}.svg").read_text(encoding="utf-8")
    page = paths[-1].read_text(encoding="utf-8")
    assert "<h1>Agreement of Rater &lt;1&gt; and Rater 2, simulated patients</h1>" in page
    assert "SIMULATED PATIENTS" in page
    assert page.index('<th scope="col" class="n">T1</th>') < page.index(
        '<th scope="col" class="n">CE-T1</th>'
    )
    before = {p.name: p.read_bytes() for p in paths}
    assert {p.name: p.read_bytes() for p in found.write(root / "out")} == before
