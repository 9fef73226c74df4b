"""The nomogram of a model folder, or why there is none and what to draw instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radiomics_npc.errors import ConfigError
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.survival.models.model_file import load_model
from radiomics_npc.survival.models.surrogate import SurrogateModel
from radiomics_npc.survival.models.tree_model import TreeModel

__all__ = ["nomogram_of_folder"]

_NO_SUM = (
    "has no nomogram and no page that calculates: the risk of a tree ensemble is no sum of points of one "
    "variable each"
)


def nomogram_of_folder(folder: Path | str, horizons: Sequence[float] | None = None) -> Nomogram:
    """Make the nomogram of a saved model.

    Parameters
    ----------
    folder : Path
        As written by a run.
    horizons : sequence of float, optional
        Months; by default those that the model was made to predict at.

    Returns
    -------
    Nomogram

    Raises
    ------
    ConfigError
        Trees have none: the message says why, and where the surrogate of a boosted model lies.
    ModelFileError, HorizonError, CohortError
    """
    folder = Path(folder)
    if folder.name.endswith("_forest") and not (folder / "model.json").exists():
        raise ConfigError(
            f"{folder.name} {_NO_SUM}, and a forest is not saved", "Draw a Cox model of the same run."
        )
    model = load_model(folder)
    if isinstance(getattr(model, "last_step", model), TreeModel):
        raise ConfigError(f"{folder.name} {_NO_SUM}", _instead(folder))
    return Nomogram.from_model(model, horizons=horizons or model.horizons_months_ or (36.0, 60.0))


def _instead(folder: Path) -> str:
    """The surrogate beside a boosted model, with its fidelity, or how to get one."""
    surrogate = folder.with_name(f"{folder.name}_surrogate")
    if not (surrogate / "model.json").exists():
        return (
            "Draw a Cox model, or fit the study with nomogram.surrogates: true, which writes a model that "
            f"imitates it to {surrogate.name}."
        )
    model = load_model(surrogate)
    known = f" {model.note}" if isinstance(model, SurrogateModel) else ""
    return f"Draw its surrogate, the folder {surrogate.name} beside it.{known}"
