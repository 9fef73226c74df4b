"""Where the files of a cohort lie: one way in to all layouts on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from radiomics_npc.cohort.bids import find_bids
from radiomics_npc.cohort.cases import Case
from radiomics_npc.cohort.dicom_tree import find_dicom
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.hanseg import find_hanseg, hanseg_folders
from radiomics_npc.cohort.manifest import read_manifest
from radiomics_npc.cohort.nnunet import find_nnunet, nnunet_folder
from radiomics_npc.cohort.published import find_published, holds_published, published_folder
from radiomics_npc.cohort.regions import FoundCase, FoundImage, Structures, assign_regions
from radiomics_npc.cohort.segrap import find_segrap, segrap_folders
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import CohortSettings

__all__ = ["LAYOUTS", "find_cases", "find_published", "guess_layout", "published_folder", "read_manifest"]

Found = tuple[list[FoundCase], list[Finding]]
Names = Mapping[str, Sequence[str]]
#: So many files are looked at before a folder counts as one without DICOM.
_LOOKED_AT = 300


def find_cases(settings: CohortSettings) -> tuple[list[Case], list[Finding]]:
    """Find the files of every patient.

    Parameters
    ----------
    settings : CohortSettings
        layout, path, sequences, sequence_names, regions, optional_regions.

    Returns
    -------
    list of Case
        Images by sequence, or by sequence and region (``t1-gtvp``) where the study has several regions.
    list of Finding
        What was passed over, guessed, or cannot be told apart.

    Raises
    ------
    CohortError
        Nothing is found in this layout.
    """
    if settings.layout == "clinical":
        return [], []
    assert settings.path is not None  # CohortSettings requires it for the other layouts
    regions, optional = settings.regions, settings.optional_regions
    if settings.layout == "manifest":
        return read_manifest(settings.path, settings.sequences, regions, optional)
    names: Names = {str(sequence): own for sequence, own in settings.sequence_names.items()}
    found, findings = LAYOUTS[settings.layout](settings.path, settings.sequences, names)
    cases, faults = assign_regions(found, regions, optional)
    return cases, findings + faults


def _published(root: Path, sequences: Sequence[str], names: Names) -> Found:
    cases, findings = find_published(root, sequences)
    found = [
        FoundCase(c.patient_id, {s: FoundImage(f.image, Structures(f.mask)) for s, f in c.images.items()})
        for c in cases
    ]
    return found, findings


LAYOUTS: dict[str, Callable[[Path, Sequence[str], Names], Found]] = {
    "published": _published,
    "dicom": find_dicom,
    "nnunet": find_nnunet,
    "bids": find_bids,
    "hanseg": find_hanseg,
    "segrap": find_segrap,
}


def guess_layout(root: Path) -> str:
    """Layout that a folder, or the table of a manifest, has.

    Parameters
    ----------
    root : Path

    Returns
    -------
    str
        A layout of :class:`radiomics_npc.settings.CohortSettings`; ``dicom`` for any folders with DICOM
        files that are in none of the others.

    Raises
    ------
    CohortError
        It is none of them.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "case_01").mkdir()
    >>> (root / "case_01" / "case_01_IMG_MR_T1.nrrd").touch()
    >>> guess_layout(root)
    'hanseg'
    """
    root = Path(root)
    if root.is_file():
        return "manifest"
    if not root.is_dir():
        raise CohortError(f"the folder {root.name} does not exist", "Check the path.")
    if _is_nnunet(root):
        return "nnunet"
    if any(path.is_dir() for path in root.glob("sub-*")):
        return "bids"
    for layout, told in (
        ("hanseg", hanseg_folders),
        ("segrap", segrap_folders),
        ("published", holds_published),
    ):
        if told(root):
            return layout
    if any(map(_is_dicom, _first_files(root))):
        return "dicom"
    raise CohortError(
        f"{root.name or 'the folder'} is in no known layout",
        "Known are the published one, nnU-Net, BIDS, HaN-Seg, SegRap and folders of DICOM files; "
        "otherwise write a manifest by hand (see configs/manifest_template.csv).",
    )


def _is_nnunet(root: Path) -> bool:
    try:
        nnunet_folder(root)
    except CohortError as error:
        return "several data sets" in error.message
    return True


def _first_files(root: Path) -> Iterator[Path]:
    count = 0
    for folder, inner, names in os.walk(root):
        inner.sort()
        for name in sorted(names):
            yield Path(folder) / name
            count += 1
            if count >= _LOOKED_AT:
                return


def _is_dicom(path: Path) -> bool:
    if path.suffix.casefold() == ".dcm":
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"
