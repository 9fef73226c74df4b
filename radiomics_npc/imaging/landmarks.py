"""Intensity landmarks as a file: the standard scale of every sequence, and whom it was learnt from.

Whoever is held out must not have been among the images that the scale was learnt
from. The file holds no patient and no path, but a hash of every image, so that a
leak shows.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.cohort.regions import split_name
from radiomics_npc.errors import ConfigError
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.storage import content_key, write_json

__all__ = ["Landmarks", "StandardScale", "image_digest"]

_FORMAT = "radiomics_npc intensity landmarks"
_VERSION = 1


def image_digest(volume: Volume) -> str:
    """SHA-256 of how often each intensity occurs in an image.

    The same for an image in another format, with its axes flipped or in another
    order; intensities are taken in single precision. It is another one as soon
    as the image is cropped, resampled or rescaled.

    Examples
    --------
    >>> array = np.arange(24).reshape(2, 3, 4)
    >>> spacing = (1.0, 1.0, 5.0)
    >>> one, other = Volume(array, spacing), Volume(array[::-1].transpose(2, 1, 0).astype(float), spacing)
    >>> image_digest(one) == image_digest(other)
    True
    >>> image_digest(one) == image_digest(Volume(array + 1, spacing))
    False
    """
    array = volume.array
    if np.issubdtype(array.dtype, np.integer) and int(array.max()) - int(array.min()) < 2**16:
        low = int(array.min())
        counts = np.bincount(array.ravel().astype(np.int64) - low)
        values = np.flatnonzero(counts)
        counts, found = counts[values], (values + low).astype(np.float32)
    else:
        found, counts = np.unique(array.astype(np.float32) + np.float32(0), return_counts=True)
    digest = hashlib.sha256(found.astype("<f4").tobytes())
    digest.update(counts.astype("<i8").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class StandardScale:
    """Where the percentiles of one sequence are moved to.

    Parameters
    ----------
    percentiles : tuple of float
        Of the body, rising.
    standard : tuple of float
        Their places on the standard scale, rising; no unit.
    images : tuple of str
        Keyed hashes of the images it was learnt from, sorted.
    """

    percentiles: tuple[float, ...]
    standard: tuple[float, ...]
    images: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = np.array([self.percentiles, self.standard], dtype=float)
        if numbers.shape[1] < 2 or not np.isfinite(numbers).all() or (np.diff(numbers) <= 0).any():
            raise ConfigError(
                "percentiles and standard scale of the landmarks do not rise throughout",
                "Fit them on images with a range of intensities.",
            )
        if numbers[0, 0] < 0 or numbers[0, -1] > 100:
            raise ConfigError("percentiles of the landmarks lie outside 0 to 100")

    @property
    def recipe(self) -> dict[str, Any]:
        """All that intensities depend on, and from how many images it comes; plain JSON."""
        return {
            "percentiles": list(self.percentiles),
            "standard": list(self.standard),
            "images": len(self.images),
        }


@dataclass(frozen=True)
class Landmarks:
    """Standard scales by sequence, frozen, with hashes of the images they were learnt from.

    Parameters
    ----------
    scales : mapping of str to StandardScale
        By sequence.
    key : str
        Hexadecimal; the hashes are keyed by it, so that two files tell nothing of each other.
    bias_correction : bool
        Whether the images were corrected for bias first, as those that are normalized must be.
    simulated : bool
        Learnt from patients that never lived.

    Examples
    --------
    >>> scale = StandardScale((1.0, 50.0, 99.0), (0.0, 30.0, 100.0))
    >>> landmarks = Landmarks({"t1": scale}, key="00")
    >>> Landmarks.from_dict(landmarks.to_dict()) == landmarks
    True
    """

    scales: Mapping[str, StandardScale]
    key: str
    bias_correction: bool = False
    simulated: bool = False

    @staticmethod
    def keyed(digests: Iterable[str], key: str) -> tuple[str, ...]:
        """Hashes of images under the key of a file, sorted."""
        secret = bytes.fromhex(key)
        return tuple(sorted(hmac.new(secret, one.encode(), "sha256").hexdigest() for one in set(digests)))

    def scale(self, sequence: str) -> StandardScale:
        """Standard scale of a sequence.

        Raises
        ------
        ConfigError
            There is none.
        """
        plain = split_name(sequence)[0]
        found = self.scales.get(plain)
        if found is None:
            raise ConfigError(
                f"the landmarks hold no standard scale of {plain}"
                f" (they have {', '.join(sorted(self.scales)) or 'none'})",
                "Fit them with all sequences of the study.",
            )
        return found

    def knows(self, digest: str) -> bool:
        """Whether an image (by :func:`image_digest`) was among those that any scale was learnt from."""
        found = self.keyed([digest], self.key)[0]
        return any(found in scale.images for scale in self.scales.values())

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return content_key(self.to_dict())

    def recipe(self, sequence: str) -> dict[str, Any]:
        """What the features of one sequence depend on; plain JSON without hashes of images.

        Raises
        ------
        ConfigError
            There is no standard scale of the sequence.
        """
        return self.scale(sequence).recipe | {"simulated": self.simulated, "sha256": self.digest}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "simulated": self.simulated,
            "bias_correction": self.bias_correction,
            "key": self.key,
            "sequences": {
                name: {
                    "percentiles": list(scale.percentiles),
                    "standard": list(scale.standard),
                    "images": list(scale.images),
                }
                for name, scale in sorted(self.scales.items())
            },
        }

    @classmethod
    def from_dict(cls, content: Any) -> Landmarks:
        """Back from :meth:`to_dict`.

        Raises
        ------
        ConfigError
            The content is of another kind, or damaged.
        """
        if not isinstance(content, Mapping) or content.get("format") != _FORMAT:
            raise ConfigError("this is no file of intensity landmarks", "Fit landmarks, and name their file.")
        if content.get("version") != _VERSION:
            raise ConfigError(
                f"landmarks of version {content.get('version')} cannot be read",
                "Fit them again, or take the version of radiomics_npc that wrote them.",
            )
        try:
            scales = {
                str(name): StandardScale(
                    tuple(float(value) for value in scale["percentiles"]),
                    tuple(float(value) for value in scale["standard"]),
                    tuple(str(value) for value in scale["images"]),
                )
                for name, scale in content["sequences"].items()
            }
            bytes.fromhex(content["key"])
            return cls(scales, content["key"], bool(content["bias_correction"]), bool(content["simulated"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ConfigError("the file of intensity landmarks is damaged", "Fit them again.") from None

    def write(self, path: Path | str) -> None:
        """Write as JSON, all of it or nothing."""
        write_json(Path(path), self.to_dict())

    @classmethod
    def read(cls, path: Path | str) -> Landmarks:
        """Read what :meth:`write` wrote.

        Raises
        ------
        ConfigError
            The file is absent, of another kind, or damaged.
        """
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise ConfigError(
                f"landmarks file {path.name} does not exist",
                "Fit landmarks on patients who are not held out, and name their file in features.landmarks.",
            ) from None
        except (ValueError, OSError):
            raise ConfigError(f"{path.name} cannot be read as JSON", "Fit the landmarks again.") from None
        try:
            return cls.from_dict(content)
        except ConfigError as error:
            raise ConfigError(f"{path.name}: {error.message}", error.remedy) from None

    def to_frame(self) -> pd.DataFrame:
        """sequence, percentile, standard, images (their number), simulated."""
        rows = [
            {"sequence": name, "percentile": at, "standard": place, "images": len(scale.images)}
            for name, scale in sorted(self.scales.items())
            for at, place in zip(scale.percentiles, scale.standard, strict=True)
        ]
        return pd.DataFrame(rows).assign(simulated=self.simulated)

    def _repr_html_(self) -> str:
        simulated = "<p><b>simulated</b></p>" if self.simulated else ""
        return f"{simulated}{self.to_frame().round(1).to_html(index=False)}"
