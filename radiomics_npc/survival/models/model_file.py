"""Frozen models as files that people can read and machines can check: no pickle.

A folder holds ``model.json`` (preprocessing, coefficients, covariance, baseline,
training ranges, versions, a summary of the cohort; never a patient's row) and, for
boosted trees, ``model.ubj``. A hash over all of it is checked when it is loaded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from radiomics_npc.errors import ModelFileError
from radiomics_npc.provenance import software_versions
from radiomics_npc.storage import write_atomic, write_json
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.prognostic import PrognosticModel

__all__ = ["SCHEMA_VERSION", "load_model", "save_model"]

SCHEMA = "radiomics-npc model"
SCHEMA_VERSION = 1
_KEYS = {"schema", "schema_version", "name", "simulated", "endpoint", "cohort", "versions",
         "settings", "kind", "model", "trees_sha256", "sha256"}  # fmt: skip
_KINDS = {"PrognosticModel": PrognosticModel, "CoxModel": CoxModel, "BoostedModel": BoostedModel}
_REMEDY = "Take the file as it was saved, or fit the model again."

Model = PrognosticModel | CoxModel | BoostedModel


def save_model(
    model: Model,
    folder: Path | str,
    *,
    name: str,
    simulated: bool | None = None,
    endpoint: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write a fitted model.

    Parameters
    ----------
    model : PrognosticModel, CoxModel or BoostedModel
    folder : Path
        Made if need be; ``model.json`` and ``model.ubj`` in it are replaced.
    name : str
    simulated : bool, optional
        Whether the patients never lived; predictions then say so. By default what its outcome said.
    endpoint : str, optional
        By default the name of the outcome it was fitted to.
    settings : mapping, optional
        What else belongs to the model, such as the settings of the extraction; JSON.

    Returns
    -------
    Path
        ``model.json``.

    Raises
    ------
    ModelFileError
        The model is of another kind, or holds what JSON cannot.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> from radiomics_npc.cohort.outcome import Outcome
    >>> X = pd.DataFrame({"age": [40.0, 50, 60, 45, 55, 65]}, index=list("abcdef"))
    >>> model = CoxModel().fit(X, Outcome([50, 30, 20, 25, 45, 40], [0, 1, 1, 0, 1, 1], X.index))
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = save_model(model, folder, name="by_age")
    >>> bool((load_model(folder).predict_risk(X) == model.predict_risk(X)).all())
    True
    """
    kind = type(model).__name__
    if kind not in _KINDS:
        raise ModelFileError(f"a {kind} cannot be saved", f"Save one of {', '.join(_KINDS)}.")
    folder = Path(folder)
    trees = _trees(model)
    content = _plain({
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "simulated": bool(getattr(model, "simulated_", False)) if simulated is None else simulated,
        "endpoint": endpoint or getattr(model, "outcome_name_", ""),
        "cohort": {key: getattr(model, f"{key}_") for key in ("n", "events", "follow_up_months")},
        "versions": software_versions(),
        "settings": dict(settings or {}),
        "kind": kind,
        "model": model.to_dict(),
        "trees_sha256": None if trees is None else hashlib.sha256(trees).hexdigest(),
    })  # fmt: skip
    content["sha256"] = _digest(content)
    if trees is not None:
        with write_atomic(folder / "model.ubj") as temporary:
            temporary.write_bytes(trees)
    write_json(folder / "model.json", content)
    return folder / "model.json"


def load_model(folder: Path | str) -> Any:
    """Read a model and check that it is whole.

    Parameters
    ----------
    folder : Path
        With ``model.json``, or that file itself.

    Returns
    -------
    PrognosticModel, CoxModel or BoostedModel
        Predicts as it did when saved, and has ``name_``, ``simulated_``,
        ``outcome_name_``, ``settings_`` and ``versions_`` beside what it learnt.

    Raises
    ------
    ModelFileError
        A file is absent, damaged, altered, or of an unknown schema.
    """
    path = Path(folder)
    path = path if path.suffix == ".json" else path / "model.json"
    content = _read(path)
    trees = _read_trees(path.with_name("model.ubj"), content["trees_sha256"])
    try:
        kind = _KINDS[content["kind"]]
        model: Any = kind.from_dict(content["model"], *([] if kind is CoxModel else [trees]))  # type: ignore[attr-defined]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path.name} does not describe a model", _REMEDY) from error
    model.name_, model.simulated_ = content["name"], content["simulated"]
    model.outcome_name_, model.settings_ = content["endpoint"], content["settings"]
    model.versions_ = content["versions"]
    if kind is PrognosticModel:
        model.last_step.simulated_ = content["simulated"]  # it shows itself on its own, too
    return model


def _read(path: Path) -> dict[str, Any]:
    """Content of model.json once schema and hash are right."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(f"there is no {path.name}", "Give the folder of a saved model.") from None
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path.name} cannot be read", _REMEDY) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ModelFileError(f"{path.name} is no model of this software", "Give the folder of a saved model.")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ModelFileError(
            f"{path.name} has schema version {content.get('schema_version')}, not {SCHEMA_VERSION}",
            "Use the version of the software that saved it.",
        )
    if set(content) != _KEYS:
        raise ModelFileError(f"{path.name} lacks or adds entries", _REMEDY)
    if _digest({key: value for key, value in content.items() if key != "sha256"}) != content["sha256"]:
        raise ModelFileError(f"{path.name} was altered: its hash does not fit", _REMEDY)
    return content


def _read_trees(path: Path, digest: str | None) -> bytes | None:
    if digest is None:
        return None
    try:
        trees = path.read_bytes()
    except OSError:
        raise ModelFileError(f"{path.name} is missing beside model.json", _REMEDY) from None
    if hashlib.sha256(trees).hexdigest() != digest:
        raise ModelFileError(f"{path.name} was altered: its hash does not fit", _REMEDY)
    return trees


def _trees(model: Model) -> bytes | None:
    last = model.last_step if isinstance(model, PrognosticModel) else model
    return last.trees() if isinstance(last, BoostedModel) else None


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content, independent of the order of keys; floats by their shortest exact text."""
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ModelFileError("the model holds numbers that are not finite", "Fit it again.") from error
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Only what JSON has: numpy numbers and tuples become plain ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return value.name
    return value
