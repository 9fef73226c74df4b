"""A cohort in another format and at another resolution: images and masks in step.

The authors of the published data set convert it to TIFF slices of 256 x 256. They take
slices by the names of their files, scale each slice by its own maximum, and leave the masks
at their own size. Here slices lie in the order of their positions, a whole series has one
scale, and a mask always has the grid of its image.
"""

from __future__ import annotations

import html
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

from radiomics_npc._version import __version__
from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.failures import FAILURE_COLUMNS
from radiomics_npc.cohort.regions import split_name
from radiomics_npc.dataset.case_conversion import SERIES_NAMES, CaseOrder, Conversion, Format, convert_case
from radiomics_npc.dataset.metadata import Source, as_cohort
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.imaging.resampling import Interpolation
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.segmentation.mask_files import folder_name
from radiomics_npc.storage import TEMPORARY, read_table, write_json, write_table

__all__ = ["Converted", "convert"]

_COLUMNS: Final = [
    "patient_id", "center", "sequence", "region", "image", "mask", "label", "columns", "rows", "slices",
    "column_mm", "row_mm", "slice_mm", "source_columns", "source_rows", "source_slices", "source_column_mm",
    "source_row_mm", "source_slice_mm", "type", "low", "high", "volume_cm3", "overlap_voxels",
]  # fmt: skip
_MANIFEST: Final = ["patient_id", "sequence", "region", "image", "mask", "label", "center"]


@dataclass(frozen=True, eq=False)
class Converted:
    """What was written.

    Parameters
    ----------
    out : Path
    to : str
    table : DataFrame
        One row an image and region, as ``conversion.csv``: files, label, matrix and voxel size before and
        after, type of the values, from where to where they were scaled, volume of the mask as written.
    failures : DataFrame
        What could not be converted: patient_id, sequence, stage, error, message, remedy.
    simulated : bool
        Patients that never lived.
    """

    out: Path
    to: str
    table: pd.DataFrame
    failures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FAILURE_COLUMNS))
    simulated: bool = False

    def to_frame(self) -> pd.DataFrame:
        """The table; simulated, if so."""
        return self.table.assign(simulated=True) if self.simulated else self.table.copy()

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self)[1:-1])}</p>{self.to_frame().to_html(index=False)}"

    def __repr__(self) -> str:
        who = " simulated" if self.simulated else ""
        count = self.table["patient_id"].nunique()
        return f"<Converted: {count}{who} patients to {self.to}, {len(self.failures)} failures>"


