"""What ITK reads of NIfTI files without a word: zeros for what was cut off, and for what is no number."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError

__all__ = ["not_finite", "require_whole_nifti"]

_HEADER_BYTES = 540
#: Types of NIfTI-1 that can hold values that are no numbers.
_FLOATS = {16: "f4", 64: "f8"}
_CHUNK_BYTES = 1 << 20


def require_whole_nifti(file: Path) -> None:
    """Refuse a NIfTI file that ends before its last voxel.

    Parameters
    ----------
    file : Path
        ``.nii`` or ``.nii.gz``.

    Raises
    ------
    ImageError
        The file is too short for the size its header tells, or its compressed
        content breaks off.

    Notes
    -----
    The length of a compressed file is taken from its last four bytes (RFC 1952);
    only where they disagree is the whole content unpacked.
    """
    remedy = "Export, download or convert it again."
    packed = file.name.lower().endswith(".gz")
    try:
        with gzip.open(file) if packed else file.open("rb") as stream:
            header = stream.read(_HEADER_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise ImageError(f"{file.name} cannot be read: it is damaged or truncated", remedy) from error
    wanted = _whole_bytes(header)
    if wanted is None:
        raise ImageError(f"{file.name} cannot be read: it is no NIfTI file", remedy)
    held = _packed_bytes(file, wanted) if packed else file.stat().st_size
    if held < wanted:
        share = 100 * held / wanted
        raise ImageError(f"{file.name} cannot be read: it is truncated ({share:.0f}% is there)", remedy)


def not_finite(file: Path) -> NDArray[np.bool_] | None:
    """Which voxels are stored as values that are not finite, in the order of the file.

    Parameters
    ----------
    file : Path
        A whole ``.nii`` or ``.nii.gz``.

    Returns
    -------
    array of bool, shape (voxels,)
        None where the type of the file has no such values, or none is there.
    """
    with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
        header = stream.read(_HEADER_BYTES)
        order = "<" if struct.unpack_from("<i", header)[0] == 348 else ">"
        (kind,) = struct.unpack_from(f"{order}h", header, 70)
        (offset,) = struct.unpack_from(f"{order}f", header, 108)
        if kind not in _FLOATS:
            return None
        count = math.prod(n for n in struct.unpack_from(f"{order}7h", header, 42) if n > 0)
        stored = np.dtype(order + _FLOATS[kind])
        stream.seek(int(offset))
        finite = np.isfinite(np.frombuffer(stream.read(count * stored.itemsize), stored))
    return None if finite.all() else ~finite


def _whole_bytes(header: bytes) -> int | None:
    """Bytes a NIfTI file needs, by its header (NIfTI-1 or 2, either byte order); None for another file."""
    if len(header) < 348:
        return None
    for order in "<>":
        (size,) = struct.unpack_from(f"{order}i", header)
        if size == 348:
            dim = struct.unpack_from(f"{order}8h", header, 40)
            (bits,) = struct.unpack_from(f"{order}h", header, 72)
            (offset,) = struct.unpack_from(f"{order}f", header, 108)
        elif size == 540 and len(header) >= 540:
            (bits,) = struct.unpack_from(f"{order}h", header, 14)
            dim = struct.unpack_from(f"{order}8q", header, 16)
            (offset,) = struct.unpack_from(f"{order}q", header, 168)
        else:
            continue
        if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1 or not math.isfinite(offset):
            return None
        return int(offset) + math.prod(dim[1 : dim[0] + 1]) * bits // 8
    return None


def _packed_bytes(file: Path, wanted: int) -> int:
    with file.open("rb") as stream:
        stream.seek(-4, 2)
        (last,) = struct.unpack("<I", stream.read(4))
    if last == wanted % (1 << 32):
        return wanted
    held = 0
    try:
        with gzip.open(file) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                held += len(chunk)
    except (OSError, EOFError, zlib.error):
        # broken off: what could be unpacked was not the whole
        return min(held, wanted - 1)
    return held
