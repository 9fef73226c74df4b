import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from radiomics_npc.errors import ConfigError, ModelFileError
from radiomics_npc.segmentation import curves, training
from radiomics_npc.segmentation.devices import uses_bf16
from radiomics_npc.segmentation.hyperparameters import TrainingSettings
from radiomics_npc.segmentation.networks import build_network
from radiomics_npc.segmentation.run_files import read_checkpoint, write_checkpoint
from radiomics_npc.segmentation.slabs import NetworkGrid, Slabs
from radiomics_npc.segmentation.training import train, trained_network
from radiomics_npc.segmentation.training_run import CHECKPOINT

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass
class Spheres:
    """Bright discs in noise; a patient is where its disc lies. A hook runs before each batch."""

    names: list[str] = field(default_factory=lambda: ["a", "b", "c", "d"])
    size: int = 24
    hook: object = None

    def subset(self, indices):
        return Spheres([self.names[i] for i in indices], self.size)

    def image(self, name, rng):
        place = np.random.default_rng(ord(name)).uniform(6, self.size - 6, 2)
        y, x = np.mgrid[: self.size, : self.size]
        disc = np.hypot(y - place[0], x - place[1]) < 4
        return disc, rng.normal(0, 0.5, (3, 5, self.size, self.size)) + 2 * disc

    def draw(self, rng, slabs, device, *, ease=0.0):
        if self.hook is not None:
            self.hook()
        pairs = [self.image(rng.choice(self.names), rng) for _ in range(slabs)]
        images = torch.as_tensor(np.stack([p[1] for p in pairs]), dtype=torch.float32)
        target = torch.zeros(slabs, 2, self.size, self.size)
        target[:, 0] = torch.as_tensor(np.stack([p[0] for p in pairs]))
        known = torch.tensor([1.0, 0.0]).expand(slabs, 2)
        return Slabs(images.to(device), torch.ones(slabs, 3), target.to(device), known)


TINY = TrainingSettings(
    architecture={"name": "slab_unet", "widths": [8, 8], "edge": 4},
    steps=8, batch=2, learning_rate=1e-2, warmup=2, ema=0.9, log_steps=2, precision="fp32",
)  # fmt: skip


def quiet(_):
    pass


def weights(folder):
    return read_checkpoint(folder / CHECKPOINT).tensors


def stop_at(step):
    """A source that sends this process a signal before the batch of a step is drawn."""
    count = iter(range(10**6))

    def hook():
        if next(count) == step:
            os.kill(os.getpid(), signal.SIGTERM)

    return Spheres(hook=hook)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_a_stopped_and_resumed_run_has_the_weights_of_an_unbroken_one(tmp_path, precision, optimizer):
    settings = replace(TINY, precision=precision, optimizer=optimizer)
    train(settings, Spheres(), tmp_path / "whole", report=quiet)
    for step in (2, 2):  # two stops, each after three more steps
        with pytest.raises(SystemExit) as left:
            train(settings, stop_at(step), tmp_path / "broken", report=quiet)
        assert left.value.code == 128 + signal.SIGTERM
    assert read_checkpoint(tmp_path / "broken" / CHECKPOINT).state["step"] == 6
    train(settings, Spheres(), tmp_path / "broken", report=quiet)
    whole, broken = weights(tmp_path / "whole"), weights(tmp_path / "broken")
    assert whole.keys() == broken.keys()
    assert {name.partition(".")[0] for name in whole} == {"weights", "ema", "exp_avg", "exp_avg_sq"}
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_a_stop_before_the_first_step_loses_nothing(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training, "_stop_after_step", lambda: nullcontext([signal.SIGINT]))
        with pytest.raises(KeyboardInterrupt):
            train(TINY, Spheres(), tmp_path / "run", report=quiet)
    train(TINY, Spheres(), tmp_path / "run", report=quiet)
    train(TINY, Spheres(), tmp_path / "whole", report=quiet)
    run, whole = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert all(torch.equal(run[name], whole[name]) for name in whole)


def test_signal_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    train(TINY, Spheres(), tmp_path, report=quiet)
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_seed_gives_other_weights_and_the_same_seed_the_same(tmp_path):
    short = replace(TINY, steps=2)
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        train(replace(short, seed=seed), Spheres(), tmp_path / name, report=quiet)
    one, again, two = (weights(tmp_path / name) for name in ("one", "again", "two"))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["weights.logits.weight"], two["weights.logits.weight"])


def test_the_global_generator_is_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(replace(TINY, steps=1), Spheres(), tmp_path, report=quiet)
    assert torch.equal(torch.rand(3), expected)


