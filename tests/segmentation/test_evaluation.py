"""Evaluation: closed forms of shifted boxes, the rule for what is missing, intervals and groups."""

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from scipy import stats

from benchmarks import segmentation_sets as sets
from radiomics_npc.cohort.cases import Case, ImageFiles
from radiomics_npc.errors import ConfigError, ImageError, MaskError
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.segmentation.evaluation import MEASURES, evaluate, summarize, volume_thirds
from radiomics_npc.segmentation.synthesis import draw_signals
from radiomics_npc.simulate.tissue import Tissue

SPACING = (0.5, 0.5, 5.0)
SCORES = ["dice", "jaccard", "sensitivity", "precision", "nsd_1mm", "nsd_2mm"]


@pytest.fixture
def box():
    """20 x 20 pixels on 2 slices: 10 x 10 x 10 mm."""
    mask = np.zeros((4, 40, 40), dtype=bool)
    mask[1:3, 10:30, 10:30] = True
    return mask


def test_a_shifted_box_has_the_scores_of_its_closed_form(box):
    for pixels in (0, 1, 2, 6):
        row = evaluate({"a": np.roll(box, pixels, axis=2)}, {"a": box}, SPACING).iloc[0]
        shared = 1 - pixels / 20
        assert row["dice"] == row["sensitivity"] == row["precision"] == pytest.approx(shared, abs=1e-12)
        assert row["hd_mm"] == pytest.approx(0.5 * pixels, abs=1e-9)
        assert row["volume_error_percent"] == 0
        assert row["reference_cm3"] == pytest.approx(1.0)
        # the two faces across the shift are 1/6 of the surface each, at 3 mm when 6 pixels apart
        assert row["nsd_2mm"] == 1 if pixels < 5 else row["nsd_2mm"] < 1


def test_tolerances_name_the_columns(box):
    table = evaluate({"a": box}, {"a": box}, SPACING, tolerances_mm=(0.5, 3), simulated=True)
    assert {"nsd_0.5mm", "nsd_3mm", "simulated"} <= set(table.columns)
    assert set(MEASURES) <= set(evaluate({"a": box}, {"a": box}, SPACING).columns)


@pytest.mark.parametrize("predicted", [{}, {"a": None}])
def test_a_missing_prediction_scores_zero_whatever_the_reference(box, predicted):
    for drawn in (box, np.zeros_like(box)):
        row = evaluate(predicted, {"a": drawn}, SPACING).iloc[0]
        assert row["missing"]
        assert (row[SCORES].astype(float) == 0).all()
        assert np.isinf(row["hd95_mm"])
        assert np.isnan(row["predicted_cm3"])


def test_an_empty_prediction_is_right_where_there_is_no_tumor(box):
    none = np.zeros_like(box)
    row = evaluate({"a": none}, {"a": none}, SPACING).iloc[0]
    assert not row["missing"]
    assert (row[SCORES].astype(float) == 1).all()
    false = evaluate({"a": box}, {"a": none}, SPACING).iloc[0]
    assert false["predicted_cm3"] == pytest.approx(1.0)
    assert (false[SCORES].astype(float) == 0).all()


def test_masks_bring_their_geometry(box):
    masks = {"a": Mask(box, SPACING)}
    assert evaluate({}, masks)["missing"].all()
    assert evaluate(masks, masks)["dice"].tolist() == [1.0]
    with pytest.raises(MaskError, match="different grids"):
        evaluate({"a": Mask(box, SPACING, (9.0, 0, 0))}, masks)


def test_a_prediction_without_reference_is_an_error(box):
    with pytest.raises(MaskError, match="1 of the predicted masks"):
        evaluate({"a": box, "b": box}, {"a": box}, SPACING)
    with pytest.raises(MaskError, match="no reference"):
        evaluate({}, {}, SPACING)


