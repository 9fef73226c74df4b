"""What ran: versions, platform, seed and durations, for ``run.json`` and the report."""

from __future__ import annotations

import platform
from importlib import metadata

from radiomics_npc._version import __version__

__all__ = ["software_versions"]

_PACKAGES = (
    "numpy", "scipy", "pandas", "SimpleITK", "pyradiomics-bhklab", "pydicom", "lifelines",
    "scikit-learn", "scikit-survival", "xgboost-cpu", "xgboost", "statsmodels", "matplotlib", "torch",
)  # fmt: skip


def software_versions() -> dict[str, str]:
    """Versions of this package, of Python and of every library that makes numbers.

    Examples
    --------
    >>> software_versions()["radiomics-npc"] == __version__
    True
    """
    versions = {"radiomics-npc": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
