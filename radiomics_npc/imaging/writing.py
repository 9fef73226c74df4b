"""Images and masks to files: NIfTI, NRRD, segments of 3D Slicer, DICOM SEG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from radiomics_npc.errors import ImageError, MaskError
from radiomics_npc.imaging.named_masks import named_masks
from radiomics_npc.imaging.seg_writing import write_seg
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.storage import write_atomic

__all__ = ["atomic_image", "save_image", "write_mask", "write_seg", "write_volume"]

_SUFFIXES: Final = (".nii.gz", ".nii", ".nrrd", ".mha")
#: Colors of segments, from red on; tissue of 3D Slicer keeps to 0-1.
_COLORS: Final = ("1 0.33 0.33", "0.33 0.67 1", "0.33 0.8 0.33", "1 0.8 0.2", "0.8 0.4 1", "0.2 0.85 0.85")


@contextmanager
def atomic_image(path: Path) -> Iterator[Path]:
    """Give a temporary path, of a name that ITK takes for the same kind of file.

    It takes the place of ``path`` when the block ends well, as with
    :func:`radiomics_npc.storage.write_atomic`.

    Raises
    ------
    ImageError
        The suffix is of no known kind.
    """
    suffix = next((s for s in _SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise ImageError(f"{path.name} is of no kind that can be written", f"Name it {', '.join(_SUFFIXES)}.")
    with write_atomic(path) as temporary:
        inner = temporary.with_name(f"{temporary.stem}-image{suffix}")
        try:
            yield inner
            inner.replace(temporary)
        finally:
            inner.unlink(missing_ok=True)


def save_image(path: Path, image: sitk.Image, note: str = "") -> None:
    """Write an ITK image, compressed, with a note in the header of a NIfTI file (79 characters)."""
    if note:
        image.SetMetaData("ITK_FileNotes", note)
    sitk.WriteImage(image, str(path), True)


def write_volume(path: Path, volume: Volume, note: str = "") -> None:
    """Write an image or a mask, all of it or nothing.

    Parameters
    ----------
    path : Path
        ``.nii``, ``.nii.gz``, ``.nrrd`` or ``.mha``. Its folder is made if need be.
    volume : Volume
    note : str
        For the header: where the image comes from, or that it is simulated.

    Raises
    ------
    ImageError
        The suffix is of no known kind.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "T1.nii.gz"
    >>> write_volume(path, Volume(np.arange(24.0).reshape(2, 3, 4), (0.5, 0.5, 5.5)))
    >>> sitk.ReadImage(str(path)).GetSpacing()
    (0.5, 0.5, 5.5)
    """
    with atomic_image(Path(path)) as temporary:
        save_image(temporary, volume.to_sitk(), note)


def write_mask(path: Path, mask: Mask | Mapping[str, Mask], note: str = "") -> None:
    """Write a mask, or several as a label map, all of it or nothing.

    Parameters
    ----------
    path : Path
        ``.seg.nrrd`` keeps the names, and regions that overlap in layers of their own, as 3D Slicer does;
        ``.nii``, ``.nii.gz``, ``.nrrd`` and ``.mha`` take the values 1, 2, ... in the order given.
    mask : Mask, or mapping of str to Mask
        On one grid.
    note : str
        For the header: where the contour comes from, or that it is simulated.

    Raises
    ------
    MaskError
        There is no mask, their grids differ, or they overlap where the file cannot hold that.
    ImageError
        The suffix is of no known kind.

    Examples
    --------
    >>> import tempfile
    >>> from radiomics_npc.imaging.reading import read_mask
    >>> inside = np.arange(24).reshape(2, 3, 4) > 20
    >>> path = Path(tempfile.mkdtemp()) / "T1.seg.nrrd"
    >>> write_mask(path, {"GTVp": Mask(inside, (1.0, 1.0, 5.0)), "GTVnd": Mask(~inside, (1.0, 1.0, 5.0))})
    >>> int(read_mask(path, "GTVnd").array.sum())
    21
    """
    path, masks = Path(path), named_masks(mask)
    layers, places = _layers(masks)
    first = next(iter(masks.values()))
    if path.name.lower().endswith(".seg.nrrd"):
        images = [Volume(a, first.spacing_mm, first.origin_mm, first.direction).to_sitk() for a in layers]
        image = sitk.Compose(images) if len(images) > 1 else images[0]
        _describe_segments(image, masks, places, note)
        with atomic_image(path) as temporary:
            save_image(temporary, image)
            _as_list_of_layers(temporary)
        return
    if len(layers) > 1:
        raise MaskError(
            "regions overlap, and one label map cannot hold that", "Write a .seg.nrrd or DICOM SEG."
        )
    write_volume(path, Volume(layers[0], first.spacing_mm, first.origin_mm, first.direction), note)


def _layers(masks: Mapping[str, Mask]) -> tuple[list[NDArray[np.uint8]], dict[str, tuple[int, int]]]:
    """Label maps, as many as overlapping regions need; and the layer and value of each region."""
    layers: list[NDArray[np.uint8]] = []
    places: dict[str, tuple[int, int]] = {}
    for name, mask in masks.items():
        free = (k for k, layer in enumerate(layers) if not (layer[mask.array] != 0).any())
        k = next(free, len(layers))
        if k == len(layers):
            layers.append(np.zeros(mask.array.shape, dtype=np.uint8))
        value = 1 + sum(layer == k for layer, _ in places.values())
        if value > np.iinfo(np.uint8).max:
            raise MaskError("more than 255 regions in one file", "Write several files.")
        layers[k][mask.array] = value
        places[name] = (k, value)
    return layers, places


def _describe_segments(
    image: sitk.Image, masks: Mapping[str, Mask], places: Mapping[str, tuple[int, int]], note: str
) -> None:
    """Metadata of 3D Slicer's segmentation files."""
    x, y, z = (n - 1 for n in image.GetSize())
    extent = f"0 {x} 0 {y} 0 {z}"
    said = {
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
    }
    for k, name in enumerate(masks):
        layer, value = places[name]
        said |= {
            f"Segment{k}_ID": f"Segment_{k + 1}",
            f"Segment{k}_Name": name,
            f"Segment{k}_NameAutoGenerated": "0",
            f"Segment{k}_Color": _COLORS[k % len(_COLORS)],
            f"Segment{k}_ColorAutoGenerated": "0",
            f"Segment{k}_LabelValue": str(value),
            f"Segment{k}_Layer": str(layer),
            f"Segment{k}_Extent": extent,
        }
    for key, text in (said | ({"note": note} if note else {})).items():
        image.SetMetaData(key, text)


def _as_list_of_layers(path: Path) -> None:
    """Call the first axis of several layers a list, as 3D Slicer does; ITK calls it a vector."""
    content = path.read_bytes()
    end = content.index(b"\n\n")
    header = content[:end].replace(b"kinds: vector ", b"kinds: list ")
    path.write_bytes(header + content[end:])
