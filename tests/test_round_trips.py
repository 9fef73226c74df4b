"""A simulated cohort, written again by other libraries in every layout and format, gives the same features.

How far features may differ is said by what a format keeps of the geometry:

- DICOM keeps its decimal strings, whatever lies around them: not a bit differs.
- NRRD keeps the edges of a voxel as vectors, whose length is measured again. The cosines of DICOM have ten
  decimals, so that this length differs by 1e-10.
- NIfTI keeps numbers of 32 bits, which are off by 2**-24 = 6e-8. On cubes that can move a voxel into the next
  of 32 bins, and then a texture by 5e-4. Nothing else is lost: features of the same voxels in memory, on the
  geometry that nibabel reads from the header, do not differ by a bit.

Cubes are of 0.97 mm. On cubes of 1 mm some centers lie midway between two slices 5.5 mm apart, and the
nearest neighbor in a mask hangs on the last bit of the geometry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import yaml
from radiomics.imageoperations import resampleImage
from scipy.ndimage import binary_erosion

from radiomics_npc.cohort.cases import Cohort, ImageFiles
from radiomics_npc.cohort.layouts import guess_layout
from radiomics_npc.cohort.manifest_writing import write_manifest
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.dataset.convert import convert
from radiomics_npc.dataset.deidentify import deidentify
from radiomics_npc.features.case_job import extraction_recipe, measure_pair
from radiomics_npc.features.extraction import extract_features
from radiomics_npc.imaging.checks import check_cohort
from radiomics_npc.imaging.reading import read_image, read_mask, read_pair
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.settings import FeatureSettings
from radiomics_npc.simulate.cohort import simulate_cohort
from tests.rewritten_cohorts import (
    COPIES,
    DICOM,
    FOLDERS,
    RAS,
    Series,
    enhanced,
    pixel_centers,
    pixel_edges,
    read_source,
    write_dicom,
    write_nifti,
    write_nrrd,
    write_rtstruct,
    write_seg,
    write_segments,
)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Tolerance:
    """Largest relative difference of features, as acquired and on cubes, and of the place of a voxel."""

    acquired: float
    cubes: float
    place_mm: float


# measured: NRRD 6e-11 and 3e-7; NIfTI 5e-8, 5e-4 and 2e-5 mm
EXACT, NRRD, NIFTI = Tolerance(0, 0, 0), Tolerance(2e-10, 1e-6, 1e-8), Tolerance(2e-7, 1e-3, 5e-5)
KEEPS = {
    "published": EXACT, "mixed_folder": EXACT, "multi_frame": EXACT, "compressed": EXACT,
    "deidentified": EXACT,
    "slicer": NRRD, "hanseg": NRRD, "converted to nrrd": NRRD,
    "nifti_ras": NIFTI, "nifti_flipped": NIFTI, "nnunet": NIFTI, "bids": NIFTI, "segrap": NIFTI,
    "converted to nifti": NIFTI,
}  # fmt: skip
CLASSES = {"shape": [], "firstorder": [], "glcm": []}
#: Of ambiguous cubes PyRadiomics makes another surface where an axis runs the other way.
MESH = "Mesh|SurfaceArea|SurfaceVolume|Sphericity"


@dataclass(frozen=True)
class Copy:
    """A copy of the cohort: how a study reads it, and what its patients are called there."""

    name: str
    settings: dict[str, Any]
    cohort: Cohort
    names: dict[str, str]

    def files(self, series: Series) -> ImageFiles:
        (case,) = (c for c in self.cohort.cases if self.names[c.patient_id] == series.patient)
        return case.images[series.sequence]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A series upward and one downward, both oblique; voxels of no round size."""
    return simulate_cohort(tmp_path_factory.mktemp("round") / "source", patients=2, seed=4, jobs=1, matrix=72)


@pytest.fixture(scope="module")
def source(root) -> list[Series]:
    return read_source(root)


@pytest.fixture(scope="module")
def original(root) -> Cohort:
    return read({"layout": "published", "path": root})


def read(settings: dict[str, Any]) -> Cohort:
    return read_cohort(
        {"sequences": list(FOLDERS), "clinical": None, **settings, "path": str(settings["path"])}
    )


