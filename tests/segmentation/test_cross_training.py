import csv
import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from radiomics_npc import cli
from radiomics_npc.errors import ConfigError
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.segmentation import segmenter_training, training_settings
from radiomics_npc.segmentation.case_scores import predict_case, read_scores, score_case
from radiomics_npc.segmentation.cross_training import (
    cross_train,
    describe_model,
    split_folds,
    train_seeds,
    write_model,
)
from radiomics_npc.segmentation.hyperparameters import TrainingSettings
from radiomics_npc.segmentation.networks import build_network
from radiomics_npc.segmentation.prediction import load_segmenter
from radiomics_npc.segmentation.slabs import NetworkGrid, Slabs, slab_indices, take_slabs
from radiomics_npc.segmentation.training_data import CaseArrays
from radiomics_npc.segmentation.training_settings import read_segmenter_settings
from radiomics_npc.segmentation.weight_files import read_members, write_members
from radiomics_npc.storage import file_digest

pytestmark = pytest.mark.usefixtures("one_thread")

SIZE, SLICES = 24, 6
GRID = NetworkGrid(window=SIZE)
TINY = TrainingSettings(
    architecture={"name": "slab_unet", "widths": [8, 8], "edge": 4},
    steps=4, batch=2, learning_rate=1e-2, warmup=1, ema=0.5, log_steps=2, precision="fp32",
)  # fmt: skip


@dataclass
class Balls:
    """Whole patients: one bright ball each in noise; nodes are not known of the last."""

    names: list[str] = field(default_factory=lambda: ["0", "1", "2", "3"])
    grid: NetworkGrid = GRID
    read: list[str] = field(default_factory=list)

    def subset(self, indices):
        return Balls([self.names[i] for i in indices], self.grid, self.read)

    def case(self, index):
        name = self.names[index]
        self.read.append(name)
        rng = np.random.default_rng(int(name))
        z, y, x = np.mgrid[:SLICES, :SIZE, :SIZE]
        ball = (2 * (z - 3)) ** 2 + (y - rng.uniform(8, 16)) ** 2 + (x - rng.uniform(8, 16)) ** 2 < 30
        images = rng.normal(0, 0.5, (3, SLICES, SIZE, SIZE)) + 2 * ball
        target = torch.as_tensor(np.stack([ball, np.zeros_like(ball)]).astype(np.uint8))
        known = torch.tensor([1.0, 0.0 if name == "3" else 1.0])
        return CaseArrays(
            torch.as_tensor(images, dtype=torch.float32), torch.ones(3), target, known, (5.0, 0.86, 0.86)
        )

    def draw(self, rng, slabs, device, *, ease=0.0):
        case = self.case(int(rng.integers(len(self.names))))
        middles = rng.integers(SLICES, size=slabs)
        images = take_slabs(case.images, slab_indices(SLICES, 5.0, self.grid)[middles])
        target = case.target[:, middles].transpose(0, 1).float()
        return Slabs(images, case.present.expand(slabs, 3), target, case.known.expand(slabs, 2))


def quiet(_):
    pass


def test_folds_hold_every_patient_once_and_are_of_equal_size():
    folds = split_folds(23, 5, seed=3)
    assert sorted(np.concatenate(folds).tolist()) == list(range(23))
    assert {len(fold) for fold in folds} == {4, 5}
    again = split_folds(23, 5, seed=3)
    assert all((a == b).all() for a, b in zip(folds, again, strict=True))
    assert any((a.tolist() != b.tolist()) for a, b in zip(folds, split_folds(23, 5, seed=4), strict=True))


@pytest.mark.parametrize(("patients", "folds"), [(4, 5), (4, 1), (0, 2)])
def test_more_folds_than_patients_are_refused(patients, folds):
    with pytest.raises(ConfigError, match="cannot be dealt"):
        split_folds(patients, folds, seed=1)


def test_scores_of_a_known_prediction():
    case = Balls().case(0)
    probability = case.target.float()
    assert [row["dice"] for row in score_case(probability, case)] == [1.0, 1.0, 1.0]
    half = probability.clone()
    half[0, :3] = 0
    truth = case.target[0].numpy() > 0
    primary = score_case(half, case)[0]
    found = truth[3:].sum() / truth.sum()
    assert primary["sensitivity"] == pytest.approx(found)
    assert primary["precision"] == 1.0
    assert primary["dice"] == pytest.approx(2 * found / (1 + found))
    assert primary["reference_cm3"] == pytest.approx(truth.sum() * 5 * 0.86**2 / 1000)
    nothing = score_case(half, case, clean=np.zeros_like)
    assert nothing[0]["dice"] == 0.0


