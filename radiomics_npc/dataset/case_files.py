"""Files of every case in a folder: masks as nnU-Net, SegRap and HaN-Seg keep them, and images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from radiomics_npc.cohort.regions import Structures, file_stem
from radiomics_npc.errors import CohortError
from radiomics_npc.imaging.dicom_objects import is_dicom

__all__ = ["MAPS", "find_case_masks", "find_image"]

#: Endings of label maps.
MAPS: Final = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_IMAGE: Final = re.compile(r"(.+_IMG_.+|image([-_].*)?|.+_\d{4})", re.IGNORECASE)
_ORGAN: Final = re.compile(r"(.+?)_OAR_(?P<name>.+)", re.IGNORECASE)
_PARTS: Final = ("labelsTr", "labelsTs")


def find_case_masks(root: Path) -> dict[str, Structures]:
    """Find the masks of every case in a folder.

    Parameters
    ----------
    root : Path
        Holds ``CASE.nii.gz`` (or NRRD, MetaImage, ``.dcm``), or a folder a case with a mask file a class
        (``segrap_0001/GTVp.nii.gz``, ``case_01/case_01_OAR_Parotid_L.seg.nrrd``), one label map, or a DICOM
        SEG or RTSTRUCT; images among them are passed over. Also a data set of nnU-Net (``labelsTr`` and
        ``labelsTs`` are read), and a folder with nothing but such a folder (``set_1``).

    Returns
    -------
    dict of str to Structures
        By case, in their order.

    Raises
    ------
    CohortError
        The folder is absent or holds no masks, or a case is there twice.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("segrap_0001/GTVp.nii.gz", "segrap_0001/image.nii.gz", "segrap_0002.nii.gz"):
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> [(case, found.names) for case, found in find_case_masks(root).items()]
    [('segrap_0001', ['GTVp']), ('segrap_0002', [])]
    """
    root = Path(root)
    if not root.is_dir():
        what = "is no folder" if root.exists() else "does not exist"
        raise CohortError(f"{root.name} {what}", "Name the folder that holds the masks of all cases.")
    parts = [root / part for part in _PARTS if (root / part).is_dir()]
    found = _of_folders(parts or [root])
    inner = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    if not found and len(inner) == 1:
        found = _of_folders(inner)
    if not found:
        raise CohortError(
            f"{root.name} holds no masks", "Expected CASE.nii.gz, or a folder a case with a file a class."
        )
    return found


def _of_folders(roots: Iterable[Path]) -> dict[str, Structures]:
    found: dict[str, Structures] = {}
    for path in sorted(path for root in roots for path in root.iterdir()):
        if path.name.startswith("."):
            continue
        masks = _of_case(path) if path.is_dir() else _of_file(path)
        if masks is None:
            continue
        case = path.name if path.is_dir() else file_stem(path)
        if case in found:
            raise CohortError(f"there are two masks of the case {case}", "Remove one.")
        found[case] = masks
    return found


def _of_file(path: Path) -> Structures | None:
    if path.name.casefold().endswith(MAPS):
        return Structures(path)
    return Structures(path) if path.suffix.casefold() == ".dcm" and is_dicom(path) else None


def _of_case(folder: Path) -> Structures | None:
    inside = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    files = {
        _structure(path, folder.name): path
        for path in inside
        if path.name.casefold().endswith(MAPS) and not _IMAGE.fullmatch(file_stem(path))
    }
    if files:
        return Structures(files=files)
    return Structures(folder) if any(is_dicom(path) for path in inside) else None


def _structure(path: Path, case: str) -> str:
    """Name of a structure, without that of its case."""
    stem = file_stem(path)
    organ = _ORGAN.fullmatch(stem)
    return organ["name"] if organ else stem.removeprefix(f"{case}_")


def find_image(root: Path, case: str) -> Path | None:
    """Find the image that contours of a case lie on.

    Parameters
    ----------
    root : Path
        Holds ``CASE.nii.gz``, ``CASE_0000.nii.gz`` (the first channel of nnU-Net), or a folder ``CASE`` with
        a DICOM series or one image file; also within ``imagesTr`` and ``imagesTs``.
    case : str

    Returns
    -------
    Path or None

    Raises
    ------
    CohortError
        The folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "npc_1_0000.nii.gz").touch()
    >>> find_image(root, "npc_1").name, find_image(root, "npc_2")
    ('npc_1_0000.nii.gz', None)
    """
    if not root.is_dir():
        raise CohortError(
            f"{root.name} does not exist", "Name the folder that holds the images of all cases."
        )
    for folder in (root, root / "imagesTr", root / "imagesTs"):
        files = [path for path in sorted(folder.iterdir()) if path.is_file()] if folder.is_dir() else []
        for name in (case, f"{case}_0000"):
            for path in files:
                if file_stem(path) == name and path.name.casefold().endswith(MAPS):
                    return path
    inner = root / case
    if not inner.is_dir():
        return None
    images = [path for path in sorted(inner.iterdir()) if path.name.casefold().endswith(MAPS)]
    named = [path for path in images if file_stem(path).casefold().startswith("image")]
    return next(iter(named or images), inner)
