"""How many voxels two masks share: Dice, Jaccard, sensitivity, precision, volume error.

Where both masks are empty they agree, and every score is 1. Where one alone is
empty nothing is shared, and every score is 0: a tumor that was missed, or found
where there is none, pulls a mean over patients down instead of dropping out of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiomics_npc.errors import MaskError

__all__ = ["Overlap", "count_overlap"]


@dataclass(frozen=True)
class Overlap:
    """Voxels of two masks on one grid, and the scores that follow from them.

    Parameters
    ----------
    shared, predicted, reference : int
        Voxels in both masks, in the predicted one, in the reference.

    References
    ----------
    Taha AA, Hanbury A. Metrics for evaluating 3D medical image segmentation:
    analysis, selection, and tool. BMC Med Imaging 2015;15:29.

    Examples
    --------
    >>> found = Overlap(shared=60, predicted=80, reference=120)
    >>> found.dice, found.jaccard.__round__(3), found.sensitivity, found.precision
    (0.6, 0.429, 0.5, 0.75)
    """

    shared: int
    predicted: int
    reference: int

    def _score(self, shared: int, of: int) -> float:
        if self.predicted == self.reference == 0:
            return 1.0
        return shared / of if of else 0.0

    @property
    def dice(self) -> float:
        """Shared voxels twice, as a share of those of both masks added."""
        return self._score(2 * self.shared, self.predicted + self.reference)

    @property
    def jaccard(self) -> float:
        """Shared voxels as a share of those in either mask."""
        return self._score(self.shared, self.predicted + self.reference - self.shared)

    @property
    def sensitivity(self) -> float:
        """Share of the reference that was found."""
        return self._score(self.shared, self.reference)

    @property
    def precision(self) -> float:
        """Share of the prediction that lies in the reference."""
        return self._score(self.shared, self.predicted)

    @property
    def volume_error_percent(self) -> float:
        """Predicted minus reference volume, as percent of the reference.

        0 where both are empty, infinite where the reference alone is.
        """
        if self.reference == 0:
            return float("inf") if self.predicted else 0.0
        return 100.0 * (self.predicted - self.reference) / self.reference


def count_overlap(predicted: NDArray[np.bool_], reference: NDArray[np.bool_]) -> Overlap:
    """Count the voxels of two masks and those they share.

    Parameters
    ----------
    predicted, reference : array of bool, of one shape

    Returns
    -------
    Overlap

    Raises
    ------
    MaskError
        The shapes differ.

    Examples
    --------
    >>> count_overlap(np.array([True, True, False]), np.array([True, False, False])).dice.__round__(3)
    0.667
    """
    if predicted.shape != reference.shape:
        raise MaskError(
            f"masks of shapes {predicted.shape} and {reference.shape} cannot be compared",
            "Bring both onto the grid of the image.",
        )
    shared = int(np.count_nonzero(predicted & reference))
    return Overlap(shared, int(np.count_nonzero(predicted)), int(np.count_nonzero(reference)))