def test_what_is_not_known_is_not_scored():
    case = Balls().case(3)
    assert [row["label"] for row in score_case(case.target.float(), case)] == ["primary"]


def test_every_slice_is_predicted_from_its_own_neighbors():
    class Middle(torch.nn.Module):
        def forward(self, images, present):
            return images[:, :2, 2]  # t1 and t2 of the center slice

    case = Balls().case(0)
    found = predict_case(Middle(), case, GRID, torch.device("cpu"), slabs=4)
    torch.testing.assert_close(found, torch.sigmoid(case.images[:2]))


def test_no_patient_is_scored_by_a_network_that_saw_it(tmp_path):
    lines, source = [], Balls()
    networks = cross_train(TINY, source, Balls(), tmp_path, folds=2, report=lines.append)
    rows = read_scores(tmp_path / "scores.csv")
    held_out = split_folds(4, 2, TINY.seed)
    for number, fold in enumerate(held_out, 1):
        scored = {row["name"] for row in rows if row["fold"] == number}
        assert scored == {str(i) for i in fold}
        about = json.loads((tmp_path / f"fold-{number}" / "run.json").read_text())
        assert about["data"]["patients"] == 2
        assert about["seed"] == TINY.seed + number
    assert len(networks) == 2
    assert sum(row["label"] == "primary" for row in rows) == 4
    assert sum(row["label"] == "nodes" for row in rows) == 3
    assert "out-of-fold Dice: primary" in lines[-1]


def test_training_of_a_fold_reads_no_patient_held_out(tmp_path):
    source = Balls()
    fold = split_folds(4, 2, TINY.seed)[0]
    kept = np.setdiff1d(np.arange(4), fold).tolist()
    train_seeds(replace(TINY, steps=8), source.subset(kept), tmp_path, seeds=[1], report=quiet)
    assert set(source.read) == {str(i) for i in kept}


def test_finished_folds_are_taken_as_they_are(tmp_path):
    cross_train(TINY, Balls(), Balls(), tmp_path, folds=2, report=quiet)
    before = (tmp_path / "scores.csv").read_text()
    source = Balls()
    cross_train(TINY, source, Balls(), tmp_path, folds=2, report=quiet)
    assert source.read == []  # nothing was drawn
    assert (tmp_path / "scores.csv").read_text() == before


def test_slabs_and_cases_must_be_of_the_same_patients(tmp_path):
    with pytest.raises(ConfigError, match="different patients"):
        cross_train(TINY, Balls(), Balls(["0", "1"]), tmp_path, folds=2)


def test_seeds_become_an_ensemble_that_reads_back(tmp_path):
    networks = train_seeds(TINY, Balls(), tmp_path, seeds=[5, 9], report=quiet)
    assert not torch.equal(networks[0].logits.weight, networks[1].logits.weight)
    runs = {seed: tmp_path / f"seed-{seed}" for seed in (5, 9)}
    about = describe_model(TINY, GRID, runs, data={"patients": 4}, simulated=True)
    folder = write_model(tmp_path / "model", networks, about)
    members, read = read_members(folder, "cpu")
    assert [entry["seed"] for entry in read["members"]] == [5, 9]
    assert read["grid"]["window"] == SIZE
    assert read["sequences"] == ["t1", "t2", "ce_t1"]
    assert read["training"]["steps"] == [4, 4]
    assert read["training"]["settings"]["learning_rate"] == TINY.learning_rate
    assert read["simulated"] is True
    assert torch.equal(members[1].logits.weight, networks[1].logits.weight.half().float())
    assert str(tmp_path) not in (folder / "model.json").read_text()


@pytest.mark.parametrize("name", ["demo", "simulated", "cohort", "deu"])
def test_shipped_files_are_valid(name):
    settings = read_segmenter_settings(name)
    assert settings.training_settings().steps >= 60
    assert settings.network_grid().neighbors == 5


