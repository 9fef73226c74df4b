"""``study.yaml`` as validated settings.

An unknown key is an error that names the nearest one; relative paths are
resolved from the folder of the file, so a study can be moved as a whole.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from radiomics_npc.errors import ConfigError
from radiomics_npc.settings import StudySettings

__all__ = ["config_path", "portable_settings", "preset_path", "read_settings", "read_yaml", "validated"]

Settings = TypeVar("Settings", bound=BaseModel)


def _fields_at(model: Any, location: tuple[Any, ...]) -> list[str]:
    """Names of the settings that exist where an unknown key was found."""
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return []
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    return list(getattr(model, "model_fields", {}))


def _explain(fault: Any, kind: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(fault["loc"][-1]), _fields_at(kind, fault["loc"]), 1, 0.5)
        return f"unknown key {place}" + (f" (did you mean {near[0]}?)" if near else "")
    where = f"{place}: " if place else ""
    return where + str(fault["msg"].removeprefix("Value error, "))


def read_yaml(path: Path, kind: str) -> Any:
    """Content of a settings file.

    Parameters
    ----------
    path : Path
    kind : str
        What it is called if it is not there.

    Raises
    ------
    ConfigError
        The file is absent or is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{kind} {path.name} does not exist", "Check the path.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path.name} is not valid YAML{where}", "Check indentation and colons.") from error


def validated(kind: type[Settings], content: Any, name: str, example: str) -> Settings:
    """Settings of a kind from the content of a file.

    Parameters
    ----------
    kind : type
        A pydantic model that forbids unknown keys.
    content : object
    name : str
        Of the file.
    example : str
        The file that explains every key.

    Raises
    ------
    ConfigError
        An unknown key, or a wrong value. All faults are listed, not only the first.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"{name} holds no settings", f"Start from {example}.")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(_explain(fault, kind) for fault in error.errors())
        raise ConfigError(f"{name}: {faults}", f"Every key is explained in {example}.") from None


def _resolve(settings: Any, base: Path) -> Any:
    """Anchor every relative path at the folder of the study file."""
    if isinstance(settings, Path):
        return settings if settings.is_absolute() else base / settings
    if isinstance(settings, BaseModel):
        changed = {name: _resolve(getattr(settings, name), base) for name in type(settings).model_fields}
        return settings.model_copy(update=changed)
    if isinstance(settings, dict):
        return {key: _resolve(value, base) for key, value in settings.items()}
    return settings


def read_settings(source: Path | str | dict[str, Any], *, base: Path | None = None) -> StudySettings:
    """Read and validate a study.

    Parameters
    ----------
    source : path or dict
        ``study.yaml``, or the same content as a dictionary.
    base : Path, optional
        Folder that relative paths start from; by default the folder of the
        file, or the current folder for a dictionary.

    Returns
    -------
    StudySettings

    Raises
    ------
    ConfigError
        The file is absent, is no YAML, or holds an unknown key or wrong value.
        All faults are listed, not only the first.

    Examples
    --------
    >>> read_settings({"cohort": {"path": "data"}, "modells": None})
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.ConfigError: study: unknown key modells (did you mean models?). ...
    """
    name = "study"
    if isinstance(source, dict):
        content: Any = source
        base = base or Path.cwd()
    else:
        path = Path(source)
        name = path.name
        base = base or path.parent.absolute()
        content = read_yaml(path, "study file")
    resolved: StudySettings = _resolve(validated(StudySettings, content, name, "configs/study.yaml"), base)
    return resolved


def portable_settings(settings: StudySettings, folder: Path) -> dict[str, Any]:
    """Return settings as plain data with paths relative to ``folder``, for a copy kept there.

    A path on another drive keeps its file name only, since no absolute path
    may enter a run folder.
    """

    def relative(value: Any) -> Any:
        if isinstance(value, Path):
            try:
                return Path(os.path.relpath(value, folder)).as_posix()
            except ValueError:
                return value.name
        if isinstance(value, dict):
            return {key: relative(item) for key, item in value.items()}
        return [relative(item) for item in value] if isinstance(value, list) else value

    plain: dict[str, Any] = relative(settings.model_dump())
    return plain


def config_path(name: str) -> Path:
    """Return a shipped settings file by its path under ``configs``.

    They lie in ``configs`` of a source checkout, and in the package where it
    was installed from a wheel.

    Raises
    ------
    ConfigError
        There is no such file.

    Examples
    --------
    >>> config_path("demo.yaml").name
    'demo.yaml'
    """
    package = Path(__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"there is no settings file {name} in this installation")


def preset_path(preset: str, sequence: str) -> Path:
    """Return the PyRadiomics settings of a preset for one sequence.

    Raises
    ------
    ConfigError
        There is no such preset or sequence.

    Examples
    --------
    >>> preset_path("iso1mm", "ce_t1").name
    'iso1mm_ce_t1.yaml'
    """
    try:
        return config_path(f"pyradiomics/{preset}_{sequence}.yaml")
    except ConfigError:
        raise ConfigError(
            f"there is no preset {preset} for {sequence}",
            "Presets are iso1mm, inplane2d and native; or name files of your own under features.settings.",
        ) from None
