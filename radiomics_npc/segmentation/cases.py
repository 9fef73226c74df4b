"""A cohort with contours as plain arrays on the grid of the network, to train and fine-tune on.

The arrays bear running numbers; no patient identifier is written.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.failures import FAILURE_COLUMNS, failure_row
from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.reading import place_mask, read_drawn, read_image
from radiomics_npc.imaging.stored_files import stored_files
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.segmentation.frames import Frame
from radiomics_npc.segmentation.network_grid import find_frame, resample
from radiomics_npc.segmentation.slabs import NetworkGrid
from radiomics_npc.settings import SEQUENCES
from radiomics_npc.storage import content_key, file_digest, write_atomic, write_json

__all__ = ["MARGIN_PIXELS", "WrittenCases", "write_cases"]

#: Pixels around the window, so that it can be turned, moved and enlarged in training.
MARGIN_PIXELS: Final = 32
#: Raised whenever the same files would give other arrays than before.
_SCHEMA: Final = 3
#: Images are scaled so that this percentile becomes 1000: half precision keeps three digits, up to 65504.
_BRIGHT_PERCENT: Final = 99.5
_BRIGHT: Final = 1000.0
_BRIGHTEST: Final = 60000.0
_PARTS: Final = "parts"
_KINDS: Final = ("images", "target")


@dataclass(frozen=True, eq=False)
class WrittenCases:
    """What became of a cohort.

    Parameters
    ----------
    folder : Path
        A :class:`radiomics_npc.segmentation.training_data.CaseStore` reads it.
    patient_ids : list of str
        Whose arrays they are, in the order of their numbers. Known here only.
    failures : DataFrame
        One row a patient without arrays, with stage, error, message and remedy.
    reused : int
        Patients whose arrays were there already.
    """

    folder: Path
    patient_ids: list[str]
    failures: pd.DataFrame
    reused: int

    def __repr__(self) -> str:
        return f"<WrittenCases: {len(self.patient_ids)} patients, {len(self.failures)} failed>"


@dataclass(frozen=True)
class _Result:
    patient_id: str
    about: dict[str, Any] | None = None
    failure: dict[str, str] | None = None
    reused: bool = False

    @property
    def label(self) -> str:
        """Shown by the progress bar."""
        return self.patient_id


def write_cases(
    cohort: Cohort, out: Path | str, *, grid: NetworkGrid | None = None, jobs: int = 0, progress: bool = True
) -> WrittenCases:
    """Write a cohort with contours as arrays to train on.

    Parameters
    ----------
    cohort : Cohort
        Patients with at least one image and one mask.
    out : path
        Gets ``cases.json``, ``images-K.npy`` (float16, shape (3, z, h, w): t1, t2, ce_t1, scaled, 0 where
        absent) and ``target-K.npy`` (uint8, shape (2, z, h, w): primary tumor, and nodes, which are not
        known here).
    grid : NetworkGrid, optional
    jobs : int
        Processes, one patient each; 0 takes all cores.
    progress : bool
        Show how far it is.

    Returns
    -------
    WrittenCases
        Arrays made before of the same files are taken as they are, also after a run that was killed.

    Notes
    -----
    Contours of one patient differ a little between sequences, and the network draws one: a voxel is tumor
    where at least half of the contours, brought onto the slices of the reference sequence, say so; beyond
    the slices of its own sequence a contour says nothing. A mask on another grid than its image is resampled
    by its own geometry where ``cohort.on_mismatch`` allows it.

    Examples
    --------
    >>> import tempfile
    >>> write_cases(Cohort(cases=()), tempfile.mkdtemp(), jobs=1)
    <WrittenCases: 0 patients, 0 failed>
    """
    out, grid = Path(out).absolute(), grid or NetworkGrid()
    parts = out / _PARTS
    parts.mkdir(parents=True, exist_ok=True)
    _take_apart(out)
    run = partial(_write_part, parts=parts, grid=grid, on_mismatch=cohort.on_mismatch)
    work = map_cases(run, cohort.cases, jobs=jobs)
    found = {r.patient_id: r for r in (track(work, "arrays", len(cohort)) if progress else work)}
    results = _without_copies([found[patient_id] for patient_id in cohort.patient_ids])
    done = [result for result in results if result.about is not None]
    abouts = [result.about for result in done if result.about is not None]
    # the index first: a run killed while moving finds everything again by it
    write_json(
        out / "cases.json",
        {
            "format": 1, "simulated": cohort.simulated, "sequences": list(SEQUENCES),
            "pixel_mm": grid.pixel_mm, "window": grid.window, "margin": MARGIN_PIXELS,
            "cases": [{"name": f"{number:04d}", **about} for number, about in enumerate(abouts)],
        },
    )  # fmt: skip
    for number, about in enumerate(abouts):
        for kind in _KINDS:
            (parts / f"{kind}-{about['key']}.npy").replace(out / f"{kind}-{number}.npy")
    shutil.rmtree(parts)  # with it the arrays of patients who are no longer in the cohort
    failures = [r.failure for r in results if r.failure is not None]
    return WrittenCases(
        out, [r.patient_id for r in done], pd.DataFrame(failures, columns=FAILURE_COLUMNS),
        sum(r.reused for r in done),
    )  # fmt: skip


def _without_copies(results: list[_Result]) -> list[_Result]:
    """A patient with an image of an earlier one fails: in two folds he would be trained and tested on."""
    kept: list[_Result] = []
    images: set[str] = set()
    for result in results:
        if result.about is not None and images & set(result.about["images"]):
            copied = MaskError(
                "an image is that of another patient", "Check the paths of both in the manifest."
            )
            result = _Result(result.patient_id, failure=failure_row(result.patient_id, "", "arrays", copied))
        elif result.about is not None:
            images |= set(result.about["images"])
        kept.append(result)
    return kept


def _take_apart(out: Path) -> None:
    """Give arrays of an earlier run the names of their contents again: their numbers may change."""
    index = out / "cases.json"
    if index.exists():
        for number, about in enumerate(json.loads(index.read_text(encoding="utf-8"))["cases"]):
            for kind in _KINDS:
                array = out / f"{kind}-{number}.npy"
                if array.exists():
                    array.replace(out / _PARTS / f"{kind}-{about['key']}.npy")
            write_json(out / _PARTS / f"{about['key']}.json", {k: v for k, v in about.items() if k != "name"})
        index.unlink()


def _write_part(case: Case, parts: Path, grid: NetworkGrid, on_mismatch: str) -> _Result:
    """Arrays of one patient, in a worker; its errors become its result."""
    try:
        key, image_digests = _key(case, grid, on_mismatch)
        files = {kind: parts / f"{kind}-{key}.npy" for kind in _KINDS}
        about_file = parts / f"{key}.json"
        if about_file.exists() and all(file.exists() for file in files.values()):
            return _Result(case.patient_id, json.loads(about_file.read_text(encoding="utf-8")), reused=True)
        images, target, about = _arrays(case, grid, on_mismatch)
        for array, file in ((images, files["images"]), (target, files["target"])):
            with write_atomic(file) as temporary:
                np.save(temporary, array, allow_pickle=False)
        about = {"key": key, "images": image_digests, **about}
        write_json(about_file, about)
        return _Result(case.patient_id, about)
    except Exception as error:  # noqa: BLE001 - a fault of one patient must not stop the others
        return _Result(case.patient_id, failure=failure_row(case.patient_id, "", "arrays", error))


def _key(case: Case, grid: NetworkGrid, on_mismatch: str) -> tuple[str, list[str]]:
    """All that the arrays depend on, and a digest of every image."""
    contents = {
        name: [
            [file_digest(file) for file in stored_files(path, label, series)]
            if path is not None and path.exists()
            else None
            for path, label, series in (
                (files.image, None, files.series),
                (files.mask, files.label, None),
            )
        ]
        for name, files in case.images.items()
    }
    labels = {name: [files.label, files.series] for name, files in case.images.items()}
    key = content_key(_SCHEMA, contents, labels, grid.pixel_mm, grid.window, MARGIN_PIXELS, on_mismatch)
    return key, [content_key(image) for image, _ in contents.values()]


def _arrays(
    case: Case, grid: NetworkGrid, on_mismatch: str
) -> tuple[NDArray[np.float16], NDArray[np.uint8], dict[str, Any]]:
    files = {name: case.images[name] for name in SEQUENCES if name in case.images}
    drawn = [name for name, pair in files.items() if pair.mask is not None]
    if not drawn:
        raise MaskError("there is no mask", "Draw the tumor, or leave the patient out of the training.")
    volumes = {name: read_image(pair.image, pair.series) for name, pair in files.items()}
    frame = find_frame(volumes, grid, MARGIN_PIXELS)
    images = np.stack(
        [
            _scaled(resample(volumes[name], frame)) if name in volumes else np.zeros(frame.shape, np.float16)
            for name in SEQUENCES
        ]
    )
    says = np.stack([_drawn(files[n], volumes[n], frame, on_mismatch) for n in drawn])
    asked = np.isfinite(says).sum(axis=0)
    tumor = (asked > 0) & (np.nansum(says, axis=0) >= asked / 2)
    if not tumor.any():
        raise MaskError(
            "nothing of the masks lies within the window of the network",
            "Check that images and masks are of the same patient, and show the nasopharynx.",
        )
    target = np.stack([tumor, np.zeros_like(tumor)]).astype(np.uint8)
    # the brightness of an absent or constant sequence says nothing
    present = [int(image.min() < image.max()) for image in images]
    z, y, x = frame.spacing_mm[::-1]
    return images, target, {"present": present, "known": [1, 0], "spacing_mm": [z, y, x]}


def _drawn(files: ImageFiles, image: Volume, frame: Frame, on_mismatch: str) -> NDArray[np.float32]:
    """1 for voxels of the frame that a contour covers by more than half, else 0; NaN beyond its image."""
    mask: Mask = place_mask(read_drawn(files, image), image, on_mismatch)
    share = Volume(mask.array.astype(np.float32), mask.spacing_mm, mask.origin_mm, mask.direction)
    covered = resample(share, frame, outside=np.nan)
    return np.where(np.isnan(covered), covered, covered > 0.5)


def _scaled(image: NDArray[np.float32]) -> NDArray[np.float16]:
    """Intensities from 0, of a size that half precision holds."""
    image = image - image.min()
    bright = float(np.percentile(image, _BRIGHT_PERCENT)) or float(image.max()) or 1.0
    return np.minimum(image * (_BRIGHT / bright), _BRIGHTEST).astype(np.float16)