def test_learns_to_mark_a_bright_disc(tmp_path):
    settings = replace(TINY, steps=60, batch=4, learning_rate=3e-2, ema=0.5)
    network = trained_network(train(settings, Spheres(), tmp_path, report=quiet))
    slabs = Spheres().draw(np.random.default_rng(99), 8, "cpu")
    with torch.inference_mode():
        found = network(slabs.images, slabs.present)[:, 0] > 0
    truth = slabs.target[:, 0] > 0
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert dice > 0.95


def test_moving_average_is_what_is_kept(tmp_path):
    train(TINY, Spheres(), tmp_path / "a", report=quiet)
    network, stored = trained_network(tmp_path / "a"), weights(tmp_path / "a")
    assert torch.equal(network.logits.weight, stored["ema.logits.weight"])
    assert not torch.equal(network.logits.weight, stored["weights.logits.weight"])
    train(replace(TINY, ema=0.0), Spheres(), tmp_path / "b", report=quiet)
    last, stored = trained_network(tmp_path / "b"), weights(tmp_path / "b")
    assert torch.equal(last.logits.weight, stored["weights.logits.weight"])
    assert not any(name.startswith("ema.") for name in stored)


def test_moving_average_follows_its_formula(tmp_path):
    settings = replace(TINY, steps=1)
    train(settings, Spheres(), tmp_path / "one", report=quiet)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        first = build_network(settings.architecture).logits.weight.detach()
    stored = weights(tmp_path / "one")
    expected = 0.1 * first + 0.9 * stored["weights.logits.weight"]  # kept (1 + 0) / (10 + 0) at first
    torch.testing.assert_close(stored["ema.logits.weight"], expected)


def test_fine_tuning_begins_with_the_given_weights(tmp_path):
    train(TINY, Spheres(), tmp_path / "first", report=quiet)
    network = trained_network(tmp_path / "first")
    still = replace(TINY, steps=1, learning_rate=0.0)
    train(still, Spheres(), tmp_path / "second", start=network, report=quiet)
    again = trained_network(tmp_path / "second")
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_learning_rate_rises_falls_and_stays():
    settings = TrainingSettings(steps=1000, warmup=100, learning_rate=2.0)
    rates = np.array([settings.rate(step) for step in range(1000)])
    assert rates[0] == 2.0 / 100
    assert rates[99:101].tolist() == [2.0, 2.0]
    assert (np.diff(rates[100:]) < 0).all()
    assert rates[-1] < 1e-4
    assert replace(settings, schedule="constant").rate(999) == 2.0


