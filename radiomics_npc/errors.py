"""Every error and warning class of the package.

A message says what is wrong, where (patient, sequence, file name, column) and
what to do. It never holds a patient's row or an absolute path.
"""

__all__ = [
    "CheckFailedError",
    "CohortError",
    "ConfigError",
    "DownloadError",
    "ExtractionError",
    "HorizonError",
    "ImageError",
    "MaskError",
    "ModelFileError",
    "RadiomicsNPCError",
    "RegionAbsentError",
]


class RadiomicsNPCError(Exception):
    """Base of all errors raised on purpose by radiomics_npc.

    Parameters
    ----------
    message : str
        What is wrong and where.
    remedy : str, optional
        What the user can do about it, as one sentence.

    Examples
    --------
    >>> str(RadiomicsNPCError("mask is empty", remedy="Draw the tumor and save the mask again."))
    'mask is empty. Draw the tumor and save the mask again.'
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message.rstrip(".")
        self.remedy = remedy
        super().__init__(message, remedy)

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}".strip() if self.remedy else f"{self.message}."


class ConfigError(RadiomicsNPCError):
    """The study file or another setting is wrong."""


class CohortError(RadiomicsNPCError):
    """The manifest, the clinical table or the outcome is wrong."""


class CheckFailedError(CohortError):
    """The check found errors, so nothing was run."""


class DownloadError(RadiomicsNPCError):
    """A data set cannot be downloaded, or what came is not what its record says."""


class ImageError(RadiomicsNPCError):
    """An image cannot be read or its geometry cannot be trusted."""


class MaskError(RadiomicsNPCError):
    """A mask cannot be read, is empty, or does not fit its image."""


class RegionAbsentError(MaskError):
    """A sound mask does not hold the region asked for: nothing is drawn, or the label does not occur.

    Where the region is optional (a patient without involved nodes has none) it is no fault.
    """


class ExtractionError(RadiomicsNPCError):
    """Features of one case could not be computed."""


class HorizonError(RadiomicsNPCError):
    """A time horizon lies where the follow-up cannot support it."""


class ModelFileError(RadiomicsNPCError):
    """A model file is damaged, altered, or not one of ours."""
