"""Where networks run, and in which precision."""

from __future__ import annotations

import torch

from radiomics_npc.errors import ConfigError

__all__ = ["choose_device", "uses_bf16"]


def choose_device(device: str = "auto") -> torch.device:
    """The device to compute on.

    Parameters
    ----------
    device : {"auto", "cuda", "mps", "cpu"}
        ``"auto"`` takes the first of cuda, mps, cpu that is there.

    Raises
    ------
    ConfigError
        The device is not there, or of another name.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(name for name, usable in there.items() if usable))
    if not there.get(device, False):
        usable = ", ".join(name for name, found in there.items() if found)
        raise ConfigError(f"device {device} cannot be used here", f"Take auto, or one of: {usable}.")
    return torch.device(device)


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Whether a precision means 16-bit multiplication on a device.

    Examples
    --------
    >>> uses_bf16("fp32", torch.device("cpu")), uses_bf16("bf16", torch.device("cpu"))
    (False, True)
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # elsewhere bf16 is emulated, hence slow
    return device.type == "cpu" and native is not None and bool(native())