@pytest.fixture(scope="module", params=list(KEEPS))
def copy(request, root, source, original, tmp_path_factory) -> Copy:
    name, folder = request.param, tmp_path_factory.mktemp("copy") / "影像 数据"
    pseudonyms = {}
    if name.startswith("converted to"):
        convert(original, folder, to=name.removeprefix("converted to "), jobs=1)
        settings = {"layout": "manifest", "path": folder / "manifest.csv"}
    elif name == "deidentified":
        COPIES["compressed"](folder, source)
        table, secret = folder.with_name("ids.csv"), folder.with_name("secret")
        table.write_text("patient_id,pseudonym\n001,NPC-2\n002,NPC-1\n")
        pseudonyms = {"NPC-2": "001", "NPC-1": "002"}
        done = deidentify(folder, folder.with_name("out"), secret=secret, patient_ids=table)
        assert not done.failures.size
        settings = {**DICOM, "path": folder.with_name("out")}
    else:
        settings = COPIES[name](folder, source)
    cohort = read(settings)
    return Copy(name, settings, cohort, pseudonyms or {who: who[-3:] for who in cohort.patient_ids})


def test_same_patients_and_sequences(copy, source):
    assert guess_layout(Path(copy.settings["path"])) == copy.settings["layout"]
    found = {(copy.names[c.patient_id], name) for c in copy.cohort.cases for name in c.images}
    wanted = copy.settings.get("sequences", list(FOLDERS))
    assert found == {(s.patient, s.sequence) for s in source if s.sequence in wanted}
    checked = check_cohort(copy.cohort, jobs=1)
    assert checked.ok, checked.findings


def test_its_manifest_reads_alike(copy, tmp_path):
    options = {key: copy.settings[key] for key in ("layout", "regions") if key in copy.settings}
    options["sequences"] = copy.settings.get("sequences", list(FOLDERS))
    made = write_manifest(copy.settings["path"], tmp_path / "a b" / "manifest.csv", **options)
    assert made.table["note"].eq("").all()
    again = read({**copy.settings, "layout": "manifest", "path": made.path})
    assert [_resolved(case.images) for case in again.cases] == [
        _resolved(case.images) for case in copy.cohort.cases
    ]


def _resolved(images) -> dict[str, ImageFiles]:
    return {
        name: replace(files, image=files.image.resolve(), mask=files.mask.resolve())
        for name, files in images.items()
    }


def test_same_voxels_at_the_same_places(copy, source):
    for series in source:
        if series.sequence not in copy.settings.get("sequences", FOLDERS):
            continue
        image, mask = read_pair(copy.files(series))
        assert (image.spacing_mm, image.origin_mm, image.direction) == (
            mask.spacing_mm, mask.origin_mm, mask.direction,
        )  # fmt: skip
        np.testing.assert_array_equal(as_written(image, series), series.array)
        np.testing.assert_array_equal(as_written(mask, series), series.mask)
        # cosines of ten decimals are of unit length within 1e-10, over 250 mm 3e-8 mm
        assert displaced_mm(image, series) <= KEEPS[copy.name].place_mm + 1e-7


