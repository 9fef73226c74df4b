"""The layout of SegRap: a folder a case, images and structures under plain names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.image_files import image_files, is_hidden
from radiomics_npc.cohort.regions import FoundCase, FoundImage, Structures
from radiomics_npc.cohort.sequence_names import named_sequence
from radiomics_npc.cohort.tables import plain
from radiomics_npc.errors import CohortError

__all__ = ["find_segrap", "segrap_folders"]

_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
#: By these names alone, an image is taken for the sequence that shows the same: without and with contrast.
_BARE = {"image": "t1", "imagecontrast": "ce_t1"}


def segrap_folders(root: Path) -> list[Path]:
    """Folders of the cases: within ``root``, or one folder deeper."""
    for pattern in ("*", "*/*"):
        folders = [path for path in sorted(root.glob(pattern)) if path.is_dir() and not is_hidden(path)]
        if found := [p for p in folders if any(map(_is_image, image_files(p, _ENDINGS)[0]))]:
            return found
    return []


def _is_image(stem: str) -> bool:
    return plain(stem).startswith("image")


def find_segrap(
    root: Path, sequences: Sequence[str], names: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[FoundCase], list[Finding]]:
    """Find patients in the layout of SegRap.

    Parameters
    ----------
    root : Path
        Holds ``segrap_0001/image.nii.gz``, ``image_contrast.nii.gz`` and one file a structure
        (``GTVp.nii.gz``, ``GTVnd.nii.gz``, ...); further sequences are named ``image_t2.nii.gz``.
    sequences : sequence of str
        The ones wanted; others are passed over.
    names : mapping of str to sequence of str, optional
        Names of image files, by sequence.

    Returns
    -------
    list of FoundCase
        In the order of their folders. All structures serve all images of a case.
    list of Finding
        Files of one name; that ``image`` was taken for T1 and ``image_contrast`` for CE-T1, if no name says
        so.

    Raises
    ------
    CohortError
        There is no such folder.

    Notes
    -----
    The images of SegRap itself are CT (Luo et al., Med Image Anal 2025). This layout is for MR that a group
    keeps in the same way; CT values would be measured with settings made for MR.
    """
    root = Path(root)
    folders = segrap_folders(root)
    if not folders:
        raise CohortError(
            f"{root.name or 'the folder'} holds no cases in the layout of SegRap",
            "Expected segrap_0001/image_contrast.nii.gz and GTVp.nii.gz; otherwise write a manifest.",
        )
    cases, findings, guessed = [], [], set()
    for folder in folders:
        images: dict[str, Path] = {}
        structures = {}
        files, twins = image_files(folder, _ENDINGS, folder.name)
        findings += twins
        for stem, path in files.items():
            sequence = _sequence(stem, names)
            if sequence is None and not _is_image(stem):
                structures[stem] = path
            elif sequence is not None and sequence in images:
                problem = f"{images[sequence].name} is taken; {path.name} would do as well"
                remedy = "Say which in a manifest, or name one under cohort.sequence_names."
                findings.append(Finding.warning(problem, remedy, folder.name, sequence))
            elif sequence is not None and sequence in sequences:
                images[sequence] = path
                if plain(stem) in _BARE and named_sequence(stem, names) is None:
                    guessed.add(f"{stem} for {sequence}")
        chosen = {s: FoundImage(images[s], Structures(files=structures)) for s in sequences if s in images}
        cases.append(FoundCase(folder.name, chosen))
    if not guessed:
        return cases, findings
    problem = f"by their names alone, {' and '.join(sorted(guessed))} are taken"
    remedy = (
        "The images of SegRap itself are CT, for which the settings are not made; "
        "say what yours are under cohort.sequence_names."
    )
    return cases, [*findings, Finding.warning(problem, remedy)]


def _sequence(stem: str, names: Mapping[str, Sequence[str]] | None) -> str | None:
    return (
        named_sequence(stem, names)
        or named_sequence(plain(stem).removeprefix("image"))
        or _BARE.get(plain(stem))
    )
