"""A cohort of patients that never lived, in the layout of the published data set."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc._version import __version__
from radiomics_npc.errors import ConfigError
from radiomics_npc.imaging.mesh import mesh_geometry
from radiomics_npc.imaging.volume import Mask
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.settings import Sequence
from radiomics_npc.simulate.acquisition import Series, draw_series
from radiomics_npc.simulate.anatomy import Head, build_head
from radiomics_npc.simulate.clinical import clinical_table, draw_patients, truth_table
from radiomics_npc.simulate.dicom import DESCRIPTION, write_series
from radiomics_npc.simulate.nodes import enlarged_nodes, normal_nodes
from radiomics_npc.simulate.physics import take_image
from radiomics_npc.simulate.published import MORPHOLOGY
from radiomics_npc.simulate.tumor import INNER, Growth, contour, draw_interior, grow
from radiomics_npc.simulate.variation import draw_variation
from radiomics_npc.storage import write_atomic, write_json, write_table

__all__ = ["simulate_cohort"]

MASK_NAME: Final = {"t1": "ROI-T1.nii", "t2": "ROI-T2.nii", "ce_t1": "ROI-CE-T1.nii"}
# tumors are drawn a little larger after contrast (medians of the published Table 2: 8.60, 8.67, 9.42 cm3)
_VOLUME_RATIO: Final = {"t1": 1.0, "t2": 8.67 / 8.60, "ce_t1": 9.42 / 8.60}
_ATTEMPTS: Final = 12

Masks = dict[Sequence, NDArray[np.bool_]]


@dataclass(frozen=True)
class _Order:
    """What a worker needs to make one patient."""

    folder: Path
    patient_id: str
    seed: int
    matrix: int | None
    t_stage: str
    n_stage: str
    scanner: str
    volume_cm3: float
    heterogeneity: float
    age: float


@dataclass(frozen=True)
class _Made:
    """What a worker gives back: rows of the tables."""

    label: str
    morphology: list[dict[str, Any]]
    acquisition: list[dict[str, Any]]


def simulate_cohort(
    out: Path | str,
    *,
    patients: int,
    seed: int,
    jobs: int = 0,
    dirty: bool = False,
    matrix: int | None = None,
) -> Path:
    """Write a simulated cohort in the published layout.

    Parameters
    ----------
    out : path
        A new or empty folder, or one that this function wrote before.
    patients : int
        How many.
    seed : int
        The same seed gives the same bytes for any number of processes, and the same first patients
        for any number of patients.
    jobs : int
        Worker processes; 0 takes all cores.
    dirty : bool
        Plant the contradictions of the published clinical table.
    matrix : int, optional
        Rows and columns of every image, instead of 256 to 640 as published. Smaller is faster
        and takes less disk (512: about 55 MB a patient; 256: about 14 MB).

    Returns
    -------
    Path
        ``out``. It holds ``MRI-Segments/NNN/{T1WI,T2WI,CE-T1WI}/*.dcm`` and
        ``MRI-Segments/NNN/ROI-{T1,T2,CE-T1}.nii``, ``info_diagnoses.csv``,
        ``morphological_parameters.csv``, ``meta_data.csv``, ``truth.csv`` (the oracle) and ``dataset.json``.

    Raises
    ------
    ConfigError
        A number is out of range, or ``out`` holds something else.

    Examples
    --------
    >>> import tempfile
    >>> folder = simulate_cohort(tempfile.mkdtemp(), patients=1, seed=3, jobs=1, matrix=64)
    >>> sorted(p.name for p in (folder / "MRI-Segments" / "001").iterdir())
    ['CE-T1WI', 'ROI-CE-T1.nii', 'ROI-T1.nii', 'ROI-T2.nii', 'T1WI', 'T2WI']
    """
    out = Path(out).absolute()  # worker processes may have another current folder
    if matrix is not None and not 32 <= matrix <= 1024:
        raise ConfigError(f"matrix {matrix} is out of range", "Take 32 to 1024, or leave it out.")
    table = draw_patients(patients, seed, dirty)
    _claim(out, {"simulated": True, "seed": seed, "patients": patients, "dirty": dirty, "matrix": matrix})
    orders = [_order(out, str(i), row, seed, matrix) for i, row in table.iterrows()]
    made = list(track(map_cases(_make_patient, orders, jobs=jobs), "Simulate", len(orders)))
    made.sort(key=lambda m: m.label)
    write_table(out / "info_diagnoses.csv", clinical_table(table))
    write_table(out / "morphological_parameters.csv", pd.DataFrame([r for m in made for r in m.morphology]))
    write_table(out / "meta_data.csv", pd.DataFrame([r for m in made for r in m.acquisition]))
    write_table(out / "truth.csv", truth_table(table))
    return out


def _claim(out: Path, description: dict[str, Any]) -> None:
    """Take a new or empty folder, or clear an earlier simulation; refuse anything else."""
    marker = out / "dataset.json"
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not _is_simulated(marker))):
        raise ConfigError(
            f"{out.name} is not empty and not a simulated cohort", "Name a new folder, or empty this one."
        )
    # images of other patients or other slices must not stay behind
    if (out / "MRI-Segments").exists():
        shutil.rmtree(out / "MRI-Segments")
    write_json(marker, {**description, "version": __version__})


def _is_simulated(marker: Path) -> bool:
    try:
        return json.loads(marker.read_text(encoding="utf-8")).get("simulated") is True
    except (FileNotFoundError, ValueError, AttributeError):
        return False


def _order(out: Path, patient_id: str, row: pd.Series, seed: int, matrix: int | None) -> _Order:
    return _Order(
        out / "MRI-Segments" / patient_id, patient_id, seed, matrix, str(row["T"]), str(row["N"]),
        str(row["scanner"]), float(row["volume_cm3"]), float(row["heterogeneity"]),
        float(row["age"]),
    )  # fmt: skip


def _make_patient(order: _Order) -> _Made:
    # the third number keeps these draws apart from those of the clinical table
    rng = np.random.default_rng([order.seed, int(order.patient_id), 1])
    series = draw_series(rng, order.scanner, order.matrix)
    ends = [s.axes[0][[0, -1]] for s in series.values()]
    z_range = (min(e[0] for e in ends) - 5, max(e[1] for e in ends) + 5)
    head = _draw_head(rng, order, z_range)
    growth, masks, morphology = _fitting_tumor(rng, head, order, series)
    interior = draw_interior(rng, head, growth, order.volume_cm3 * INNER, order.heterogeneity)
    for sequence, one in series.items():
        image = take_image(rng, head, interior, one)
        write_series(order.folder / DESCRIPTION[sequence], image, one, order.patient_id, order.seed)
        _write_mask(order.folder / MASK_NAME[sequence], masks[sequence], one)
    rows = [{"patient_id": order.patient_id, **row} for row in morphology]
    return _Made(order.patient_id, rows, [_acquisition_row(order.patient_id, s) for s in series.values()])


def _draw_head(rng: np.random.Generator, order: _Order, z_range: tuple[float, float]) -> Head:
    nodes = (*normal_nodes(rng), *enlarged_nodes(rng, order.n_stage))
    return build_head(rng, z_range, nodes, draw_variation(rng, order.age))


def _fitting_tumor(
    rng: np.random.Generator, head: Head, order: _Order, series: dict[Sequence, Series]
) -> tuple[Growth, Masks, list[dict[str, Any]]]:
    """Grow until all masks lie inside the published ranges, a little smoother at each attempt.

    If no attempt fits (seen only with very coarse matrices), the last one stays.
    """
    for attempt in range(_ATTEMPTS):
        roughness = float(np.clip(rng.normal(1.08, 0.15), 0.4, 1.4)) * 0.93**attempt
        growth = grow(rng, head, order.t_stage, roughness)
        masks, rows, fits = {}, [], True
        for sequence, one in series.items():
            wanted = order.volume_cm3 * _VOLUME_RATIO[sequence] * float(np.exp(rng.normal(0, 0.03)))
            masks[sequence] = contour(rng, growth, one, wanted)
            row = _morphology(masks[sequence], one)
            fits = fits and _published(row, sequence) and abs(row["volume_cm3"] / wanted - 1) < 0.15
            rows.append({"sequence": DESCRIPTION[sequence], **row})
        if fits:
            break
    return growth, masks, rows


def _morphology(mask: NDArray[np.bool_], series: Series) -> dict[str, float]:
    mesh = mesh_geometry(mask, series.spacing_mm)
    area, volume = mesh.area_mm2 / 100, mesh.volume_mm3 / 1000
    return {
        "volume_cm3": round(volume, 4),
        "surface_area_cm2": round(area, 4),
        "max_diameter_cm": round(mesh.max_diameter_mm / 10, 4),
        "surface_regularity": round(6 * float(np.sqrt(np.pi)) * volume / area**1.5, 4),
    }


def _published(row: dict[str, Any], sequence: Sequence) -> bool:
    return all(limits.low <= row[name] <= limits.high for name, limits in MORPHOLOGY[sequence].items())


def _write_mask(path: Path, mask: NDArray[np.bool_], series: Series) -> None:
    import SimpleITK as sitk

    geometry = Mask(mask, series.spacing_mm, series.origin_mm, series.direction)
    with write_atomic(path) as temporary:
        sitk.WriteImage(geometry.to_sitk(), str(temporary))


def _acquisition_row(patient_id: str, series: Series) -> dict[str, Any]:
    fov = round(series.matrix * series.spacing_mm[0])
    return {
        "patient_id": patient_id,
        "sequence": DESCRIPTION[series.sequence],
        "scanner_device_name": series.model,
        "magnetic_field_strength": series.field_tesla,
        "echo_time": series.echo_time,
        "repetition_time": series.repetition_time,
        "flip_angle": series.flip_angle,
        "pixel_spacing": series.spacing_mm[0],
        "spacing_between_slices": series.spacing_mm[2],
        "slice_thickness": series.thickness_mm,
        "field_of_view": f"{fov}x{fov}",
        "matrix_rows": series.matrix,
        "matrix_columns": series.matrix,
    }