def test_cohort_file_shows_every_key_with_its_default():
    shown, plain = read_segmenter_settings("cohort"), TrainingSettings()
    assert replace(shown.training_settings(), architecture={}) == replace(plain, architecture={})
    assert shown.network_grid() == NetworkGrid()
    text = training_settings.config_path("segmentation/cohort.yaml").read_text()
    for section in (shown.training, shown.grid, shown):
        assert all(f"{key}:" in text for key in type(section).model_fields if key not in ("experiment",))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("data: {heads: {count: 3}}\ntraning: {}", r"unknown key traning \(did you mean training\?\)"),
        (
            "data: {heads: {count: 3}}\ntraining: {step: 3}",
            r"unknown key training.step \(did you mean steps\?\)",
        ),
        ("data: {heads: {count: 3, seeds: 1}}", r"unknown key data.heads.seeds \(did you mean seed\?\)"),
        ("data: {}", "give one of heads, study and patients"),
        ("data: {heads: {count: 3}, study: a.yaml}", "give one of"),
        ("data: {heads: {count: 0}}", "greater than or equal to 1"),
        ("data: {heads: {count: 3}}\nfolds: 5", "folds need whole cases"),
        ("data: {study: a.yaml}\nfolds: 5\nseeds: [1, 2]", "not both"),
        ("data: {study: a.yaml}\nseeds: [1, 1]", "given twice"),
        ("data: {heads: {count: 3}}\nseeds: [-1]", "seeds.*greater than or equal to 0"),
        ("data: {heads: {count: 3, seed: -1}}", "data.heads.seed.*greater than or equal to 0"),
        ("data: {patients: {patients: 3, seed: 4294967296}}", "data.patients.seed.*less than"),
        ("data: {study: a.yaml}\nexperiment: {}", "network.name: deu"),
        ("data: {heads: {count: 3}}\nnetwork: {name: vnet}", "no network vnet"),
        ("data: {heads: {count: 3}}\ntraining: {precision: fp8}", "training.precision"),
        ("data: {heads: {count: 3}}\ntraining: {steps: 0}", "training.steps is 0. It must be 1 or more"),
        ("data: {heads: {count: 3}}\ntraining: {batch: -1}", "training.batch is -1"),
        ("data: {heads: {count: 3}}\ntraining: {log_steps: 0}", "training.log_steps is 0"),
        ("data: {heads: {count: 3}}\ntraining: {learning_rate: .nan}", "training.learning_rate is nan"),
        (
            "data: {heads: {count: 3}}\ntraining: {ema: 1.0}",
            "must be from 0 to below 1",
        ),
        ("data: {heads: {count: 3}}\ngrid: {neighbors: 4}", "odd number of neighbors"),
        ("data: {heads: {count: 3}}\ngrid: {window: 0}", "no number of 0 or below"),
        ("data: {heads: {count: 3}}\ngrid: {neighbors: 7}", "takes 5 neighbors, the grid gives 7"),
        ("data: [", "not valid YAML"),
        ("", "holds no settings"),
    ],
)
def test_a_wrong_file_says_what_and_where(tmp_path, content, says):
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(ConfigError, match=says):
        read_segmenter_settings(tmp_path / "mine.yaml")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist"):
        read_segmenter_settings(tmp_path / "nowhere.yaml")


def test_paths_start_from_the_folder_of_the_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("data: {study: a/study.yaml}\nfine_tune: model")
    settings = read_segmenter_settings(tmp_path / "mine.yaml")
    assert settings.data.study == tmp_path / "a" / "study.yaml"
    assert settings.fine_tune == tmp_path / "model"
    assert read_segmenter_settings("cohort").fine_tune is None


FILE = """
name: test
data: {heads: {count: 2, seed: 3}}
grid: {window: 48}
network: {name: slab_unet, widths: [8, 8], edge: 4}
training: {steps: 2, batch: 1, warmup: 1, log_steps: 1}
seeds: [4]
"""


