import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation import experiment
from radiomics_npc.segmentation.experiment import InputComparison, PlainSlices, run_experiment
from radiomics_npc.segmentation.hyperparameters import TrainingSettings
from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.segmentation.training_data import CaseArrays

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE, SLICES = 32, 5


class Balls:
    """Whole patients with a ball that t2 shows; nodes are not known."""

    names = ("0", "1", "2", "3")
    grid = NetworkGrid(window=SIZE)

    def case(self, index):
        rng = np.random.default_rng(index)
        z, y, x = np.mgrid[:SLICES, :SIZE, :SIZE]
        ball = (2 * (z - 2)) ** 2 + (y - rng.uniform(12, 20)) ** 2 + (x - rng.uniform(6, 14)) ** 2 < 30
        images = rng.normal(0, 0.3, (3, *ball.shape))
        images[1] += 2 * ball
        target = torch.as_tensor(np.stack([ball, 0 * ball]).astype(np.uint8))
        images = torch.as_tensor(images, dtype=torch.float32)
        return CaseArrays(images, torch.ones(3), target, torch.tensor([1.0, 0.0]), (5.0, 0.86, 0.86))


SETTINGS = TrainingSettings(
    architecture={"name": "deu", "widths": [8, 8, 8, 8], "growth": 8, "layers": 1},
    steps=3, batch=1, learning_rate=1e-4, optimizer="adam", schedule="constant", warmup=0, ema=0.0,
    loss="dice", precision="fp32", weight_decay=0.0,
)  # fmt: skip


def quiet(_):
    pass


def comparison(seed=0, **changes):
    rng = np.random.default_rng(seed)
    rows = [
        {"input": name, "fold": i % 3, "name": str(i), "dice": d, "sensitivity": s, "precision": p}
        for name in ("T1W", "T2W", "T1W+T2W")
        for i, (d, s, p) in enumerate(rng.random((9, 3)))
    ]
    return InputComparison(tuple(rows), **changes), rows


@pytest.mark.parametrize("spread", ["folds", "patients"])
def test_table_is_mean_sd_and_mann_whitney(spread):
    found, rows = comparison()
    frame = found.to_frame(spread)
    assert frame["Input"].to_list() == ["T1W", "T2W", "T1W+T2W"]

    def values(name, key):
        own = [row for row in rows if row["input"] == name]
        if spread == "patients":
            return [row[key] for row in own]
        return [np.mean([row[key] for row in own if row["fold"] == fold]) for fold in range(3)]

    for _, line in frame.iterrows():
        for title, key in (("DSC", "dice"), ("Sensitivity", "sensitivity"), ("Precision", "precision")):
            kept = values(line["Input"], key)
            assert line[title] == f"{np.mean(kept):.3f}±{np.std(kept, ddof=1):.3f}"
    for place, name in enumerate(("T1W", "T2W")):
        expected = mannwhitneyu(
            values(name, "dice"), values("T1W+T2W", "dice"), alternative="two-sided"
        ).pvalue
        assert frame["P"][place] == expected
    assert np.isnan(frame["P"][2])
    assert set(frame["n"]) == {3 if spread == "folds" else 9}


def test_printed_and_shown_results_say_simulated():
    found, _ = comparison(simulated=True)
    assert found.to_frame()["simulated"].all()
    assert "simulated patients" in str(found)
    assert "simulated patients" in found._repr_html_()
    real, _ = comparison()
    assert "simulated" not in str(real) + real._repr_html_()
    assert "9 patients, 3-fold" in str(real)


def test_slices_are_flipped_with_their_contour_and_drawn_alike():
    slices = PlainSlices(Balls())
    one, again = (slices.draw(np.random.default_rng(4), 16, torch.device("cpu")) for _ in range(2))
    assert torch.equal(one.images, again.images)
    assert one.images.shape == (16, 3, 5, SIZE, SIZE)
    bright = one.images[:, 1, 2] > 1.0
    truth = one.target[:, 0] > 0
    assert 2 * (bright & truth).sum() / (bright.sum() + truth.sum()) > 0.9
    columns = [float(t.nonzero()[:, 1].float().mean()) for t in truth if t.any()]
    assert min(columns) < SIZE / 2 < max(columns)  # the balls lie left: some are flipped
    assert (one.known == torch.tensor([1.0, 0.0])).all()


def test_rescaling_keeps_the_middle_and_changes_the_area():
    disc = torch.zeros(1, 1, 65, 65)
    y, x = torch.meshgrid(torch.arange(65), torch.arange(65), indexing="ij")
    disc[0, 0] = ((y - 32) ** 2 + (x - 32) ** 2 < 20**2).float()
    larger = experiment._flip_rescale(disc, False, 1.1)
    assert float(larger.sum() / disc.sum()) == pytest.approx(1.1**2, rel=0.02)
    torch.testing.assert_close(experiment._flip_rescale(disc, True, 1.0), disc.flip(-1), rtol=0, atol=1e-4)


def test_experiment_writes_the_table_of_the_paper(tmp_path):
    found = run_experiment(
        SETTINGS, Balls(), tmp_path, inputs=[[0], [1], [0, 1, 2]], folds=2, simulated=True, report=quiet
    )
    assert found.to_frame()["Input"].to_list() == ["T1W", "T2W", "T1W+T2W+CE-T1W"]
    assert len(found.scores) == 3 * 4
    by_input = {
        name: sorted((r["fold"], r["name"]) for r in found.scores if r["input"] == name)
        for name in ("T1W", "T2W")
    }
    assert by_input["T1W"] == by_input["T2W"]  # the same folds
    assert (tmp_path / "table1.csv").read_text().startswith("Input,DSC,Sensitivity,Precision,P,n,simulated\n")
    again = run_experiment(
        SETTINGS, Balls(), tmp_path, inputs=[[0], [1], [0, 1, 2]], folds=2, simulated=True, report=quiet
    )
    assert str(again) == str(found)


def test_single_slices_are_removed_unless_kept(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(experiment, "remove_single_slices", lambda mask: calls.append(1) or mask)
    options = {"inputs": [[1]], "folds": 2, "report": quiet}
    run_experiment(SETTINGS, Balls(), tmp_path / "kept", single_slices=True, **options)
    assert not calls
    run_experiment(SETTINGS, Balls(), tmp_path / "removed", **options)
    assert len(calls) == 4


def test_another_network_or_an_unknown_label_is_refused_before_training(tmp_path):
    from dataclasses import replace

    with pytest.raises(ConfigError, match="of DEU"):
        run_experiment(
            replace(SETTINGS, architecture={"name": "slab_unet"}), Balls(), tmp_path, inputs=[[0]], folds=2
        )
    with pytest.raises(ConfigError, match="no patient has contours of lesions"):
        run_experiment(SETTINGS, Balls(), tmp_path, inputs=[[0]], folds=2, label="lesions")
    assert not list(tmp_path.iterdir())
