"""Twelve simulated patients on one sheet, to be looked at beside real slices.

python -m benchmarks.contact_sheet docs/simulated_heads.png
python -m benchmarks.contact_sheet OUT.png --beside FOLDER   (images/ and masks/ of real T2 slices)

Each patient fills three panels: T1, T2 and CE-T1, in the slice where the T2 contour is largest.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from PIL import Image

from radiomics_npc.simulate.cohort import MASK_NAME, simulate_cohort
from radiomics_npc.simulate.dicom import DESCRIPTION

PATIENTS, COLUMNS, MATRIX = 12, 4, 320
PANEL = (176, 200)  # width and height in pixels
WINDOW_MM = (176.0, 200.0)
GRAYS = 48  # as many as the eye tells apart; a smaller file

Pixels = NDArray[np.uint8]


def panel(image: NDArray[np.floating], mask: NDArray[np.bool_], spacing_mm: float) -> Pixels:
    """One slice, cropped to the head, with the outline of its contour."""
    black, white = np.percentile(image, [2, 99.3])
    gray = np.clip((image - black) / max(white - black, 1), 0, 1)
    gray = np.round(gray * (GRAYS - 1)) * (255 / (GRAYS - 1))
    width, height = (round(mm / spacing_mm / 2) for mm in WINDOW_MM)
    middle = np.array(image.shape) // 2
    window = (slice(max(middle[0] - height, 0), middle[0] + height),
              slice(max(middle[1] - width, 0), middle[1] + width))  # fmt: skip
    small = np.array(Image.fromarray(gray[window].astype(np.uint8)).resize(PANEL, Image.Resampling.BILINEAR))
    inside = np.array(Image.fromarray(mask[window]).resize(PANEL, Image.Resampling.NEAREST))
    small = (np.round(small / 255 * (GRAYS - 1)) * (255 / (GRAYS - 1))).astype(np.uint8)
    colored = np.repeat(small[..., None], 3, axis=2)
    core = (
        inside
        & np.roll(inside, 1, 0)
        & np.roll(inside, -1, 0)
        & np.roll(inside, 1, 1)
        & np.roll(inside, -1, 1)
    )
    colored[inside & ~core] = (255, 60, 40)
    return colored


def simulated_panels(patients: int = PATIENTS, seed: int = 7) -> list[Pixels]:
    """Three panels a patient, side by side."""
    sheets = []
    with tempfile.TemporaryDirectory() as folder:
        cohort = simulate_cohort(Path(folder) / "cohort", patients=patients, seed=seed, matrix=MATRIX)
        for patient in sorted((cohort / "MRI-Segments").iterdir()):
            masks = {
                k: sitk.GetArrayFromImage(sitk.ReadImage(str(patient / n))) > 0 for k, n in MASK_NAME.items()
            }
            index = int(masks["t2"].sum(axis=(1, 2)).argmax())
            row = []
            for sequence, name in DESCRIPTION.items():
                reader = sitk.ImageSeriesReader()
                reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(patient / name)))
                image = reader.Execute()
                pixels = sitk.GetArrayFromImage(image)[index].astype(float)
                row.append(panel(pixels, masks[sequence][index], image.GetSpacing()[0]))
            sheets.append(np.concatenate(row, axis=1))
    return sheets


def real_panels(folder: Path) -> list[Pixels]:
    """One panel a slice; their pixels are taken as 0.45 mm."""
    panels = []
    for file in sorted((folder / "images").iterdir()):
        image, mask = (
            np.array(Image.open(folder / part / file.name).convert("L")) for part in ("images", "masks")
        )
        panels.append(panel(image.astype(float), mask > 127, 0.45))
    return panels


def sheet(panels: list[Pixels], columns: int) -> Pixels:
    """Panels in rows, the last one filled up with black."""
    blank = np.zeros_like(panels[0])
    padded = panels + [blank] * (-len(panels) % columns)
    rows = [np.concatenate(padded[i : i + columns], axis=1) for i in range(0, len(padded), columns)]
    return np.concatenate(rows, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("out", type=Path)
    parser.add_argument("--beside", type=Path, help="folder of real slices; keep that picture to yourself")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    pixels = sheet(simulated_panels(seed=arguments.seed), COLUMNS)
    if arguments.beside:
        below = sheet(real_panels(arguments.beside), 3 * COLUMNS)
        pixels = np.concatenate([pixels, below], axis=0)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).quantize(GRAYS + 16).save(arguments.out, optimize=True)


if __name__ == "__main__":
    main()