@pytest.mark.slow
def test_from_a_file_to_a_model_and_on_to_fine_tuning(tmp_path):
    (tmp_path / "mine.yaml").write_text(FILE)
    model = segmenter_training.train_segmenter(tmp_path / "mine.yaml", tmp_path / "out", device="cpu", jobs=1)
    about = read_members(model, "cpu")[1]
    assert about["simulated"] is True
    assert about["training"]["data"] == {"heads": {"count": 2, "seed": 3}, "patients": 2}
    stamp = (tmp_path / "out" / "data" / "tissue.npy").stat().st_mtime_ns
    again = segmenter_training.train_segmenter(tmp_path / "mine.yaml", tmp_path / "out", device="cpu", jobs=1)
    assert read_members(again, "cpu")[1]["members"] == about["members"]
    assert (tmp_path / "out" / "data" / "tissue.npy").stat().st_mtime_ns == stamp

    still = FILE.replace("steps: 2", "steps: 1, learning_rate: 0") + "fine_tune: out/model\n"
    (tmp_path / "tune.yaml").write_text(still)
    tuned = segmenter_training.train_segmenter(
        tmp_path / "tune.yaml", tmp_path / "tuned", device="cpu", jobs=1
    )
    after = read_members(tuned, "cpu")[1]
    assert after["members"][0]["sha256"] == about["members"][0]["sha256"]
    assert after["training"]["data"]["fine_tuned_from"] == about["members"][0]["sha256"]
    assert after["simulated"] is True
    # begun with weights that have seen patients: simulated heads after it do not undo that
    (model / "model.json").write_text(json.dumps({**about, "simulated": False}))
    tuned = segmenter_training.train_segmenter(
        tmp_path / "tune.yaml", tmp_path / "tuned", device="cpu", jobs=1
    )
    assert read_members(tuned, "cpu")[1]["simulated"] is False
    (tmp_path / "tune.yaml").write_text(still.replace("[8, 8]", "[8, 16]"))
    with pytest.raises(ConfigError, match="not of the architecture"):
        segmenter_training.train_segmenter(tmp_path / "tune.yaml", tmp_path / "other", device="cpu", jobs=1)
    with (tmp_path / "out" / "seed-4" / "curves.csv").open() as stream:
        assert [row["step"] for row in csv.DictReader(stream)] == ["1", "2"]


def test_folds_do_not_begin_with_a_model_of_the_same_study(tmp_path):
    """Such a model has seen the patients of every fold; what it was trained on before counts as well."""
    study, file = tmp_path / "study.yaml", tmp_path / "mine.yaml"
    study.write_text("name: mine")
    digest = file_digest(study)
    text = FILE.replace("{heads: {count: 2, seed: 3}}", "{study: study.yaml}") + "fine_tune: model\n"

    def start(data, folds=2):
        about = {"simulated": False, "training": {"data": data}}
        write_members(tmp_path / "model", [build_network(TINY.architecture)], about)
        file.write_text(text + f"folds: {folds}\n")
        return segmenter_training.train_segmenter(file, tmp_path / "out", device="cpu", jobs=1)

    for data in ({"study": digest}, {"study": "other", "studies_before": [digest]}):
        with pytest.raises(ConfigError, match="was trained on this study"):
            start(data)
        assert not (tmp_path / "out").exists()  # said before anything is read or made
    # another study, or all patients in training: on it goes, up to the study file that is none
    for data, folds in (({"study": "other"}, 2), ({"heads": {"count": 2}}, 2), ({"study": digest}, 0)):
        with pytest.raises(ConfigError, match=r"cohort|study\.yaml"):
            start(data, folds)
    known = {"training": {"data": {"study": "b", "studies_before": ["a"]}}}
    assert segmenter_training._studies_of(known) == ["a", "b"]
    assert segmenter_training._studies_of({}) == []


def test_heads_that_were_half_replaced_are_made_again(tmp_path, monkeypatch):
    """Stopped while other heads were written over them: the old note on what they are is no longer true."""
    made = []

    def write(folder, *, heads, seed, jobs):
        made.append(heads)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "heads.json").unlink(missing_ok=True)
        if heads == 3:
            raise KeyboardInterrupt
        for name in ("tissue", "target"):
            np.save(folder / f"{name}.npy", np.zeros((heads, 4, 4, 4), np.uint8))
        (folder / "heads.json").write_text(json.dumps({"heads": [{"name": str(k)} for k in range(heads)]}))

    monkeypatch.setattr("radiomics_npc.segmentation.heads.write_heads", write)
    two, three = (
        training_settings.SegmenterSettings.model_validate({"data": {"heads": {"count": n}}}) for n in (2, 3)
    )
    for _ in range(2):
        assert len(segmenter_training._data(two, tmp_path / "data", 1)) == 2
    with pytest.raises(KeyboardInterrupt):
        segmenter_training._data(three, tmp_path / "data", 1)
    assert len(segmenter_training._data(two, tmp_path / "data", 1)) == 2
    assert made == [2, 3, 2]


@pytest.mark.slow
def test_the_demo_trains_a_model_that_contours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["train-segmenter", "demo", "--device", "cpu"])
    assert ended.value.code == 0
    with (tmp_path / "segmenter-demo" / "seed-1" / "curves.csv").open() as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    assert losses[-1] < losses[0]
    segmenter = load_segmenter(tmp_path / "segmenter-demo" / "model", "cpu")
    head = Volume(np.random.default_rng(0).normal(100, 10, (6, 64, 64)), (2.0, 2.0, 5.0))
    assert segmenter.predict({"t2": head}).masks["t2"].array.shape == (6, 64, 64)