def affine_of(volume: Volume) -> np.ndarray:
    """From column, row and slice to mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(volume.direction).reshape(3, 3) * np.array(volume.spacing_mm)
    affine[:3, 3] = volume.origin_mm
    return affine


def _flips(volume: Volume, series: Series) -> np.ndarray:
    """From indices of the series to those of the volume; axes may run the other way, and nothing else."""
    found = np.linalg.inv(affine_of(volume)) @ series.affine
    np.testing.assert_allclose(found, np.round(found), atol=1e-4)
    assert (np.abs(np.round(found[:3, :3])) == np.eye(3)).all()
    return np.round(found)


def as_written(volume: Volume, series: Series) -> np.ndarray:
    """Voxels in the order of the series."""
    sense = np.diag(_flips(volume, series))[:3]
    return np.flip(volume.array, [2 - axis for axis in range(3) if sense[axis] < 0])


def displaced_mm(volume: Volume, series: Series) -> float:
    """How far a corner lies from where the source has it."""
    size = np.array(series.array.shape[::-1]) - 1
    corners = np.array([(*(size * corner), 1) for corner in np.ndindex(2, 2, 2)]).T
    moved = affine_of(volume) @ _flips(volume, series) @ corners - series.affine @ corners
    return float(np.linalg.norm(moved[:3], axis=0).max())


# --- features ---


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Callable[[float | None], FeatureSettings]:
    """Settings of the extraction: cubes of an edge, or the grid as acquired."""

    def of(edge: float | None) -> FeatureSettings:
        grid = {} if edge is None else {"resampledPixelSpacing": [edge] * 3, "padDistance": 20}
        content = {"setting": {"binCount": 32, "preCrop": True, **grid}, "imageType": {"Original": {}},
                   "featureClass": CLASSES}  # fmt: skip
        file = tmp_path_factory.mktemp("settings") / "own.yaml"
        file.write_text(yaml.safe_dump(content))
        return FeatureSettings(settings=dict.fromkeys(FOLDERS, file))

    return of


def features(cohort: Cohort, settings: FeatureSettings, names: dict[str, str] | None = None) -> pd.DataFrame:
    found = extract_features(cohort, settings, jobs=1)
    assert found.failures.empty, found.failures
    return found.to_frame().rename(index=names or {}).sort_index()


@pytest.fixture(scope="module")
def as_acquired(original, settings) -> pd.DataFrame:
    return features(original, settings(None))


@pytest.fixture(scope="module")
def cubes(original, settings) -> pd.DataFrame:
    return features(replace(original, sequences=("t1",)), settings(0.97))


def assert_alike(found: pd.DataFrame, wanted: pd.DataFrame, tolerance: float) -> None:
    assert list(found.index) == list(wanted.index)
    assert found.shape[1] >= 60
    wanted = wanted[list(found.columns)]
    pd.testing.assert_frame_equal(found, wanted, rtol=tolerance, atol=0, check_exact=tolerance == 0)


def test_same_features_as_acquired(copy, settings, as_acquired):
    found = features(copy.cohort, settings(None), copy.names)
    if copy.name == "nifti_ras":
        found = found.loc[:, ~found.columns.str.contains(f"{MESH}|morphology")]
    assert_alike(found, as_acquired, KEEPS[copy.name].acquired)


def test_same_features_on_cubes(copy, settings, cubes):
    if copy.name == "nifti_ras":
        pytest.skip("cubes begin at the first voxel, which is another one where axes run the other way")
    found = features(replace(copy.cohort, sequences=("t1",)), settings(0.97), copy.names)
    assert_alike(found, cubes, KEEPS[copy.name].cubes)


@pytest.mark.parametrize("ras", [False, True])
@pytest.mark.parametrize("edge", [None, 1.0])
def test_nifti_loses_nothing_but_bits_of_its_header(source, settings, tmp_path, ras, edge):
    series = source[0]
    write_nifti(tmp_path / "t1.nii", series.array, series, ras=ras)
    write_nifti(tmp_path / "mask.nii", series.mask.astype(np.uint8), series, flip="y")
    recipe = extraction_recipe(settings(edge), "t1", "error")
    found = measure_pair(*read_pair(ImageFiles(tmp_path / "t1.nii", tmp_path / "mask.nii", 1)), recipe)
    by_header = _by_nibabel(tmp_path / "t1.nii")
    sense = np.diag(_flips(by_header, series))[:3]
    inside = np.flip(series.mask, [2 - axis for axis in range(3) if sense[axis] < 0])
    mask = Mask(inside, by_header.spacing_mm, by_header.origin_mm, by_header.direction)
    assert found["values"] == measure_pair(by_header, mask, recipe)["values"]


def _by_nibabel(file: Path) -> Volume:
    image = nibabel.load(file)
    affine = RAS @ image.affine
    x, y, z = (float(edge) for edge in image.header.get_zooms())
    direction = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    origin = (float(affine[0, 3]), float(affine[1, 3]), float(affine[2, 3]))
    return Volume(np.asarray(image.dataobj).T, (x, y, z), origin, tuple(direction.ravel().tolist()))


def test_cubes_of_1_mm_differ_only_midway_between_slices(source, tmp_path):
    series = source[0]
    assert np.linalg.norm(series.affine[:3, 2]) == pytest.approx(5.5)
    exact = Volume(series.array, *_geometry(series))
    write_nifti(tmp_path / "t1.nii", series.array, series)
    rounded = read_image(tmp_path / "t1.nii")
    edges = {"resampledPixelSpacing": [1, 1, 1], "padDistance": 5}
    masks = []
    for image in (exact, rounded):
        drawn = replace(image, array=series.mask.astype(np.uint8)).to_sitk()
        masks.append(resampleImage(image.to_sitk(), drawn, **edges)[1])
    a, b = (sitk.GetArrayFromImage(mask) for mask in masks)
    differ = np.argwhere(a != b)[:, ::-1]
    assert 0 < len(differ) < 0.1 * a.sum()
    for index in differ.tolist():
        point = masks[0].TransformIndexToPhysicalPoint(index)
        place = exact.to_sitk().TransformPhysicalPointToContinuousIndex(point)
        assert np.abs(np.array(place) % 1 - 0.5).min() < 1e-5


def _geometry(series: Series) -> tuple[Any, Any, Any]:
    edges = np.linalg.norm(series.affine[:3, :3], axis=0)
    direction = (series.affine[:3, :3] / edges).ravel()
    return tuple(edges.tolist()), tuple(series.affine[:3, 3].tolist()), tuple(direction.tolist())


@pytest.mark.parametrize("number", [0, 3])
def test_contours_through_pixel_centers_keep_their_area(source, number, tmp_path):
    """Such contours enclose less than the mask; as much is read as they enclose, and the rim alone is lost.

    Of tumors ten pixels across, as here, a fifth to a third goes that way; the Dice coefficient is above 0.7.
    """
    series = source[number]
    write_dicom(tmp_path / "t1", series)
    write_rtstruct(tmp_path / "RS", series, pixel_centers)
    mask = read_mask(tmp_path / "RS", "GTVp", read_image(tmp_path / "t1")).array
    lost = series.mask & ~mask
    rim = series.mask & ~binary_erosion(series.mask, np.ones((1, 3, 3)))
    assert not (mask & ~series.mask).any()
    assert not (lost & ~rim).any()
    # a center on a left or upper edge is inside, on a right or lower one outside: half of those on an edge
    enclosed = sum(_area(outline) for plane in series.mask for outline in pixel_centers(plane))
    assert mask.sum() == pytest.approx(enclosed, rel=0.03)
    assert 2 * mask.sum() / (mask.sum() + series.mask.sum()) > 0.7


def _area(outline: np.ndarray) -> float:
    x, y = outline.T
    return abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2


@pytest.fixture(scope="module")
def images(source, tmp_path_factory) -> dict[str, Path]:
    """The same series in five forms."""
    series, root = source[2], tmp_path_factory.mktemp("images")
    write_dicom(root / "dicom", series)
    made = enhanced(series)
    made.save_as(root / "enhanced.dcm")
    write_nifti(root / "las.nii.gz", series.array, series, flip="y")  # as dcm2niix turns rows
    write_nifti(root / "ras.nii", series.array, series, ras=True)
    write_nrrd(root / "image.nrrd", series.array, series)
    names = ("dicom", "enhanced.dcm", "las.nii.gz", "ras.nii", "image.nrrd")
    return {name: root / name for name in names}


@pytest.fixture(scope="module")
def masks(source, tmp_path_factory) -> dict[str, Path]:
    series, root = source[2], tmp_path_factory.mktemp("masks")
    write_nifti(root / "mask.nii", series.mask.astype(np.uint8), series)
    write_nifti(root / "turned.nii.gz", series.mask.astype(np.int16), series, flip="xz", order="zxy")
    write_segments(root / "mask.seg.nrrd", series)
    write_seg(root / "seg.dcm", series, series.headers, frames_reversed=True)
    write_rtstruct(root / "RS", series, pixel_edges)
    return {path.name: path for path in root.iterdir()}


@pytest.mark.parametrize("image", ["dicom", "enhanced.dcm", "las.nii.gz", "ras.nii", "image.nrrd"])
def test_any_mask_fits_any_image(source, images, masks, image):
    assert len(masks) == 5
    for name, file in masks.items():
        label = None if ".nii" in name else "GTVp"
        volume, mask = read_pair(ImageFiles(images[image], file, label))
        np.testing.assert_array_equal(as_written(volume, source[2]), source[2].array)
        np.testing.assert_array_equal(as_written(mask, source[2]), source[2].mask, err_msg=name)
