"""One image under two names: found by its voxels, whatever its files are called and packed in."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.tables import name_patients
from radiomics_npc.imaging.volume import Volume

__all__ = ["find_duplicates", "voxel_digest"]


def voxel_digest(image: Volume) -> str:
    """SHA-256 of voxels, their number and their spacing; the same for a series and its NIfTI copy.

    Two images that differ by a flip, a crop or a rounding are two images.

    Examples
    --------
    >>> array = np.arange(8).reshape(2, 2, 2)
    >>> one, other = Volume(array, (1, 1, 5)), Volume(array.astype(float), (1, 1, 5))
    >>> voxel_digest(one) == voxel_digest(other), voxel_digest(one) == voxel_digest(Volume(array, (1, 1, 6)))
    (True, False)
    """
    place = [*image.array.shape, *(f"{side:.4f}" for side in image.spacing_mm)]
    digest = hashlib.sha256(repr(place).encode())
    digest.update(np.ascontiguousarray(image.array, dtype=np.float32).data)
    return digest.hexdigest()


def find_duplicates(images: Iterable[tuple[str, str, str]]) -> list[Finding]:
    """Say which images occur twice.

    Parameters
    ----------
    images : iterable of (patient_id, sequence, digest)

    Returns
    -------
    list of Finding
        Warnings: two sequences of a patient that are one image, and an image that several patients have.

    Examples
    --------
    >>> images = [("001", "t1", "a"), ("001", "t2", "b"), ("007", "t1", "a"), ("007", "t2", "b")]
    >>> [f.problem for f in find_duplicates(images)]
    ['the images t1, t2 are those of patient 001']
    """
    where: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for patient, sequence, digest in sorted(images):
        where[digest].setdefault(patient, []).append(sequence)
    findings = []
    shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for found in where.values():
        for patient, sequences in found.items():
            if len(sequences) > 1:
                problem = f"{' and '.join(sequences)} are one and the same image"
                remedy = "Check which sequence it is, and find the other."
                findings.append(Finding.warning(problem, remedy, patient, sequences[0]))
        if len(found) > 1:
            shared[tuple(found)].append(next(iter(found.values()))[0])
    for (first, *others), sequences in shared.items():
        for patient in others:
            many = f"s {', '.join(sequences)} are" if len(sequences) > 1 else f" {sequences[0]} is"
            those = "those" if len(sequences) > 1 else "that"
            problem = f"the image{many} {those} of patient {name_patients([first])}"
            remedy = (
                "One patient twice, or files of another patient? Twice in a study, they are in two folds."
            )
            findings.append(Finding.warning(problem, remedy, patient))
    return findings
