"""Masks to a DICOM SEG that belongs to its images."""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from radiomics_npc._version import __version__
from radiomics_npc.cohort.dicom_headers import is_image
from radiomics_npc.cohort.tables import plain
from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.dicom_folders import series_files
from radiomics_npc.imaging.dicom_objects import is_dicom, read_object
from radiomics_npc.imaging.labels import ALIASES
from radiomics_npc.imaging.named_masks import named_masks
from radiomics_npc.imaging.reading import place_mask, read_image
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.storage import write_atomic

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

__all__ = ["write_seg"]

AlgorithmType = Literal["MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"]

_NAME: Final = "radiomics-npc"
_SERIES_NUMBER: Final = 300
#: Category, type and place of a segment by the target volume it is (SNOMED CT, by pydicom's names).
_CODES: Final = {
    "GTVp": ("MorphologicallyAbnormalStructure", "NeoplasmPrimary", "Nasopharynx"),
    "GTVn": ("MorphologicallyAbnormalStructure", "NeoplasmSecondary", "LymphNode"),
    "GTV": ("MorphologicallyAbnormalStructure", "Neoplasm", None),
    None: ("Tissue", "Tissue", None),
}


def write_seg(
    path: Path,
    mask: Mask | Mapping[str, Mask],
    images: Path,
    *,
    series: str | None = None,
    algorithm: str = "",
    algorithm_type: AlgorithmType = "MANUAL",
    simulated: bool = False,
    note: str = "",
) -> None:
    """Write masks as a DICOM SEG, all of it or nothing.

    Parameters
    ----------
    path : Path
    mask : Mask, or mapping of str to Mask
        A segment each, named so; one alone is GTVp. They may overlap.
    images : Path
        The DICOM series that they were drawn on: its folder, or its file of several frames. Patient and
        study are taken from it, so that viewers show both together: what is written names the patient
        as the images do.
    series : str, optional
        SeriesInstanceUID, where the folder holds several series.
    algorithm : str
        What made the contours; needed unless they are drawn by hand.
    algorithm_type : {"MANUAL", "SEMIAUTOMATIC", "AUTOMATIC"}
    simulated : bool
        The patient never lived: series, content and segments say so.
    note : str
        For the description of the segments.

    Raises
    ------
    MaskError
        There is no mask, nothing is drawn, it does not lie on the grid of the images, or the algorithm
        has no name.
    ImageError
        The images cannot be read, or lack what a SEG needs.

    Notes
    -----
    Written by highdicom (Bridge et al., J Digit Imaging 2022;35:1719). The same masks on the same images
    get the same identifiers.

    Examples
    --------
    >>> write_seg(Path("T1.dcm"), Mask(np.ones((2, 3, 4)), (1.0, 1.0, 5.0)), Path("T1WI"))
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.ImageError: T1WI does not exist. Check the path, or the name in the manifest.
    """
    from highdicom.seg import Segmentation

    if algorithm_type != "MANUAL" and not algorithm:
        raise MaskError("the algorithm that made the contours has no name", "Give algorithm.")
    image = read_image(Path(images), series)
    masks = {name: place_mask(one, image) for name, one in named_masks(mask).items()}
    array = np.stack([one.array for one in masks.values()], axis=-1)
    sources = _source_headers(Path(images), series)
    uids = _identifiers(array, list(masks), sources)
    said = "Simulated segmentation" if simulated else "Segmentation"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made: Any = Segmentation(
                source_images=sources,
                pixel_array=_stack(array, image, sources[0]),
                segmentation_type="BINARY",
                segment_descriptions=[
                    _description(k, name, algorithm, algorithm_type) for k, name in enumerate(masks, start=1)
                ],
                series_instance_uid=uids[0],
                sop_instance_uid=uids[1],
                series_number=_SERIES_NUMBER,
                instance_number=1,
                manufacturer=_NAME,
                manufacturer_model_name=_NAME,
                software_versions=__version__,
                device_serial_number="none",
                content_label="SIMULATED" if simulated else "SEGMENTATION",
                content_description=said,
                series_description=said,
            )
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise ImageError(
            f"no DICOM SEG can be made for {Path(images).name}: {_first_line(error)}",
            "Its headers must name patient, study, series and frame of reference; or write a NIfTI mask.",
        ) from error
    made.ContentCreatorName = ""
    for segment in made.SegmentSequence:
        words = " ".join(filter(None, ("Simulated patient." if simulated else "", note)))
        if words:
            segment.SegmentDescription = words
    with write_atomic(Path(path)) as temporary:
        made.save_as(temporary, enforce_file_format=True)


def _first_line(error: Exception) -> str:
    # a name of an attribute, or highdicom's sentence: neither holds a value of the header
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _source_headers(images: Path, series: str | None) -> list[Any]:
    """Headers of the images, one series."""
    if not images.is_dir():
        return [read_object(images, stop_before_pixels=True)]
    found: dict[str, list[Any]] = defaultdict(list)
    for file in sorted(images.iterdir() if series is None else series_files(images, series)):
        if file.is_file() and is_dicom(file):
            header = read_object(file, stop_before_pixels=True)
            if is_image(header) and series in (None, header.get("SeriesInstanceUID")):
                found[str(header.get("SeriesInstanceUID"))].append(header)
    if not found:
        raise ImageError(f"{images.name} holds no images of the series", "Give the folder of the images.")
    return max(found.values(), key=len)


def _identifiers(array: Any, names: list[str], sources: list[Any]) -> tuple[str, str]:
    from pydicom.uid import generate_uid

    content = hashlib.sha256(np.packbits(array).tobytes()).hexdigest()
    about = [content, str(array.shape), *names, str(sources[0].get("SOPInstanceUID")), __version__]
    return generate_uid(entropy_srcs=["series", *about]), generate_uid(entropy_srcs=["instance", *about])


def _stack(array: Any, image: Volume, source: Any) -> Any:
    """Segments as a highdicom volume: slices, rows, columns, segments."""
    from highdicom import Volume as Stack

    affine = np.eye(4)
    axes = np.array(image.direction).reshape(3, 3) * np.array(image.spacing_mm)
    affine[:3, :3], affine[:3, 3] = axes[:, ::-1], image.origin_mm
    return Stack(
        array.astype(np.uint8),
        affine,
        "PATIENT",
        frame_of_reference_uid=source.get("FrameOfReferenceUID"),
        channels={"SegmentNumber": list(range(1, array.shape[-1] + 1))},
    )


def _description(number: int, name: str, algorithm: str, algorithm_type: str) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    volume = next((key for key, names in ALIASES.items() if plain(name) in names), None)
    category, kind, place = _CODES[volume]
    made_by = None
    if algorithm_type != "MANUAL":
        made_by = AlgorithmIdentificationSequence(algorithm, codes.DCM.ArtificialIntelligence, __version__)
    return SegmentDescription(
        segment_number=number,
        segment_label=name[:64],
        segmented_property_category=getattr(codes.SCT, category),
        segmented_property_type=getattr(codes.SCT, kind),
        algorithm_type=algorithm_type,
        algorithm_identification=made_by,
        anatomic_regions=None if place is None else [getattr(codes.SCT, place)],
    )
