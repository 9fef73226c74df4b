"""One sequence of one patient as a job of a worker process: its content key, its values, its failure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from radiomics_npc.cohort.cases import ImageFiles, Label
from radiomics_npc.cohort.regions import split_name
from radiomics_npc.errors import (
    ConfigError,
    ExtractionError,
    ImageError,
    MaskError,
    RadiomicsNPCError,
    RegionAbsentError,
)
from radiomics_npc.features.measure import measure_case
from radiomics_npc.features.parameters import sequence_parameters
from radiomics_npc.imaging.bias_field import BIAS_CORRECTION
from radiomics_npc.imaging.itk_threads import one_itk_thread
from radiomics_npc.imaging.landmarks import Landmarks
from radiomics_npc.imaging.reading import read_pair
from radiomics_npc.imaging.reference_tissue import read_reference, require_reference
from radiomics_npc.imaging.stored_files import stored_files
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.storage import FeatureStore, content_key, file_digest

__all__ = [
    "CaseJob",
    "case_key",
    "describe_failure",
    "extraction_recipe",
    "is_absent",
    "measure_pair",
    "one_itk_thread",
    "read_job",
]

#: Raised whenever the same input would give other values or other diagnostics than before.
_SCHEMA = 1
_PACKAGES = ("numpy", "scipy", "SimpleITK", "pyradiomics-bhklab", "PyWavelets")


@dataclass(frozen=True)
class CaseJob:
    """One case for a worker process: paths, not images.

    Parameters
    ----------
    patient_id, sequence : str
    files : ImageFiles, optional
        None where the patient has no such sequence, which is a failure of the case.
    recipe : Mapping
        As :func:`extraction_recipe` gives it.
    store_root : Path, optional
        Folder of the feature store.

    Examples
    --------
    >>> CaseJob("001", "t1", None, {}, Path("cache")).store is None
    False
    """

    patient_id: str
    sequence: str
    files: ImageFiles | None
    recipe: Mapping[str, Any]
    store_root: Path | None = None

    @property
    def store(self) -> FeatureStore | None:
        """Where finished cases are kept."""
        return None if self.store_root is None else FeatureStore(self.store_root)


def extraction_recipe(settings: FeatureSettings, sequence: str, on_mismatch: str) -> dict[str, Any]:
    """All that the values of one sequence depend on besides its files.

    Parameters
    ----------
    settings : FeatureSettings
    sequence : str
        With its region, if the study has several.
    on_mismatch : {"error", "resample"}
        What becomes of a mask on another grid than its image.

    Returns
    -------
    dict
        Plain JSON: parameters of PyRadiomics, bias correction, normalization
        (with the landmarks themselves, where there are any), versions.

    Raises
    ------
    ConfigError
        The settings are wrong, or the landmarks do not fit them.

    Examples
    --------
    >>> recipe = extraction_recipe(FeatureSettings(), "t1", "error")
    >>> recipe["normalize"], sorted(recipe["pyradiomics"])
    ('body', ['featureClass', 'imageType', 'setting'])
    """
    sequence, _ = split_name(sequence)  # regions of a sequence are measured alike
    recipe: dict[str, Any] = {
        "schema": _SCHEMA,
        "pyradiomics": sequence_parameters(settings, sequence),
        "normalize": settings.normalize,
        "morphology": settings.morphology,
        "on_mismatch": on_mismatch,
        "versions": {name: metadata.version(name) for name in _PACKAGES},
    }
    # only where asked for: all other cases keep the keys they always had
    if settings.bias_correction:
        recipe["bias_correction"] = BIAS_CORRECTION
    if settings.landmarks is not None:
        recipe["landmarks"] = _landmarks(settings, sequence)
    return recipe


def _landmarks(settings: FeatureSettings, sequence: str) -> dict[str, Any]:
    assert settings.landmarks is not None
    found = Landmarks.read(settings.landmarks)
    if found.bias_correction != settings.bias_correction:
        made = "with" if found.bias_correction else "without"
        raise ConfigError(
            f"{settings.landmarks.name} was learnt {made} bias correction, and the study says otherwise",
            "Set features.bias_correction as it was then, or fit the landmarks again.",
        )
    return found.recipe(sequence)


def case_key(job: CaseJob) -> str:
    """Key of a case: the content of its image and mask, the label, the recipe.

    Raises
    ------
    ImageError, MaskError
        A file is not named or does not exist.
    RegionAbsentError
        There is no mask of an optional region.

    Examples
    --------
    >>> case_key(CaseJob("001", "t1", None, {}))
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.ImageError: there is no t1 image. Add it, leave the patient out, or take the
    sequence out of cohort.sequences.
    """
    if job.files is None:
        raise ImageError(
            f"there is no {job.sequence} image",
            "Add it, leave the patient out, or take the sequence out of cohort.sequences.",
        )
    if job.files.mask is None and job.files.optional:
        raise RegionAbsentError(f"there is no {job.sequence} mask")
    if job.files.mask is None:
        raise MaskError(f"there is no {job.sequence} mask", "Draw the tumor, or segment the images first.")
    digests = [
        *_digests(job.files.image, series=job.files.series),
        *_digests(job.files.mask, job.files.label),
    ]
    series = [] if job.files.series is None else [job.files.series]
    return content_key(digests, job.files.label, job.recipe, *_reference_key(job), *series)


def is_absent(job: CaseJob, error: Exception) -> bool:
    """Whether a case has no values because the patient does not have a region that need not be there.

    Examples
    --------
    >>> job = CaseJob("001", "t1-gtvnd", ImageFiles(Path("t1.nii"), optional=True), {})
    >>> is_absent(job, RegionAbsentError("m.nii holds no label 2"))
    True
    """
    return isinstance(error, RegionAbsentError) and job.files is not None and job.files.optional


def _digests(
    path: Path, label: Label | tuple[Label, ...] | None = None, series: str | None = None
) -> list[str]:
    if not path.exists():
        raise ImageError(f"{path.name} does not exist", "Check the path in the manifest.")
    return [file_digest(part) for part in stored_files(path, label, series)]


def _reference_key(job: CaseJob) -> list[Any]:
    """Content of the reference tissue, where intensities are scaled by it."""
    if job.recipe.get("normalize") != "reference":
        return []
    assert job.files is not None
    path = require_reference(job.files, job.sequence)
    return [_digests(path, job.files.reference_label), job.files.reference_label]


def read_job(job: CaseJob) -> tuple[Volume, Mask, Mask | None]:
    """Image, mask, and the reference tissue where the recipe asks for it, on one grid.

    Raises
    ------
    ImageError, MaskError
        As :func:`radiomics_npc.imaging.reading.read_pair` and
        :func:`radiomics_npc.imaging.reference_tissue.read_reference`.
    """
    assert job.files is not None
    on_mismatch = job.recipe["on_mismatch"]
    image, mask = read_pair(job.files, on_mismatch)
    if job.recipe["normalize"] != "reference":
        return image, mask, None
    return image, mask, read_reference(job.files, image, job.sequence, on_mismatch)


def measure_pair(
    image: Volume, mask: Mask, recipe: Mapping[str, Any], reference: Mask | None = None
) -> dict[str, Any]:
    """Measure an image and its mask by a recipe.

    Parameters
    ----------
    image, mask : Volume, Mask
        On the same grid.
    recipe : Mapping
        As :func:`extraction_recipe` gives it.
    reference : Mask, optional
        The reference tissue, where the recipe asks for it.

    Returns
    -------
    dict
        ``values`` (feature to number) and ``diagnostics``, as the store keeps them.

    Raises
    ------
    RadiomicsNPCError
        As :func:`radiomics_npc.features.measure.measure_case`.

    Examples
    --------
    >>> import numpy as np
    >>> array = np.arange(216.0).reshape(6, 6, 6)
    >>> image, mask = Volume(array, (1, 1, 1)), Mask(array > 200, (1, 1, 1))
    >>> mean = {"imageType": {"Original": {}}, "featureClass": {"firstorder": ["Mean"]}, "setting": {}}
    >>> recipe = {"pyradiomics": mean, "normalize": "none", "morphology": False}
    >>> {name: round(value, 3) for name, value in measure_pair(image, mask, recipe)["values"].items()}
    {'original__firstorder__Mean': 208.0}
    """
    measured = measure_case(
        image,
        mask,
        recipe["pyradiomics"],
        normalize=recipe["normalize"],
        bias_correction="bias_correction" in recipe,
        landmarks=recipe.get("landmarks"),
        reference=reference,
        with_morphology=recipe["morphology"],
    )
    return {"values": measured.features, "diagnostics": measured.diagnostics}


def describe_failure(error: Exception, stage: str) -> dict[str, str]:
    """What failures.csv says of an error.

    Parameters
    ----------
    error : Exception
        One that nobody foresaw is named without the folders its text may hold.
    stage : str
        Where it happened: ``read``, ``perturb`` or ``extract``.

    Returns
    -------
    dict
        ``stage``, ``error``, ``message``, ``remedy``.

    Examples
    --------
    >>> describe_failure(ValueError("no room in /home/somebody/case.nii"), "read")["message"]
    'unexpected ValueError: no room in case.nii'
    """
    known = error if isinstance(error, RadiomicsNPCError) else _unexpected(error)
    return {
        "stage": stage, "error": type(known).__name__, "message": known.message, "remedy": known.remedy,
    }  # fmt: skip


def _unexpected(error: Exception) -> ExtractionError:
    # the text of an OSError quotes the whole path, whose folders may be named after the patient
    said = error.strerror or "" if isinstance(error, OSError) else str(error)
    lines = [line for line in said.splitlines() if line.strip()]
    words = (lines[-1] if lines else "").split()
    text = " ".join(word.replace("\\", "/").rsplit("/", 1)[-1] for word in words)
    return ExtractionError(
        f"unexpected {type(error).__name__}: {text}",
        "Open image and mask in a viewer; if both are sound, report this as a fault of radiomics_npc.",
    )
