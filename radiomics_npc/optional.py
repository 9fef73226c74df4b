"""Libraries that only a part of the package needs, and how to get them."""

from __future__ import annotations

from importlib.util import find_spec

from radiomics_npc.errors import ConfigError

__all__ = ["require_torch"]


def require_torch() -> None:
    """Refuse in words, before anything is done, where torch or safetensors is not installed.

    Raises
    ------
    ConfigError
        One of them is absent.

    Examples
    --------
    >>> require_torch()
    """
    absent = [name for name in ("torch", "safetensors") if find_spec(name) is None]
    if absent:
        raise ConfigError(
            f"contours are predicted and learnt with torch, and {' and '.join(absent)} is not installed",
            'Install it: pip install "radiomics-npc[segmentation]".',
        )
