"""The layout of HaN-Seg: NRRD files by case, one mask a structure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.regions import FoundCase, FoundImage, Structures, file_stem
from radiomics_npc.cohort.sequence_names import named_sequence
from radiomics_npc.errors import CohortError

__all__ = ["find_hanseg", "hanseg_folders"]

_IMAGE = re.compile(r"(?P<case>.+?)_IMG_(?P<kind>.+)", re.IGNORECASE)
_MASK = re.compile(r"(?P<case>.+?)_OAR_(?P<name>.+)", re.IGNORECASE)
_ENDINGS = (".nrrd", ".nii.gz", ".nii", ".mha")


def hanseg_folders(root: Path) -> list[Path]:
    """Folders of the cases: within ``root``, or one folder deeper (the release has ``set_1``)."""
    for pattern in ("*", "*/*"):
        found = [p for p in sorted(root.glob(pattern)) if p.is_dir() and any(p.glob("*_IMG_*"))]
        if found:
            return found
    return []


def find_hanseg(
    root: Path, sequences: Sequence[str], names: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[FoundCase], list[Finding]]:
    """Find patients in the layout of HaN-Seg.

    Parameters
    ----------
    root : Path
        Holds ``case_NN/case_NN_IMG_MR_T1.nrrd`` and ``case_NN/case_NN_OAR_Parotid_L.seg.nrrd``, directly
        or in ``set_1``. Tumors drawn in addition are named alike: ``case_NN_OAR_GTVp.seg.nrrd``.
    sequences : sequence of str
        The ones wanted; others are passed over.
    names : mapping of str to sequence of str, optional
        What follows ``_IMG_`` or ``_IMG_MR_``, by sequence.

    Returns
    -------
    list of FoundCase
        In the order of their folders.
    list of Finding
        Images passed over; where the masks come from, if there is a CT.

    Raises
    ------
    CohortError
        There is no such folder.

    Notes
    -----
    The data set's own masks were drawn on the CT (Podobnik et al., Med Phys 2023): on the grid of the MR
    they need a registration, and the check says that the grids differ.
    """
    root = Path(root)
    folders = hanseg_folders(root)
    if not folders:
        raise CohortError(
            f"{root.name or 'the folder'} holds no cases in the layout of HaN-Seg",
            "Expected case_01/case_01_IMG_MR_T1.nrrd; otherwise write a manifest.",
        )
    cases, passed, scanned = [], set(), False
    for folder in folders:
        images, structures = {}, {}
        for path in sorted(p for p in folder.iterdir() if p.name.casefold().endswith(_ENDINGS)):
            image, mask = _IMAGE.fullmatch(file_stem(path)), _MASK.fullmatch(file_stem(path))
            if mask:
                structures[mask["name"]] = path
            elif image:
                kind = image["kind"]
                sequence = named_sequence(kind, names) or named_sequence(kind.upper().removeprefix("MR_"))
                if sequence in sequences and sequence not in images:
                    images[sequence] = path
                else:
                    passed.add(kind)
                    scanned = scanned or kind.upper() == "CT"
        chosen = {s: FoundImage(images[s], Structures(files=structures)) for s in sequences if s in images}
        cases.append(FoundCase(folder.name, chosen))
    findings = []
    if passed:
        problem = f"images {', '.join(sorted(passed))} passed over: no sequence that the study asks for"
        findings.append(Finding.info(problem))
    if scanned:
        problem = "masks beside a CT were drawn on it, as those of HaN-Seg were"
        remedy = "They fit an MR only after registration; where the grids differ, the check says so."
        findings.append(Finding.warning(problem, remedy))
    return cases, findings
