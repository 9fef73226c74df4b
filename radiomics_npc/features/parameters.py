"""PyRadiomics settings files: read, validated, and made canonical."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from radiomics_npc.config import preset_path
from radiomics_npc.errors import ConfigError
from radiomics_npc.settings import FeatureSettings

#: Filters that PyRadiomics leaves out with no more than a note where a package is not installed.
_NEEDED = {"LBP2D": "skimage", "LBP3D": "trimesh"}

__all__ = ["quiet_pyradiomics", "read_parameters", "sequence_parameters"]


@contextmanager
def quiet_pyradiomics() -> Iterator[None]:
    """Keep PyRadiomics and its schema validator from printing: what matters is raised or recorded."""
    loggers = [logging.getLogger(name) for name in ("radiomics", "pykwalify")]
    before = [(logger, logger.propagate, list(logger.handlers)) for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.handlers = [logging.NullHandler()]
    try:
        with warnings.catch_warnings():
            # it divides by zero where a region is flat and handles the result itself;
            # its schema validator uses a deprecated import
            warnings.simplefilter("ignore", RuntimeWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for logger, propagate, handlers in before:
            logger.propagate = propagate
            logger.handlers = handlers


def read_parameters(path: Path) -> dict[str, Any]:
    """Read a PyRadiomics settings file.

    Parameters
    ----------
    path : Path
        YAML or JSON in the format of PyRadiomics (``setting``, ``imageType``,
        ``featureClass``).

    Returns
    -------
    dict
        As PyRadiomics takes it. Every ``sigma`` is a float, so that features
        are named ``log-sigma-1-0-mm-3D`` however the file writes it.

    Raises
    ------
    ConfigError
        The file is absent, no YAML, or refused by PyRadiomics.

    Examples
    --------
    >>> parameters = read_parameters(preset_path("iso1mm", "t1"))
    >>> parameters["setting"]["binCount"], parameters["imageType"]["LoG"]
    (32, {'sigma': [1.0, 2.0, 3.0]})
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"settings file {path.name} does not exist", "Check features.settings.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not valid YAML", "Check indentation and colons.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path.name} holds no settings", "Start from a file in configs/pyradiomics.")
    _validate(content, path.name)
    for part in (content.get("setting"), (content.get("imageType") or {}).get("LoG")):
        if part and part.get("sigma"):
            part["sigma"] = [float(sigma) for sigma in part["sigma"]]
    # a copy through JSON: what is hashed for the cache is what is used
    canonical: dict[str, Any] = json.loads(json.dumps(content))
    return canonical


def _validate(content: dict[str, Any], name: str) -> None:
    from pykwalify.errors import PyKwalifyException
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    try:
        with quiet_pyradiomics():
            RadiomicsFeatureExtractor(content)
    except PyKwalifyException as error:
        faults = str(error.msg).removeprefix("Schema validation failed:").replace("\n", " ").strip(" -.")
        raise ConfigError(f"{name} is refused by PyRadiomics: {faults}", "Correct the keys named.") from None
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{name} is refused by PyRadiomics: {error}", "Correct the value named.") from None
    for image, package in _NEEDED.items():
        if image in (content.get("imageType") or {}) and find_spec(package) is None:
            raise ConfigError(
                f"{name} asks for {image}, which needs the package {package}",
                "Install it, or take the image type out.",
            )


def sequence_parameters(settings: FeatureSettings, sequence: str) -> dict[str, Any]:
    """PyRadiomics settings that a study uses for one sequence.

    Raises
    ------
    ConfigError
        No such preset, a faulty file, a file that would normalize a second time, or one that
        cuts outliers of what is no z-score.
    """
    own: dict[str, Path] = {str(name): path for name, path in settings.settings.items()}
    path = own.get(sequence) or preset_path(settings.preset, sequence)
    parameters = read_parameters(path)
    if settings.normalize != "none" and (parameters.get("setting") or {}).get("normalize"):
        raise ConfigError(
            f"{path.name} says normalize: true, and the study normalizes by {settings.normalize} already",
            "Set normalize: false in the file, or features.normalize: none in the study.",
        )
    if settings.normalize in ("percentile", "nyul") and (parameters.get("setting") or {}).get(
        "removeOutliers"
    ):
        raise ConfigError(
            f"{path.name} says removeOutliers, which counts standard deviations: normalize:"
            f" {settings.normalize} has none",
            "Take it out, or normalize by body, image or reference.",
        )
    return parameters
