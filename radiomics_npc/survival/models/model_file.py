"""Frozen models as files that people can read and machines can check: no pickle.

A folder holds ``model.json`` (preprocessing, coefficients, covariance, baseline,
training ranges, versions, a summary of the cohort; never a patient's row) and, for
boosted trees, ``model.ubj``. A hash over all of it is checked when it is loaded, and
then every entry against :mod:`radiomics_npc.survival.models.model_schema`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from pydantic import ValidationError
from sklearn.exceptions import NotFittedError

from radiomics_npc.errors import HorizonError, ModelFileError
from radiomics_npc.provenance import software_versions
from radiomics_npc.storage import write_atomic, write_json
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.fine_gray import FineGrayModel
from radiomics_npc.survival.models.model_schema import SCHEMA, SCHEMA_VERSION, ModelFile, first_fault
from radiomics_npc.survival.models.multiply_imputed import MultiplyImputedModel
from radiomics_npc.survival.models.prepared import PreparedModel
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.models.surrogate import SurrogateModel
from radiomics_npc.survival.models.tree_file import check_trees

__all__ = ["SCHEMA_VERSION", "load_model", "save_model"]

Model = PrognosticModel | CoxModel | BoostedModel | FineGrayModel | MultiplyImputedModel | SurrogateModel
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in Model.__args__}
_HORIZONS_MONTHS = (36.0, 60.0)
_LARGEST = 50_000_000  # bytes of a file; models take some hundred thousand
_REMEDY = "Take the file as it was saved, or fit the model again."


def save_model(
    model: Model,
    folder: Path | str,
    *,
    name: str,
    simulated: bool | None = None,
    endpoint: str | None = None,
    horizons_months: Sequence[float] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write a fitted model.

    Parameters
    ----------
    model : PrognosticModel, SurrogateModel, CoxModel, BoostedModel, FineGrayModel or MultiplyImputedModel
        The last one of Cox models; a forest is not saved.
    folder : Path
        Made if need be; ``model.json`` and ``model.ubj`` in it are replaced.
    name : str
    simulated : bool, optional
        Whether the patients never lived; predictions then say so. By default what its outcome said.
    endpoint : str, optional
        By default the name of the outcome it was fitted to.
    horizons_months : sequence of float, optional
        Times it was made to predict at. By default those that a loaded model had, else those
        of 36 and 60 that the follow-up reaches.
    settings : mapping, optional
        What else belongs to the model, such as the settings of the extraction; JSON.

    Returns
    -------
    Path
        ``model.json``.

    Raises
    ------
    ModelFileError
        The model is of another kind or not fitted, or holds what JSON cannot.
    HorizonError
        A horizon is past the follow-up in training.

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
    described = _described(model)
    said = {
        "simulated": bool(getattr(model, "simulated_", False)) if simulated is None else bool(simulated),
        "endpoint": endpoint or getattr(model, "outcome_name_", ""),
    }
    # What some kinds hold themselves, too.
    own = {"simulated": said["simulated"], "outcome_name": said["endpoint"]}
    described |= {key: value for key, value in own.items() if key in described}
    trees = _trees(model)
    content = _plain({
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "name": name,
        **said,
        "cohort": {key: getattr(model, f"{key}_") for key in ("n", "events", "follow_up_months")},
        "horizons_months": _horizons(model, horizons_months),
        "versions": software_versions(),
        "settings": dict(settings or {}),
        "kind": type(model).__name__,
        "model": described,
        "trees_sha256": None if trees is None else hashlib.sha256(trees).hexdigest(),
    })  # fmt: skip
    content["sha256"] = _digest(content, "Fit it again, and give settings that JSON can hold.")
    _check(content, "the model cannot be saved", "Fit it again.")
    return _write(Path(folder), content, trees)


def load_model(folder: Path | str) -> Any:
    """Read a model and check that it is whole.

    Parameters
    ----------
    folder : Path
        With ``model.json``, or that file itself.

    Returns
    -------
    PrognosticModel, SurrogateModel, CoxModel, BoostedModel, FineGrayModel or MultiplyImputedModel
        Predicts as it did when saved, and has ``name_``, ``simulated_``, ``outcome_name_``,
        ``horizons_months_``, ``settings_``, ``versions_`` and ``sha256_`` beside what it learnt.

    Raises
    ------
    ModelFileError
        A file is absent, damaged, altered, or of an unknown schema.
    """
    path = Path(folder)
    path = path if path.suffix == ".json" else path / "model.json"
    content = _read(path)
    kind, described, digest = _KINDS[content["kind"]], content["model"], content["trees_sha256"]
    if digest is None:
        model = kind.from_dict(described)
    else:
        model = _with_trees(kind, described, path.with_name("model.ubj"), digest)
    model.name_, model.simulated_ = content["name"], content["simulated"]
    model.outcome_name_, model.settings_ = content["endpoint"], content["settings"]
    model.horizons_months_, model.versions_ = content["horizons_months"], content["versions"]
    model.sha256_ = content["sha256"]
    # Parts show themselves on their own, too.
    parts = [model.last_step] if isinstance(model, PreparedModel) else getattr(model, "models_", [])
    for part in parts:
        part.simulated_, part.outcome_name_ = content["simulated"], content["endpoint"]
    return model


def _described(model: Model) -> dict[str, Any]:
    """What a model of a kind that can be saved tells of itself."""
    kind = type(model).__name__
    if _KINDS.get(kind) is not type(model):
        raise ModelFileError(f"a {kind} cannot be saved", f"Save one of {', '.join(_KINDS)}.")
    try:
        return model.to_dict()
    except NotFittedError:
        raise ModelFileError(f"the {kind} is not fitted", "Fit it first.") from None


def _write(folder: Path, content: Mapping[str, Any], trees: bytes | None) -> Path:
    """The trees first, so that there is never a model.json without those it names."""
    if trees is not None:
        with write_atomic(folder / "model.ubj") as temporary:
            temporary.write_bytes(trees)
    write_json(folder / "model.json", content)
    if trees is None:
        (folder / "model.ubj").unlink(missing_ok=True)
    return folder / "model.json"


def _horizons(model: Model, wanted: Sequence[float] | None) -> list[float]:
    """Horizons in order; those given must be within the follow-up."""
    last = model.follow_up_months_
    if wanted is None:
        wanted = getattr(model, "horizons_months_", [h for h in _HORIZONS_MONTHS if h <= last])
    for horizon in wanted:
        if not 0 < horizon <= last:
            raise HorizonError(
                f"the model knows nothing at {horizon:g} months (follow-up {last:.1f})",
                "Take horizons within the follow-up.",
            )
    return sorted({float(horizon) for horizon in wanted})


def _read(path: Path) -> dict[str, Any]:
    """Content of model.json once schema and hash are right and every entry is in order."""
    try:
        text = _bytes(path).decode()
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except FileNotFoundError:
        raise ModelFileError(f"there is no {path.name}", "Give the folder of a saved model.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path.name} cannot be read", _REMEDY) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise ModelFileError(f"{path.name} is no model of this software", "Give the folder of a saved model.")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise ModelFileError(
            f"{path.name} has schema version {content.get('schema_version')!s:.20}, not {SCHEMA_VERSION}",
            "Use the version of the software that saved it.",
        )
    rest = {key: value for key, value in content.items() if key != "sha256"}
    if _digest(rest, _REMEDY) != content.get("sha256"):
        raise ModelFileError(f"{path.name} was altered: its hash does not fit", _REMEDY)
    _check(content, f"{path.name} does not describe a model", _REMEDY)
    return content


def _check(content: dict[str, Any], otherwise: str, remedy: str) -> None:
    """Every entry against the schema, and that they fit together."""
    try:
        ModelFile.model_validate(content)
    except (ValidationError, RecursionError) as error:
        fault = first_fault(error, content) if isinstance(error, ValidationError) else "too deep"
        raise ModelFileError(f"{otherwise}: {fault}", remedy) from None


def _bytes(path: Path) -> bytes:
    """Content of a file, if it is of a size that a model has."""
    with path.open("rb") as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ModelFileError(f"{path.name} is larger than any model: over {_LARGEST // 10**6} MB", _REMEDY)
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name given twice: readers differ on which value counts."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("an entry is given twice")
    return dict(pairs)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _with_trees(kind: Any, described: Mapping[str, Any], path: Path, digest: str) -> Any:
    """A model with its trees, once they are those it was saved with."""
    try:
        trees = _bytes(path)
    except OSError:
        raise ModelFileError(f"{path.name} is missing beside model.json", _REMEDY) from None
    if hashlib.sha256(trees).hexdigest() != digest:
        raise ModelFileError(f"{path.name} was altered: its hash does not fit", _REMEDY)
    boosted = described["steps"]["boosted"] if kind is PrognosticModel else described
    objective = boosted["growth"]["objective"]
    check_trees(trees, columns=len(boosted["columns"]), rounds=boosted["rounds"], objective=objective)
    try:
        return kind.from_dict(described, trees)
    except ValueError as error:  # XGBoostError is one
        raise ModelFileError(f"{path.name} holds no trees", _REMEDY) from error


def _trees(model: Model) -> bytes | None:
    last = model.last_step if isinstance(model, PreparedModel) else model
    return last.trees() if isinstance(last, BoostedModel) else None


def _digest(content: Mapping[str, Any], remedy: str) -> str:
    """SHA-256 of the content as compact JSON, its entries in order; floats by their shortest exact text."""
    try:
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(
            "the model holds what JSON cannot, such as numbers not finite", remedy
        ) from error


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