def test_the_interval_is_the_percentile_bootstrap_of_the_mean():
    dice = np.random.default_rng(5).beta(8, 2, 40)
    found = summarize(
        pd.DataFrame({"case": range(40), "dice": dice}), measures=["dice"], resamples=20_000
    ).iloc[0]
    other = stats.bootstrap(
        (dice,), np.mean, n_resamples=20_000, method="percentile", random_state=np.random.default_rng(9)
    ).confidence_interval
    # both are Monte Carlo: the quantile of 20,000 draws has a standard error of about 0.02 sd of the mean
    spread = dice.std() / np.sqrt(40)
    assert found["lower"] == pytest.approx(other.low, abs=0.1 * spread)
    assert found["upper"] == pytest.approx(other.high, abs=0.1 * spread)
    assert found["mean"] == pytest.approx(dice.mean())
    assert found["median"] == pytest.approx(np.median(dice))
    assert (found["lowest"], found["highest"]) == (dice.min(), dice.max())


def test_rows_of_a_patient_count_as_one():
    table = pd.DataFrame({"case": ["a", "a", "a", "b"], "dice": [0.0, 0.3, 0.6, 0.9]})
    found = summarize(table, measures=["dice"]).iloc[0]
    assert (found["n"], found["mean"]) == (2, pytest.approx(0.6))


def test_groups_do_not_depend_on_each_other_or_on_order():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"case": range(30), "dice": rng.random(30), "t": rng.choice(["T1", "T2"], 30)})
    whole = summarize(table, ["t"], measures=["dice"]).query("group == 'T1'").drop(columns=["by", "group"])
    alone = summarize(table[table["t"] == "T1"], measures=["dice"]).drop(columns=["by", "group"])
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), alone)
    shuffled = summarize(table.sample(frac=1, random_state=2), ["t"], measures=["dice"])
    pd.testing.assert_frame_equal(shuffled, summarize(table, ["t"], measures=["dice"]))


def test_infinite_distances_are_counted_and_kept_in_the_median():
    table = pd.DataFrame({"case": list("abcd"), "hd95_mm": [1.0, 3.0, np.inf, np.inf]})
    row = summarize(table, measures=["hd95_mm"]).iloc[0]
    assert (row["mean"], row["infinite"], row["n"]) == (2.0, 2, 4)
    assert np.isinf(row["median"])
    none = summarize(table.iloc[2:], measures=["hd95_mm"]).iloc[0]
    assert np.isnan(none["mean"])


def test_a_refused_examination_is_no_false_volume_of_zero(box):
    none = np.zeros_like(box)
    table = evaluate({"a": box, "b": None}, {"a": none, "b": none}, SPACING)
    row = summarize(table, measures=["predicted_cm3"]).iloc[0]
    assert (row["n"], row["mean"], row["infinite"]) == (1, pytest.approx(1.0), 0)
    none_known = summarize(table.iloc[1:], measures=["predicted_cm3", "dice"]).set_index("measure")
    assert none_known.loc["predicted_cm3", "n"] == 0
    assert np.isnan(none_known.loc["predicted_cm3", "mean"])
    assert none_known.loc["dice", ["n", "mean"]].tolist() == [1, 0]


def test_one_case_has_no_interval():
    row = summarize(pd.DataFrame({"case": ["a"], "dice": [0.8]}), measures=["dice"]).iloc[0]
    assert row["mean"] == 0.8
    assert np.isnan([row["lower"], row["upper"]]).all()


def test_summarize_refuses_in_words():
    table = pd.DataFrame({"case": ["a"], "dice": [0.8]})
    with pytest.raises(ConfigError, match="no column 'scanner'"):
        summarize(table, ["scanner"], measures=["dice"])
    with pytest.raises(ConfigError, match="no rows"):
        summarize(table.iloc[:0], measures=["dice"])


def test_simulated_patients_are_said_to_be(box):
    table = evaluate({"a": box}, {"a": box}, SPACING, simulated=True)
    assert summarize(table)["simulated"].all()
    assert "simulated" not in summarize(evaluate({"a": box}, {"a": box}, SPACING))


