"""What speaks against a predicted mask, in short codes with a sentence and a remedy each.

A flag asks somebody to look; it removes nobody. The limits stand here, in one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.imaging.volume import Mask
from radiomics_npc.segmentation.overlap import count_overlap

__all__ = ["FLAGS", "Flag", "find_flags", "pairwise_dice", "touches_border", "volume_cm3"]

#: Smallest and largest plausible primary tumor: the published data set holds 0.3 to 90 cm3.
VOLUME_CM3: Final = (0.3, 90.0)
#: Mean probability inside the mask. A contour the network is sure of has above 0.9; at 0.75 as much lies
#: near the threshold as near 1.
LEAST_CONFIDENCE: Final = 0.75
#: Mean Dice between the masks of two members of the ensemble: about what two raters reach.
LEAST_MEMBER_DICE: Final = 0.7
#: Mean Dice between what two sequences show alone. Low, because T1 alone shows little: 0.2 to 0.3 is reached
#: where one of three sequences shows the tumor elsewhere and the other two agree.
LEAST_SEQUENCE_DICE: Final = 0.3


@dataclass(frozen=True)
class Flag:
    """One reason to look at a predicted mask.

    Parameters
    ----------
    code : str
        As it stands in tables.
    sentence : str
        What was seen.
    remedy : str
        What to do.
    """

    code: str
    sentence: str
    remedy: str


FLAGS: Final[dict[str, Flag]] = {
    flag.code: flag
    for flag in (
        Flag("empty", "no tumor was found", "Draw the tumor, or leave the patient out."),
        Flag(
            "implausible_volume",
            f"the tumor is smaller than {VOLUME_CM3[0]:g} or larger than {VOLUME_CM3[1]:g} cm3",
            "Check the contour: was normal mucosa or muscle taken for tumor, or most of it missed?",
        ),
        Flag(
            "low_confidence",
            f"the mean probability inside the mask is below {LEAST_CONFIDENCE:g}",
            "Check the border of the contour slice by slice.",
        ),
        Flag(
            "members_disagree",
            f"the networks of the ensemble agree to a Dice below {LEAST_MEMBER_DICE:g}",
            "Check the contour: the images may be unlike those of the training.",
        ),
        Flag(
            "sequences_disagree",
            f"what single sequences show agrees to a Dice below {LEAST_SEQUENCE_DICE:g}",
            "Check that all sequences show the same patient in the same position, then the contour.",
        ),
        Flag(
            "touches_border",
            "the mask touches the border of an image",
            "Check that the images cover the whole tumor.",
        ),
        Flag(
            "several_components",
            "the mask has several parts",
            "Check that no part is a lymph node or normal mucosa.",
        ),
        Flag(
            "edited",
            "the mask was changed or drawn by hand, and is kept as it is",
            "Delete the file to have it predicted again.",
        ),
    )
}


def find_flags(summary: Mapping[str, Any]) -> list[str]:
    """Codes of all that speaks against a prediction.

    Parameters
    ----------
    summary : mapping
        ``volume_cm3`` (by sequence), ``confidence``, ``member_agreement``, ``sequence_agreement`` (NaN
        where there is nothing to compare), ``touches_border`` (sequences), ``components``.

    Returns
    -------
    list of str
        Keys of :data:`FLAGS`; for an empty mask that alone.

    Examples
    --------
    >>> find_flags({"volume_cm3": {"t2": 0.1}, "confidence": 0.9, "member_agreement": 0.5,
    ...             "sequence_agreement": float("nan"), "touches_border": [], "components": 1})
    ['implausible_volume', 'members_disagree']
    """
    volumes = list(summary["volume_cm3"].values())
    if summary["components"] == 0 or not any(volumes):
        return ["empty"]
    found = {
        "implausible_volume": not all(VOLUME_CM3[0] <= volume <= VOLUME_CM3[1] for volume in volumes),
        "low_confidence": summary["confidence"] < LEAST_CONFIDENCE,
        # NaN is below nothing: one network, or one sequence, cannot disagree
        "members_disagree": summary["member_agreement"] < LEAST_MEMBER_DICE,
        "sequences_disagree": summary["sequence_agreement"] < LEAST_SEQUENCE_DICE,
        "touches_border": bool(summary["touches_border"]),
        "several_components": summary["components"] > 1,
    }
    return [code for code, seen in found.items() if seen]


def pairwise_dice(masks: Sequence[NDArray[np.bool_]]) -> float:
    """Mean Dice over all pairs of masks; NaN for fewer than two.

    Examples
    --------
    >>> a, b = np.array([True, True, False]), np.array([True, False, False])
    >>> round(pairwise_dice([a, a, b]), 3)
    0.778
    """
    scores = [count_overlap(a, b).dice for a, b in combinations(masks, 2)]
    return float(np.mean(scores)) if scores else float("nan")


def touches_border(mask: Mask) -> bool:
    """Whether a mask reaches the first or last slice, row or column of its image.

    Examples
    --------
    >>> array = np.zeros((3, 4, 4))
    >>> array[1, 1, 1] = 1
    >>> touches_border(Mask(array, (1.0, 1.0, 5.0))), touches_border(Mask(array[1:], (1.0, 1.0, 5.0)))
    (False, True)
    """
    return any(bool(mask.array.take([0, -1], axis=axis).any()) for axis in range(3))


def volume_cm3(mask: Mask) -> float:
    """Volume of a mask.

    Examples
    --------
    >>> volume_cm3(Mask(np.ones((10, 10, 10)), (1.0, 1.0, 1.0)))
    1.0
    """
    return int(np.count_nonzero(mask.array)) * mask.voxel_mm3 / 1000
