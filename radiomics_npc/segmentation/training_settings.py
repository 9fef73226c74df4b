"""The file that ``train-segmenter`` reads: what to train on, which network, and how."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from radiomics_npc.config import config_path, read_yaml, validated
from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.hyperparameters import TrainingSettings
from radiomics_npc.segmentation.networks import build_network
from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.settings import SEQUENCES, Sequence

__all__ = ["DataSection", "ExperimentSection", "SegmenterSettings", "read_segmenter_settings"]

#: What generators take.
_Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _section_of(kind: type, *, without: tuple[str, ...] = ()) -> type[_Section]:
    """A validated section with the fields and defaults of a dataclass, so that each has one home."""
    hints = get_type_hints(kind)
    fields: dict[str, Any] = {
        f.name: (hints[f.name], f.default) for f in dataclasses.fields(kind) if f.name not in without
    }
    return create_model(f"{kind.__name__}Section", __base__=_Section, **fields)


class HeadsSection(_Section):
    """Simulated heads, imaged anew at every draw."""

    count: int = Field(ge=1)
    seed: _Seed = 1


class PatientsSection(_Section):
    """A simulated cohort, imaged once like a real one."""

    patients: int = Field(ge=2)
    seed: _Seed = 1
    matrix: int | None = None


class DataSection(_Section):
    """One of: simulated heads, a study with contours, a simulated cohort."""

    heads: HeadsSection | None = None
    study: Path | None = None
    patients: PatientsSection | None = None

    @model_validator(mode="after")
    def _one(self) -> DataSection:
        if sum(part is not None for part in (self.heads, self.study, self.patients)) != 1:
            raise ValueError("give one of heads, study and patients")
        return self


class ExperimentSection(_Section):
    """Networks of different inputs, compared as in the DEU paper."""

    inputs: list[list[Sequence]] = Field(default=[["t1"], ["t2"], ["t1", "t2"]], min_length=1)
    label: Literal["primary", "nodes", "lesions"] = "primary"
    single_slices: bool = False

    @model_validator(mode="after")
    def _inputs(self) -> ExperimentSection:
        if any(not group or len(set(group)) != len(group) for group in self.inputs):
            raise ValueError("every group of inputs names one to three different sequences")
        return self

    @property
    def places(self) -> list[list[int]]:
        """Inputs as places in the order of the sequences."""
        return [sorted(SEQUENCES.index(name) for name in group) for group in self.inputs]


_Grid = _section_of(NetworkGrid)
_Training = _section_of(TrainingSettings, without=("architecture", "seed"))


class SegmenterSettings(_Section):
    """Everything that ``train-segmenter`` can be told; explained in ``configs/segmentation``."""

    name: str = "segmenter"
    output: Path = Path("segmenter")
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    data: DataSection
    grid: _Grid = Field(default_factory=_Grid)  # type: ignore[valid-type]
    network: dict[str, Any] = Field(default_factory=lambda: {"name": "slab_unet"})
    training: _Training = Field(default_factory=_Training)  # type: ignore[valid-type]
    seeds: list[_Seed] = Field(default=[1], min_length=1)
    folds: int = Field(default=0, ge=0)
    fine_tune: Path | Literal["bundled"] | None = None
    experiment: ExperimentSection | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SegmenterSettings:
        if self.folds == 1:
            raise ValueError("folds is 0 (train on all) or 2 and more")
        if self.folds and self.data.heads is not None:
            raise ValueError("folds need whole cases: give data.study or data.patients, or leave folds out")
        if self.folds and len(self.seeds) > 1:
            raise ValueError("give folds or several seeds, not both")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds are given twice")
        if self.experiment is not None and not (self.folds and self.network.get("name") == "deu"):
            raise ValueError("an experiment needs network.name: deu and folds")
        return self

    def training_settings(self) -> TrainingSettings:
        """Settings of the first network."""
        section: BaseModel = self.training
        return TrainingSettings(architecture=self.network, seed=self.seeds[0], **section.model_dump())

    def network_grid(self) -> NetworkGrid:
        """Grid of the network."""
        section: BaseModel = self.grid
        return NetworkGrid(**section.model_dump())


def read_segmenter_settings(config: Path | str) -> SegmenterSettings:
    """Read and validate a training file.

    Parameters
    ----------
    config : path or str
        A YAML file, or the name of one that comes with the package (``demo``).

    Returns
    -------
    SegmenterSettings
        Paths of data are resolved from the folder of the file; the output from
        the current folder.

    Raises
    ------
    ConfigError
        The file is absent, is no YAML, or holds an unknown key or wrong value.

    Examples
    --------
    >>> read_segmenter_settings("demo").data.heads.count
    12
    """
    path = Path(config)
    if not path.suffix:
        path = config_path(f"segmentation/{path.name}.yaml")
    content = read_yaml(path, "training file")
    settings = validated(SegmenterSettings, content, path.name, "configs/segmentation/cohort.yaml")
    _check(settings)
    return _anchored(settings, path.parent.absolute())


def _check(settings: SegmenterSettings) -> None:
    """Find before hours of simulation what the training would stumble over."""
    settings.training_settings()
    grid = settings.network_grid()
    if grid.neighbors % 2 == 0 or min(grid.neighbors, grid.window, grid.pixel_mm, grid.least_spacing_mm) <= 0:
        raise ConfigError(
            "the grid needs an odd number of neighbors, and no number of 0 or below",
            "Mend the grid section of the training file.",
        )
    architecture: Any = build_network(settings.network).architecture
    if architecture.get("neighbors", grid.neighbors) != grid.neighbors:
        raise ConfigError(
            f"the network takes {architecture['neighbors']} neighbors, the grid gives {grid.neighbors}",
            "Set network.neighbors and grid.neighbors to the same number.",
        )


def _anchored(settings: SegmenterSettings, base: Path) -> SegmenterSettings:
    changes: dict[str, Any] = {}
    if settings.data.study is not None:
        changes["data"] = settings.data.model_copy(update={"study": base / settings.data.study})
    if isinstance(settings.fine_tune, Path):
        changes["fine_tune"] = base / settings.fine_tune
    return settings.model_copy(update=changes)