def test_thirds_are_even_and_ordered_by_volume():
    volume = pd.Series(np.random.default_rng(3).lognormal(2, 1, 31))
    third = volume_thirds(volume)
    assert third.value_counts().max() - third.value_counts().min() <= 1
    low, middle, high = (volume[third == label] for label in third.cat.categories)
    assert low.max() < middle.min() < middle.max() < high.min()
    assert volume_thirds(pd.Series([5.0] * 6)).value_counts().tolist() == [2, 2, 2]
    for few in (volume[:2], pd.Series([1.0, 2.0, np.nan])):
        with pytest.raises(ConfigError, match="three patients"):
            volume_thirds(few)


class _Shifted:
    """Predicts what it was told is drawn, two pixels aside; refuses T1 alone."""

    def __init__(self, drawn):
        self.drawn = drawn

    def predict(self, images):
        if set(images) == {"t1"}:
            raise ImageError("refused")
        found = {
            s: Mask(np.roll(self.drawn, 2, axis=2), v.spacing_mm, v.origin_mm, v.direction)
            for s, v in images.items()
        }
        return type("Prediction", (), {"masks": found})


def test_a_patient_is_measured_by_every_subset_of_the_sequences(box, tmp_path, monkeypatch):
    files = {}
    for sequence in ("t1", "t2", "ce_t1"):
        image = Volume(box.astype(np.float32) + 1, SPACING).to_sitk()
        sitk.WriteImage(image, str(tmp_path / f"{sequence}.nii.gz"))
        sitk.WriteImage(Mask(box, SPACING).to_sitk(), str(tmp_path / f"{sequence}-m.nii.gz"))
        files[sequence] = ImageFiles(tmp_path / f"{sequence}.nii.gz", tmp_path / f"{sequence}-m.nii.gz")
    monkeypatch.setattr(sets, "segmenter", lambda model: _Shifted(box))
    order = sets.Order(tmp_path, "001", case=Case("001", files), subsets=sets.SUBSETS)
    table = sets.one_patient(order)
    assert table.groupby("sequences").size().to_dict() == {
        "t1 + t2 + ce_t1": 3, "t1 + t2": 2, "t1 + ce_t1": 2, "t2 + ce_t1": 2, "t1": 1, "t2": 1, "ce_t1": 1,
    }  # fmt: skip
    alone = table["sequences"] == "t1"
    assert table.loc[~alone, "dice"].to_numpy() == pytest.approx(0.9)
    assert table.loc[alone, ["dice", "missing"]].to_numpy().tolist() == [[0.0, True]]
    found = summarize(table, ["sequences"], measures=["dice"]).set_index("group")["mean"]
    assert (found["t1"], found["t2"]) == (0.0, pytest.approx(0.9))


def test_free_contrasts_leave_nothing_of_the_physics():
    signals = draw_signals(np.random.default_rng(0), 1.0)
    assert list(signals) == ["t1", "t2", "ce_t1"]
    values = np.stack(list(signals.values()))
    assert (values[:, Tissue.AIR] <= 0.04).all()
    tissues = [t for t in Tissue if t not in (Tissue.AIR, Tissue.BONE)]
    assert abs(np.corrcoef(values[0, tissues], values[1, tissues])[0, 1]) < 0.6


@pytest.mark.slow
def test_simulated_volumes_hold_a_tumor_or_none():
    rng = np.random.default_rng(4)
    head, about = sets.tumor_head(rng)
    volumes, drawn = sets.take_volumes(head, draw_signals(rng, 1.0), rng)
    assert sorted(volumes) == ["ce_t1", "t1", "t2"]
    measured = drawn.array.sum() * drawn.voxel_mm3 / 1000
    # slices of 6 mm sample the tumor: 1 to 3 % off in larger ones, 5 % in one of 3 cm3
    assert measured == pytest.approx(about["volume_cm3"], rel=0.05)
    free = sets.tumor_free_volumes(rng, matrix=64)
    assert all(v.array.std() > 0 and v.array.shape[1:] == (64, 64) for v in free.values())


@pytest.mark.shared
def test_real_slices_are_read_as_pairs(shared):
    pairs = sets.read_slices(shared / "data" / "npc_t2_slices")
    assert len(pairs) == 10
    for image, drawn in pairs:
        assert image.shape == drawn.shape == (512, 512)
        assert 0.001 < drawn.mean() < 0.05
