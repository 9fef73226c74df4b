"""Small made images: heads with a tumor, written as files."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.settings import FeatureSettings

SPACING = (1.1, 1.1, 4.0)

QUICK = """
setting: {binCount: 8, resampledPixelSpacing: [2, 2, 2], interpolator: sitkBSpline, padDistance: 5}
imageType: {Original: {}, LoG: {sigma: [2]}}
featureClass: {shape: [MeshVolume], firstorder: [Mean, Entropy], glcm: [Contrast]}
"""


def made_case(seed: int) -> tuple[Volume, Mask]:
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[:10, :48, :44]
    head = np.broadcast_to(((y - 24) / 20) ** 2 + ((x - 22) / 17) ** 2 < 1, (10, 48, 44))
    tumor = ((z - 5) * 4 / 11) ** 2 + ((y - 22) * 1.1 / 8) ** 2 + ((x - 24) * 1.1 / 7) ** 2 < 1
    signal = np.where(tumor, 420.0, np.where(head, 260.0, 0.0))
    array = np.hypot(signal + rng.normal(0, 30, head.shape), rng.normal(0, 30, head.shape))
    return Volume(array.astype(np.int16), SPACING), Mask(tumor, SPACING)


def write_case(folder: Path, seed: int) -> ImageFiles:
    folder.mkdir(parents=True, exist_ok=True)
    image, mask = made_case(seed)
    files = ImageFiles(folder / f"image{seed}.nii.gz", folder / f"mask{seed}.nii.gz")
    sitk.WriteImage(image.to_sitk(), str(files.image))
    sitk.WriteImage(mask.to_sitk(), str(files.mask))
    return files


def made_cohort(folder: Path, patients: int, sequences: tuple[str, ...] = ("t1", "t2")) -> Cohort:
    cases = [
        Case(
            f"{number:03d}",
            {name: write_case(folder, 10 * number + place) for place, name in enumerate(sequences)},
        )
        for number in range(1, patients + 1)
    ]
    return Cohort(tuple(cases), sequences=sequences)


@pytest.fixture(scope="session")
def make_case():
    """Image and mask by seed: a noisy head with a tumor."""
    return made_case


@pytest.fixture(scope="session")
def make_cohort():
    """Cohort of files in a folder, by number of patients and sequences."""
    return made_cohort


@pytest.fixture
def cohort(tmp_path):
    """Three patients, two sequences."""
    return made_cohort(tmp_path / "images", 3)


@pytest.fixture
def quick(tmp_path):
    """Settings that take a hundredth of a second a case."""
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK)
    return FeatureSettings(settings={"t1": path, "t2": path})