def convert(
    source: Source,
    out: Path | str,
    *,
    to: Format = "nifti",
    size: int | tuple[int, int] | None = None,
    spacing_mm: float | tuple[float, float] | None = None,
    interpolation: Interpolation = "linear",
    bits: Literal[8, 16] | None = None,
    window: tuple[float, float] | None = None,
    percentiles: tuple[float, float] | None = None,
    slices: bool = False,
    sequences: Sequence[str] | None = None,
    reference: str | None = None,
    jobs: int = 0,
) -> Converted:
    """Write the images and masks of a cohort in another format.

    Parameters
    ----------
    source : Cohort, settings, path or dict
        What :func:`radiomics_npc.cohort.reading.read_cohort` takes.
    out : path
        A new or empty folder, or one that this function wrote before, which is replaced. The source is
        never changed.
    to : {"nifti", "nrrd", "tiff", "nnunet"}
        ``NNN/T1WI.nii.gz`` and ``NNN/T1WI_mask.nii.gz`` (``.nrrd``, ``.tif``) beside a ``manifest.csv``
        that a study reads; TIFF has no manifest, for it has no geometry that others would read.
        ``nnunet`` is ``imagesTr``, ``labelsTr`` and ``dataset.json``. There all sequences of a patient
        must lie on one grid: they are resampled to that of ``reference``, whose mask is the label.
    size : int or (columns, rows), optional
        Matrix of every slice over the same field of view, as 256. Where rows and columns were of
        different number, pixels become oblong.
    spacing_mm : float or (column, row), optional
        Instead of ``size``: pixels of one size. Slices stay as acquired in either case.
    interpolation : {"linear", "bspline", "nearest"}
        Of intensities. Of a mask, voxels are inside that are covered by half.
    bits : {8, 16}, optional
        Scale to whole numbers from 0; without it values stay as stored, where interpolated as float32.
    window : (low, high), optional
        Intensities that become 0 and the highest number.
    percentiles : (low, high), optional
        Instead of ``window``: percentiles of each series, by default 1 and 99.
    slices : bool
        A TIFF file a slice, ``NNN/T1WI_000.tif`` and ``NNN/T1WI_000_mask.tif``, from the first slice along
        the normal to the last, instead of a stack.
    sequences : sequence of str, optional
        By default those of the source.
    reference : str, optional
        For ``nnunet``; by default ``ce_t1``, or the last of ``sequences``.
    jobs : int
        Processes, one patient each; 0 takes all cores.

    Returns
    -------
    Converted
        In ``out`` as well: ``conversion.csv``, ``failures.csv``, and ``dataset.json``, which says if the
        patients are simulated. A sequence that cannot be read, or whose mask does not fit, is a failure
        and the rest is written. The same source gives the same bytes.

    Raises
    ------
    ConfigError
        Options contradict each other, or ``out`` holds something else.
    CohortError
        There is nothing to convert.

    Examples
    --------
    >>> import tempfile
    >>> from radiomics_npc.simulate.cohort import simulate_cohort
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = simulate_cohort(folder / "dicom", patients=1, seed=3, jobs=1, matrix=64)
    >>> made = convert(folder / "dicom", folder / "small", size=32, sequences=["t2"], jobs=1)
    >>> made
    <Converted: 1 simulated patients to nifti, 0 failures>
    >>> print(*made.to_frame().loc[0, ["image", "source_columns", "columns", "simulated"]])
    001/T2WI.nii.gz 64 32 True
    """
    cohort, out = as_cohort(source), Path(out).resolve()
    how = _conversion(
        cohort, to=to, size=_pair(size), spacing_mm=_pair(spacing_mm), interpolation=interpolation, bits=bits,
        window=window, percentiles=percentiles, slices=slices, sequences=sequences, reference=reference,
    )  # fmt: skip
    _require_free(out, cohort)
    temporary = out.with_name(f"{TEMPORARY}{out.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        converted = _convert(cohort, out, temporary, how, jobs)
        if out.exists():
            shutil.rmtree(out)
        temporary.replace(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return converted


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int | float) else value


def _conversion(cohort: Cohort, **asked: Any) -> Conversion:
    """Settle what is asked for."""
    known = tuple(dict.fromkeys(split_name(name)[0] for name in cohort.sequences))
    sequences = tuple(dict.fromkeys(asked.pop("sequences") or known))
    if not cohort.cases or not sequences:
        raise CohortError("there is nothing to convert", "Name a cohort with images.")
    if unknown := [name for name in sequences if name not in known]:
        raise ConfigError(f"the cohort has no {', '.join(unknown)}", f"It has {', '.join(known)}.")
    if asked["reference"] and asked["to"] != "nnunet":
        raise ConfigError("only nnunet has a reference", "Leave it out: every sequence keeps its own grid.")
    reference = asked.pop("reference") or ("ce_t1" if "ce_t1" in sequences else sequences[-1])
    if reference not in sequences:
        raise ConfigError(
            f"reference {reference} is not among the sequences", f"Take one of {', '.join(sequences)}."
        )
    percentiles = asked.pop("percentiles")
    _require_sound(percentiles=percentiles, **asked)
    regions = tuple(dict.fromkeys(split_name(name)[1] for name in cohort.sequences))
    return Conversion(
        sequences=sequences, reference=reference, regions=regions, on_mismatch=cohort.on_mismatch,
        simulated=cohort.simulated, percentiles=percentiles or (1.0, 99.0), **asked,
    )  # fmt: skip


def _require_sound(
    *, to: str, size: Any, spacing_mm: Any, interpolation: str, bits: Any, window: Any, percentiles: Any,
    slices: bool,
) -> None:  # fmt: skip
    if to not in ("nifti", "nrrd", "tiff", "nnunet"):
        raise ConfigError(f"{to!r} is no format", "Take nifti, nrrd, tiff or nnunet.")
    if interpolation not in ("linear", "bspline", "nearest"):
        raise ConfigError(f"{interpolation!r} is no interpolation", "Take linear, bspline or nearest.")
    if size is not None and spacing_mm is not None:
        raise ConfigError("size and spacing_mm are two ways to say one thing", "Give one of them.")
    if size is not None and not all(isinstance(n, int) and 1 <= n <= 8192 for n in size):
        raise ConfigError(f"size {size} is out of range", "Give columns and rows, as 256.")
    if spacing_mm is not None and not all(0 < s < 100 for s in spacing_mm):
        raise ConfigError(f"spacing_mm {spacing_mm} is out of range", "Give millimeters, as 0.5.")
    if bits not in (None, 8, 16):
        raise ConfigError(f"bits {bits} is not offered", "Take 8 or 16, or leave it out.")
    if window is not None and percentiles is not None:
        raise ConfigError("window and percentiles are two ways to say one thing", "Give one of them.")
    if bits is None and (window is not None or percentiles is not None):
        raise ConfigError("values stay as stored without bits", "Give bits (8 or 16), too.")
    if window is not None and not window[0] < window[1]:
        raise ConfigError(f"window {window} is empty", "Give the lower intensity first.")
    if percentiles is not None and not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise ConfigError(f"percentiles {percentiles} are out of order", "Give two from 0 to 100.")
    if slices and to != "tiff":
        raise ConfigError("only TIFF is written as slices", "Take tiff, or a whole volume a file.")


def _require_free(out: Path, cohort: Cohort) -> None:
    """Refuse to replace anything that this function did not write, or reads from."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out.name} is a file", "Name a new folder.")
    if others := _others(out) if out.is_dir() else []:
        problem = f"{out.name} holds {others[0]}, which no conversion wrote"
        raise ConfigError(problem, "Name a new folder, or empty this one.")
    files = [f for case in cohort.cases for own in case.images.values() for f in (own.image, own.mask) if f]
    if any(out in (f.resolve(), *f.resolve().parents) for f in files):
        raise ConfigError(
            f"{out.name} holds images of the source", "Name a new folder: nothing is overwritten."
        )


def _others(out: Path) -> list[str]:
    """What lies in a folder beside a conversion and would be lost with it."""
    own: set[str] = set()
    if (out / "conversion.csv").is_file():
        files = read_table(out / "conversion.csv", usecols=["image", "mask"])
        own = {str(file).partition("/")[0] for file in files.to_numpy().ravel()}
        own |= {"conversion.csv", "failures.csv", "dataset.json", "manifest.csv"}
    return sorted(path.name for path in out.iterdir() if path.name not in own)


def _convert(cohort: Cohort, out: Path, folder: Path, how: Conversion, jobs: int) -> Converted:
    """Convert all patients into ``folder``, which takes the place of ``out`` later."""
    orders = [CaseOrder(case, folder_name(case.patient_id), folder, how) for case in cohort.cases]
    done = map_cases(convert_case, orders, jobs=jobs, ordered=True)
    results = list(track(done, f"Convert to {how.to}", len(orders)))
    table = pd.DataFrame([row for r in results for row in r.rows], columns=_COLUMNS)
    table = table.astype({"label": "Int64", "overlap_voxels": "Int64"})
    failures = pd.DataFrame([f for r in results for f in r.failures], columns=FAILURE_COLUMNS)
    made = Converted(out, how.to, table, failures, cohort.simulated)
    write_table(folder / "conversion.csv", made.to_frame())
    write_table(folder / "failures.csv", failures)
    write_json(folder / "dataset.json", _description(made, how))
    if how.to in ("nifti", "nrrd"):
        write_table(folder / "manifest.csv", table[_MANIFEST])
    return made


def _description(made: Converted, how: Conversion) -> dict[str, Any]:
    """``dataset.json``: whether the patients are simulated, what was asked for, and what nnU-Net needs."""
    labels = {"background": 0} | {region or "tumor": how.label(region) for region in how.regions}
    scaled = {"window": how.window} if how.window is not None else {"percentiles": how.percentiles}
    content: dict[str, Any] = {
        "simulated": made.simulated,
        "patients": int(made.table["patient_id"].nunique()),
        "labels": labels,
        "conversion": {
            "to": how.to,
            "size": how.size,
            "spacing_mm": how.spacing_mm,
            "interpolation": how.interpolation,
            "bits": how.bits,
            **(scaled if how.bits is not None else {}),
            "sequences": {name: SERIES_NAMES[name] for name in how.sequences},
            "slices": "from the first along the normal of the slices to the last",
            "version": __version__,
        },
    }
    if how.to == "nnunet":
        content["channel_names"] = {str(k): name for k, name in enumerate(how.sequences)}
        content["numTraining"] = content["patients"]
        content["file_ending"] = ".nii.gz"
        content["conversion"]["grid"] = f"all sequences were resampled to the grid of {how.reference}"
    return content
