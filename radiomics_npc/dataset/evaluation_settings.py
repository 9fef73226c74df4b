"""What an evaluation is asked for: methods by name, classes, tolerances, known words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from radiomics_npc.cohort.cases import Label
from radiomics_npc.cohort.regions import Structures
from radiomics_npc.cohort.tables import plain
from radiomics_npc.dataset.case_masks import WantedClass, name_classes
from radiomics_npc.errors import ConfigError

__all__ = ["Classes", "class_tolerances", "name_methods", "require_known", "wanted_classes"]

Classes = Mapping[str, Label | tuple[Label, ...] | None] | Sequence[str]


def name_methods(folders: Sequence[Path | str]) -> dict[str, Path]:
    """Name folders by the part of their path that tells them apart.

    Parameters
    ----------
    folders : sequence of path

    Returns
    -------
    dict of str to Path

    Raises
    ------
    ConfigError
        A folder is named twice.

    Examples
    --------
    >>> list(name_methods(["runs/a/masks", "runs/b/masks"])), list(name_methods(["out/unet", "deu"]))
    (['a/masks', 'b/masks'], ['unet', 'deu'])
    """
    paths = [Path(folder) for folder in folders]
    whole = [path.resolve().parts for path in paths]
    if len(set(whole)) < len(whole):
        raise ConfigError("a folder of predictions is named twice", "Name each method once.")
    length = 1
    while len({parts[-length:] for parts in whole}) < len(whole):
        length += 1
    return {"/".join(parts[-length:]): path for parts, path in zip(whole, paths, strict=True)}


def require_known(surface: str, on_mismatch: str, empty: str, infinite: str | float, resamples: int) -> None:
    """Refuse words that mean nothing.

    Raises
    ------
    ConfigError
    """
    known = {
        "surface": (surface, ("faces", "surfel")), "on_mismatch": (on_mismatch, ("error", "resample")),
        "empty_reference": (empty, ("score", "omit")),
    }  # fmt: skip
    for name, (value, allowed) in known.items():
        if value not in allowed:
            raise ConfigError(f"{name} is {value!r}", f"Take {' or '.join(allowed)}.")
    if infinite != "diagonal" and (isinstance(infinite, str) or not (np.isfinite(infinite) and infinite > 0)):
        raise ConfigError(f"{infinite!r} cannot stand for infinite distances", "Take diagonal, or mm.")
    if resamples < 1:
        raise ConfigError(f"{resamples} bootstrap samples are none", "Take 1000.")


def wanted_classes(classes: Classes | None, truth: Mapping[str, Structures]) -> list[WantedClass]:
    """Classes as they are asked for, or as the reference has them.

    Raises
    ------
    ConfigError
        None is named.
    CohortError
        Nothing is drawn in the reference.

    Examples
    --------
    >>> wanted_classes({"nodes": 2}, {})
    [WantedClass(name='nodes', label=2, values=None, alone=True)]
    """
    if classes is None:
        return name_classes(truth)
    given = dict(classes) if isinstance(classes, Mapping) else {name: name for name in classes}
    if not given:
        raise ConfigError("there is no class", "Name some, or leave them to the reference.")
    return [WantedClass(str(name), label, alone=len(given) == 1) for name, label in given.items()]


def class_tolerances(given: float | Mapping[str, float], wanted: Sequence[WantedClass]) -> dict[str, float]:
    """Tolerance of every class in mm: 1 unless told otherwise.

    Raises
    ------
    ConfigError
        A tolerance is of no class, or is none.

    Examples
    --------
    >>> class_tolerances({"larynx": 2}, [WantedClass("GTVp", 1), WantedClass("Larynx", 2)])
    {'GTVp': 1.0, 'Larynx': 2.0}
    """
    names = {plain(w.name) or w.name: w.name for w in wanted}
    by_class = dict(given) if isinstance(given, Mapping) else {w.name: given for w in wanted}
    found = {w.name: 1.0 for w in wanted}
    for name, tolerance in by_class.items():
        key = plain(name) or name
        if key not in names:
            near = get_close_matches(key, names, 1)
            hint = f"Did you mean {names[near[0]]}?" if near else f"There are {', '.join(names.values())}."
            raise ConfigError(f"there is a tolerance for {name!r}, which is no class", hint)
        if not (np.isfinite(tolerance) and tolerance >= 0):
            raise ConfigError(f"{tolerance!r} is no tolerance", "Give mm, such as 1.")
        found[names[key]] = float(tolerance)
    return found
