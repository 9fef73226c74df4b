"""DICOM objects that hold contours: which file of a folder it is, and of which kind."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final, Literal

from radiomics_npc.errors import MaskError

__all__ = ["MaskKind", "find_mask_object", "is_dicom", "read_object"]

MaskKind = Literal["RTSTRUCT", "SEG"]

_KINDS: Final[dict[str, MaskKind]] = {
    "1.2.840.10008.5.1.4.1.1.481.3": "RTSTRUCT",
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.66.7": "SEG",  # label map
}
_EXPORT: Final = "Export it again."
_UNDEFINED: Final = 0xFFFFFFFF


def is_dicom(file: Path) -> bool:
    """Whether a file is DICOM by its content (PS3.10: DICM after 128 bytes).

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "RS"
    >>> _ = file.write_bytes(bytes(128) + b"DICM")
    >>> is_dicom(file)
    True
    """
    with file.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_object(file: Path, **options: Any) -> Any:
    """Read a DICOM file quietly.

    Parameters
    ----------
    file : Path
    **options
        Of :func:`pydicom.dcmread`.

    Returns
    -------
    pydicom.FileDataset

    Raises
    ------
    MaskError
        The file is no DICOM, damaged or truncated.
    """
    import pydicom

    try:
        with warnings.catch_warnings():
            # pydicom warns of odd values in elements that are not used here; what is used is checked
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(file, **options)
            raw = [header.get_item(tag) for tag in header.keys()]  # noqa: SIM118 - items are asked for unparsed
    except Exception as error:
        # damaged files make pydicom fail in many ways (EOFError, KeyError, ...): all mean the same
        raise MaskError(f"{file.name} is no DICOM file, or is damaged or truncated", _EXPORT) from error
    if any(map(_is_cut, raw)):
        raise MaskError(f"{file.name} is truncated", _EXPORT)
    return header


def _is_cut(element: Any) -> bool:
    """Whether the file ended within an element: pydicom takes the contours that are left without a word."""
    from pydicom.dataelem import RawDataElement

    if not isinstance(element, RawDataElement) or element.value is None or element.length == _UNDEFINED:
        return False
    return len(element.value) < element.length


def _kind(file: Path) -> MaskKind | None:
    if not is_dicom(file):
        return None
    header = read_object(file, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    return _KINDS.get(str(header.get("SOPClassUID", "")))


def find_mask_object(path: Path) -> tuple[Path, MaskKind]:
    """Find the one DICOM SEG or RTSTRUCT that a path means.

    Parameters
    ----------
    path : Path
        The file, or a folder that holds one; images beside it are passed over.

    Returns
    -------
    Path
    {"RTSTRUCT", "SEG"}

    Raises
    ------
    MaskError
        It is neither, or the folder holds none or several.
    """
    if not path.is_dir():
        kind = _kind(path)
        if kind is None:
            raise MaskError(
                f"{path.name} is neither a DICOM SEG nor an RTSTRUCT",
                "Give the file of the contours, not one of the image.",
            )
        return path, kind
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    found = [(file, kind) for file in files if (kind := _kind(file)) is not None]
    if not found:
        raise MaskError(
            f"{path.name} is a folder without a DICOM SEG or RTSTRUCT",
            "Give the mask as one of these, or as a NIfTI or NRRD file.",
        )
    if len(found) > 1:
        names = ", ".join(file.name for file, _ in found[:5])
        raise MaskError(
            f"folder {path.name} holds {len(found)} SEG and RTSTRUCT objects ({names})", "Name the file."
        )
    return found[0]
