"""Files of a training run: whole or not there, and never a pickle."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from radiomics_npc.errors import ModelFileError
from radiomics_npc.storage import write_bytes, write_text

__all__ = ["Checkpoint", "digest", "read_checkpoint", "write_checkpoint", "write_rows"]


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a CSV whose columns are the keys of the first row; numbers to six digits."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}
        for row in rows
    )
    write_text(path, stream.getvalue())


def digest(parts: bytes | Iterable[str]) -> str:
    """SHA-256 of bytes, or of texts in their order.

    Examples
    --------
    >>> digest(["a", "b"]) == digest(["b", "a"])
    False
    """
    content = parts if isinstance(parts, bytes) else json.dumps(list(parts)).encode()
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a training stands.

    Parameters
    ----------
    tensors : dict of Tensor
        Weights, their moving average and the moments of the optimizer.
    state : dict
        Plain JSON: step, settings, data.
    """

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write tensors and state as one safetensors file, the state as JSON in its header.

    One file, because two could be of different steps after a power cut.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()}
    state = json.dumps(checkpoint.state, sort_keys=True, allow_nan=False)
    write_bytes(path, save(tensors, metadata={"state": state}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what :func:`write_checkpoint` wrote.

    Raises
    ------
    ModelFileError
        The file is absent, damaged, or of something else.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as stored:
            state = json.loads((stored.metadata() or {})["state"])
            return Checkpoint({name: stored.get_tensor(name) for name in stored.keys()}, state)  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelFileError(
            f"{path.name} of folder {path.parent.name} is no readable checkpoint",
            "Remove the folder and train again.",
        ) from error
