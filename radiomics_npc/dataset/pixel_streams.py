"""Pixels and nothing beside them: no bytes behind the last one, no comments in compressed streams."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import get_expected_length

from radiomics_npc.errors import ImageError

__all__ = ["settle_pixels", "without_comments"]

_EXPORT: Final = "Export it again."
_NAMES: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
#: Segments that decoding needs: JFIF, the color transforms of HP and Adobe.
_NEEDED: Final = (b"JFIF\0", b"mrfx", b"Adobe")
_MOST_OFFSET: Final = 2**32 - 1


def settle_pixels(source: Dataset, cleaned: Dataset) -> None:
    """Leave one pixel attribute, of the length that rows, columns and frames say.

    Raises
    ------
    ImageError
        Pixels are missing.
    """
    names = [name for name in _NAMES if name in cleaned]
    for name in names[1:]:
        del cleaned[name]
    if not names:
        return
    element = cleaned[names[0]]
    if source.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = int(source.get("NumberOfFrames") or 1)
        # a frame may lie in several fragments
        streams = [without_comments(f) for f in generate_frames(element.value, number_of_frames=frames)]
        if len(streams) != frames:
            raise ImageError("damaged: frames are missing", _EXPORT)
        total = sum(len(stream) + 9 for stream in streams)
        element.value = encapsulate(streams, has_bot=total < _MOST_OFFSET)
        return
    wanted = get_expected_length(source)
    if len(element.value) < wanted:
        raise ImageError("truncated: pixels are missing", _EXPORT)
    if len(element.value) > wanted + wanted % 2:
        element.value = element.value[:wanted] + b"\0" * (wanted % 2)


def without_comments(stream: bytes) -> bytes:
    """Blank comments and application segments of JPEG, JPEG-LS and JPEG 2000, and drop what follows the end.

    Parameters
    ----------
    stream : bytes
        One frame. Other kinds (RLE) are returned as they are.

    Returns
    -------
    bytes
        It decodes to the same pixels.

    Examples
    --------
    >>> without_comments(b"\\xff\\xd8\\xff\\xfe\\x00\\x05abc\\xff\\xd9behind")
    b'\\xff\\xd8\\xff\\xfe\\x00\\x05\\x00\\x00\\x00\\xff\\xd9'
    """
    if stream[:2] not in (b"\xff\xd8", b"\xff\x4f"):
        return stream
    found = bytearray(stream)
    at = 2
    while at + 4 <= len(found) and found[at] == 0xFF:
        marker = found[at + 1]
        if marker in (0xDA, 0xD9, 0x90):  # start of scan, end, start of a tile-part
            break
        if marker == 0xFF:
            at += 1
            continue
        end = at + 2 + int.from_bytes(found[at + 2 : at + 4], "big")
        if _is_comment(marker, bytes(found[at + 4 : at + 9])):
            found[at + 4 : end] = bytes(min(end, len(found)) - at - 4)
        at = end
    last = found.find(b"\xff\xd9", at)
    return bytes(found if last < 0 else found[: last + 2])


def _is_comment(marker: int, start: bytes) -> bool:
    if marker in (0xFE, 0x64):  # COM of JPEG, of JPEG 2000
        return True
    return 0xE0 <= marker <= 0xEF and not start.startswith(_NEEDED)
