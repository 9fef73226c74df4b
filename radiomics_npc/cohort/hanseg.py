"""The layout of HaN-Seg: NRRD files by case, one mask a structure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.image_files import image_files, is_hidden
from radiomics_npc.cohort.regions import FoundCase, FoundImage, Structures
from radiomics_npc.cohort.sequence_names import named_sequence
from radiomics_npc.errors import CohortError

__all__ = ["find_hanseg", "hanseg_folders"]

_IMAGE = re.compile(r"(?P<case>.+?)_IMG_(?P<kind>.+)", re.IGNORECASE)
_MASK = re.compile(r"(?P<case>.+?)_OAR_(?P<name>.+)", re.IGNORECASE)
_ENDINGS = (".nrrd", ".nii.gz", ".nii", ".mha")


def hanseg_folders(root: Path) -> list[Path]:
    """Folders of the cases: within ``root``, or one folder deeper (the release has ``set_1``)."""
    for pattern in ("*", "*/*"):
        folders = [p for p in sorted(root.glob(pattern)) if p.is_dir() and not is_hidden(p)]
        if found := [p for p in folders if any(map(_IMAGE.fullmatch, image_files(p, _ENDINGS)[0]))]:
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
        Images passed over, files of one name; where the masks come from, if there is a CT.

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
    cases, findings, passed = [], [], set()
    for folder in folders:
        images: dict[str, Path] = {}
        structures = {}
        files, twins = image_files(folder, _ENDINGS, folder.name)
        findings += twins
        for stem, path in files.items():
            image, mask = _IMAGE.fullmatch(stem), _MASK.fullmatch(stem)
            if mask:
                structures[mask["name"]] = path
            elif image:
                kind = image["kind"]
                sequence = named_sequence(kind, names) or named_sequence(kind.upper().removeprefix("MR_"))
                if sequence is not None and sequence in images:
                    problem = f"{images[sequence].name} is taken; {path.name} would do as well"
                    remedy = "Say which in a manifest, or name one under cohort.sequence_names."
                    findings.append(Finding.warning(problem, remedy, folder.name, sequence))
                elif sequence is not None and sequence in sequences:
                    images[sequence] = path
                else:
                    passed.add(kind)
        chosen = {s: FoundImage(images[s], Structures(files=structures)) for s in sequences if s in images}
        cases.append(FoundCase(folder.name, chosen))
    return cases, [*findings, *_passed(passed)]


def _passed(kinds: set[str]) -> list[Finding]:
    findings = []
    if kinds:
        problem = f"images {', '.join(sorted(kinds))} passed over: no sequence that the study asks for"
        findings.append(Finding.info(problem))
    if any(kind.upper() == "CT" for kind in kinds):
        problem = "masks beside a CT were drawn on it, as those of HaN-Seg were"
        remedy = "They fit an MR only after registration; where the grids differ, the check says so."
        findings.append(Finding.warning(problem, remedy))
    return findings
