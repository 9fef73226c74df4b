"""From a training file to a model folder: data made, networks trained, ensemble written."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from radiomics_npc._version import __version__
from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.cross_training import cross_train, describe_model, train_seeds, write_model
from radiomics_npc.segmentation.devices import choose_device
from radiomics_npc.segmentation.experiment import run_experiment
from radiomics_npc.segmentation.networks import build_network
from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.segmentation.training_data import CaseStore, HeadStore
from radiomics_npc.segmentation.training_settings import SegmenterSettings, read_segmenter_settings
from radiomics_npc.segmentation.weight_files import BUNDLED, read_members
from radiomics_npc.storage import file_digest, write_json

__all__ = ["train_segmenter"]


def train_segmenter(
    config: Path | str,
    output: Path | None = None,
    *,
    resume: bool = True,
    device: str | None = None,
    jobs: int | None = None,
) -> Path:
    """Train networks that contour tumors, as a file says.

    Parameters
    ----------
    config : path or str
        As ``configs/segmentation/*.yaml``, or the name of one.
    output : Path, optional
        Folder of the run, instead of the one in the file.
    resume : bool
        Go on where an earlier training stopped.
    device : str, optional
        auto, cuda, mps or cpu, instead of the one in the file.
    jobs : int, optional
        Processes that make the training data; by default all cores.

    Returns
    -------
    Path
        The model folder, which ``segmentation.model`` of a study can name; of
        an experiment the folder with its table.

    Raises
    ------
    ConfigError
        The file is wrong, the folder holds another training, the device is not there, or folds would
        begin with a model that was trained on the same study file.
    """
    settings = read_segmenter_settings(config)
    out = Path(output) if output is not None else settings.output
    place = choose_device(device or settings.device)
    start, begun = _start(settings)
    source = _data(settings, out / "data", jobs or 0)
    if settings.experiment is not None:
        assert isinstance(source, CaseStore)
        return _experiment(settings, source, out, place, resume)
    training = settings.training_settings()
    options: dict[str, Any] = {
        "resume": resume,
        "device": place,
        "start": start,
        "report": _report,
    }
    if settings.folds:
        assert isinstance(source, CaseStore)
        networks = cross_train(training, source, source, out, folds=settings.folds, **options)
        runs = {training.seed + k: out / f"fold-{k}" for k in range(1, settings.folds + 1)}
    else:
        networks = train_seeds(training, source, out, seeds=settings.seeds, **options)
        runs = {seed: out / f"seed-{seed}" for seed in settings.seeds}
    simulated = bool(source.about.get("simulated", False)) and bool(begun.get("simulated", True))
    data = {**_made_from(settings), "patients": len(source.names)}
    if begun:
        data["fine_tuned_from"] = str(begun["members"][0]["sha256"])
        data["studies_before"] = _studies_of(begun)
    about = describe_model(training, settings.network_grid(), runs, data=data, simulated=simulated)
    return write_model(out / "model", networks, {"name": settings.name, **about})


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _experiment(
    settings: SegmenterSettings, cases: CaseStore, out: Path, device: torch.device, resume: bool
) -> Path:
    section = settings.experiment
    assert section is not None
    found = run_experiment(
        settings.training_settings(), cases, out, inputs=section.places, folds=settings.folds,
        label=section.label, single_slices=section.single_slices,
        simulated=bool(cases.about.get("simulated", False)),
        resume=resume, device=device, report=_report,
    )  # fmt: skip
    print(found)
    return out


def _start(settings: SegmenterSettings) -> tuple[nn.Module | None, dict[str, Any]]:
    """The network that fine-tuning begins with, the first of a model, and what that model says of itself."""
    if settings.fine_tune is None:
        return None, {}
    folder = BUNDLED if settings.fine_tune == "bundled" else Path(settings.fine_tune)
    networks, about = read_members(folder, "cpu")
    network = networks[0]
    if network.architecture != build_network(settings.network).architecture:
        raise ConfigError(
            f"the network of model {folder.name} is not of the architecture to be trained",
            "Leave the network section as it is in that model's model.json.",
        )
    if settings.folds and _made_from(settings).get("study") in _studies_of(about):
        raise ConfigError(
            f"model {folder.name} was trained on this study: it has seen the patients that folds hold out",
            "Leave folds out, or fine-tune a model of other patients.",
        )
    return network, about


def _studies_of(about: Mapping[str, Any]) -> list[str]:
    """Digests of the study files that a model was trained on, from the first to the last."""
    data = about.get("training", {}).get("data", {})
    return [*data.get("studies_before", []), *([data["study"]] if "study" in data else [])]


def _made_from(settings: SegmenterSettings) -> dict[str, Any]:
    """What the training data is made from, in a form that holds no path."""
    data = settings.data
    if data.study is not None:
        return {"study": file_digest(data.study)}
    return data.model_dump(mode="json", exclude_none=True)


def _data(settings: SegmenterSettings, folder: Path, jobs: int) -> HeadStore | CaseStore:
    """Training data of the run; made once, and again only if it would come out differently."""
    grid = settings.network_grid()
    if settings.data.heads is None:
        return _cases(settings, folder, grid, jobs)
    wanted = {**_made_from(settings), "version": __version__}
    made = folder / "made_from.json"
    if not made.exists() or json.loads(made.read_text(encoding="utf-8")) != wanted:
        from radiomics_npc.segmentation.heads import write_heads

        made.unlink(missing_ok=True)  # not true from here on, should this be stopped
        write_heads(folder, heads=settings.data.heads.count, seed=settings.data.heads.seed, jobs=jobs)
        write_json(made, wanted)
    return HeadStore(folder, grid)


def _cases(settings: SegmenterSettings, folder: Path, grid: NetworkGrid, jobs: int) -> CaseStore:
    """A cohort as arrays; patients whose files are as before are not read again."""
    from radiomics_npc.cohort.reading import read_cohort
    from radiomics_npc.segmentation.cases import write_cases

    study = settings.data.study or _simulated_cohort(settings, folder.parent / "cohort", jobs)
    written = write_cases(read_cohort(study), folder, grid=grid, jobs=jobs)
    for row in written.failures.itertuples():
        _report(f"left out: patient {row.patient_id}: {row.message}. {row.remedy}")
    if not written.patient_ids:
        raise ConfigError(
            "no patient of the cohort has images and masks to train on", "Check the study file."
        )
    return CaseStore(folder, grid)


def _simulated_cohort(settings: SegmenterSettings, folder: Path, jobs: int) -> Path:
    from radiomics_npc.simulate.cohort import simulate_cohort

    section = settings.data.patients
    assert section is not None
    about, made = {**section.model_dump(), "version": __version__}, folder.parent / "cohort.json"
    if not made.exists() or json.loads(made.read_text(encoding="utf-8")) != about:
        made.unlink(missing_ok=True)
        simulate_cohort(folder, **section.model_dump(), jobs=jobs)
        write_json(made, about)
    return folder