def test_run_folder_tells_what_was_done(tmp_path):
    lines = []
    train(TINY, Spheres(), tmp_path, report=lines.append)
    about = json.loads((tmp_path / "run.json").read_text())
    assert about["settings"]["batch"] == 2
    assert about["data"]["patients"] == 4
    assert {"torch", "numpy", "python", "radiomics_npc"} == set(about["versions"])
    with (tmp_path / "curves.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["2", "4", "6", "8"]
    assert all(float(row["samples_per_s"]) > 0 for row in rows)
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert len(lines) == 4
    assert "min left" in lines[0]
    assert not list(tmp_path.glob(".tmp-*"))


def test_rows_of_lost_work_are_dropped(tmp_path):
    with pytest.raises(SystemExit):
        train(TINY, stop_at(2), tmp_path, report=quiet)  # saved after step 3, rows 2
    with (tmp_path / "curves.csv").open("a") as stream:
        stream.write("4,9,9,9,9,9,9,9,9\n")
    train(TINY, Spheres(), tmp_path, report=quiet)
    with (tmp_path / "curves.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["2", "4", "6", "8"]
    assert float(rows[1]["loss"]) != 9


def test_a_finished_run_is_left_as_it_is(tmp_path):
    train(TINY, Spheres(), tmp_path, report=quiet)
    stamp = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    train(TINY, Spheres(), tmp_path, report=quiet)
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == stamp


def test_other_settings_or_data_are_refused(tmp_path):
    train(TINY, Spheres(), tmp_path, report=quiet)
    with pytest.raises(ConfigError, match="other batch, learning_rate"):
        train(replace(TINY, batch=3, learning_rate=0.5), Spheres(), tmp_path, report=quiet)
    with pytest.raises(ConfigError, match="other data"):
        train(TINY, Spheres().subset([0, 1]), tmp_path, report=quiet)
    with pytest.raises(ConfigError, match="already holds a training"):
        train(TINY, Spheres(), tmp_path, resume=False, report=quiet)
    train(replace(TINY, log_steps=3, checkpoint_minutes=9), Spheres(), tmp_path, report=quiet)


def test_another_grid_is_refused(tmp_path):
    """Networks of one grid must not be handed out with another."""

    def source(**grid):
        made = Spheres()
        made.grid = NetworkGrid(**grid)
        return made

    train(TINY, source(), tmp_path, report=quiet)
    train(TINY, source(), tmp_path, report=quiet)
    with pytest.raises(ConfigError, match="other grid"):
        train(TINY, source(pixel_mm=1.0), tmp_path, report=quiet)


def test_other_first_weights_are_refused(tmp_path):
    """A finished run that began from scratch is no fine-tuned one."""
    first, other = (build_network(TINY.architecture) for _ in range(2))
    train(TINY, Spheres(), tmp_path / "tuned", start=first, report=quiet)
    train(TINY, Spheres(), tmp_path / "tuned", start=first, report=quiet)
    for start in (None, other):
        with pytest.raises(ConfigError, match="other start"):
            train(TINY, Spheres(), tmp_path / "tuned", start=start, report=quiet)


def test_a_checkpoint_of_before_goes_on(tmp_path):
    """Checkpoints that do not tell their grid and first weights are taken up as they are."""
    train(TINY, Spheres(), tmp_path, report=quiet)
    found = read_checkpoint(tmp_path / CHECKPOINT)
    for name in ("grid", "start"):
        del found.state[name]
    write_checkpoint(tmp_path / CHECKPOINT, found)
    train(TINY, Spheres(), tmp_path, report=quiet)


def test_an_architecture_of_tuples_resumes(tmp_path):
    settings = replace(TINY, architecture={**TINY.architecture, "widths": (8, 8)})
    for _ in range(2):
        train(settings, Spheres(), tmp_path, report=quiet)


def test_seconds_go_on_where_the_checkpoint_stands(tmp_path):
    """Also those of steps after the last row of the table."""
    settings = replace(TINY, log_steps=100)
    with pytest.raises(SystemExit):
        train(settings, stop_at(2), tmp_path, report=quiet)
    found = read_checkpoint(tmp_path / CHECKPOINT)
    found.state["seconds"] = 5000.0
    write_checkpoint(tmp_path / CHECKPOINT, found)
    train(settings, Spheres(), tmp_path, report=quiet)
    assert 5000 < read_checkpoint(tmp_path / CHECKPOINT).state["seconds"] < 5600


def test_a_damaged_checkpoint_is_an_error_with_a_remedy(tmp_path):
    train(TINY, Spheres(), tmp_path, report=quiet)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ModelFileError, match="no readable checkpoint"):
        train(TINY, Spheres(), tmp_path, report=quiet)
    with pytest.raises(ModelFileError, match="no readable checkpoint"):
        trained_network(tmp_path / "nowhere")


def test_a_loss_that_is_no_number_stops_the_run(tmp_path):
    class Broken(Spheres):
        def draw(self, rng, slabs, device, *, ease=0.0):
            drawn = super().draw(rng, slabs, device)
            return replace(drawn, images=drawn.images * float("nan"))

    with pytest.raises(ConfigError, match="no number at step 2"):
        train(TINY, Broken(), tmp_path, report=quiet)


def test_tensorboard_is_asked_for_only_where_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="tensorboard is not installed"):
        train(replace(TINY, tensorboard=True), Spheres(), tmp_path, report=quiet)


def test_no_picture_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    train(TINY, Spheres(), tmp_path, report=quiet)
    assert not (tmp_path / "curves.png").exists()


def test_precision_auto_follows_the_processor(monkeypatch):
    cpu = torch.device("cpu")
    for there in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda there=there: there, raising=False)
        assert uses_bf16("auto", cpu) is there
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert uses_bf16("auto", cpu) is False
    assert uses_bf16("auto", torch.device("mps")) is False


def test_the_share_of_easy_patients_falls_to_what_stays(tmp_path):
    asked = []

    class Asked(Spheres):
        def draw(self, rng, slabs, device, *, ease=0.0):
            asked.append(ease)
            return super().draw(rng, slabs, device)

    train(replace(TINY, steps=6, easy_steps=4, easy_share=0.3), Asked(), tmp_path, report=quiet)
    assert asked == [1.0, 0.75, 0.5, 0.3, 0.3, 0.3]


def test_training_needs_torch_and_numpy_alone():
    code = (
        "import sys; from radiomics_npc.segmentation import cross_training, experiment; "
        "bad = {'pandas', 'pydantic', 'SimpleITK', 'yaml', 'sklearn'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
