"""Histogram landmarks as a scikit-learn transformer, for folds of one's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.imaging.bias_field import correct_bias
from radiomics_npc.imaging.normalize import body_mask
from radiomics_npc.imaging.nyul import ENDS, PERCENTILES, fit_landmarks, normalize_nyul
from radiomics_npc.imaging.volume import Volume

__all__ = ["NyulScaler"]


class NyulScaler(TransformerMixin, BaseEstimator):
    """Standardize the intensities of one sequence by landmarks that are learnt in ``fit`` alone.

    Nyul LG, Udupa JK, Zhang X. IEEE Trans Med Imaging 2000;19:143-150.

    Parameters
    ----------
    percentiles : tuple of float
        Of the body.
    ends : tuple of two floats
        Places of the first and the last percentile on the standard scale.
    bias_correction : bool
        Correct every image for bias first, those of ``fit`` and of ``transform``.

    Attributes
    ----------
    landmarks_ : Landmarks
        Of one sequence, under the name "image".

    Examples
    --------
    Fitted on the training fold, so that patients held out have no part in the scale:

    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> rng = np.random.default_rng(0)
    >>> array = np.zeros((4, 3, 20, 20))
    >>> array[:, :, 5:15, 5:15] = rng.gamma(9, 20, (4, 3, 10, 10)) + 100
    >>> volumes = [Volume(gain * one, (1.0, 1.0, 5.0)) for gain, one in zip((1, 3, 7, 20), array)]
    >>> for training, held_out in KFold(2).split(volumes):
    ...     scaler = NyulScaler().fit(volumes[k] for k in training)
    ...     tissue = [v.array[:, 5:15, 5:15] for v in scaler.transform(volumes[k] for k in held_out)]
    ...     print([round(float(np.median(one))) for one in tissue])
    [39, 39]
    [38, 38]
    """

    def __init__(
        self,
        percentiles: tuple[float, ...] = PERCENTILES,
        ends: tuple[float, float] = ENDS,
        bias_correction: bool = False,
    ) -> None:
        self.percentiles = percentiles
        self.ends = ends
        self.bias_correction = bias_correction

    def fit(self, X: Iterable[Volume], y: Any = None) -> NyulScaler:
        """Learn the standard scale.

        Parameters
        ----------
        X : iterable of Volume
            Images of training patients.
        y : ignored
        """
        self.landmarks_ = fit_landmarks(
            X, "image", percentiles=self.percentiles, ends=self.ends, bias_correction=self.bias_correction
        )
        return self

    def transform(self, X: Iterable[Volume]) -> list[Volume]:
        """Put images on the standard scale that was learnt."""
        check_is_fitted(self)
        return [self._one(volume) for volume in X]

    def _one(self, volume: Volume) -> Volume:
        body = body_mask(volume)
        ready = correct_bias(volume, body)[0] if self.bias_correction else volume
        return normalize_nyul(ready, self.landmarks_.scale("image"), body=body)
