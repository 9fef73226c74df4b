"""The ``dataset`` commands: a cohort described, measured, compared, de-identified, converted, downloaded."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from radiomics_npc.errors import ConfigError
from radiomics_npc.terminal import show

__all__ = ["app"]

app = typer.Typer(help="Data sets: one's own beside the published one.", no_args_is_help=True)

Source = Annotated[
    Path,
    typer.Argument(metavar="SOURCE", help="A folder of images, a manifest CSV, or a study.yaml."),
]
Jobs = Annotated[int, typer.Option(min=0, help="Processes; 0 takes all cores.")]


def _table(path: Path) -> Path:
    """Refuse a table that could not be written, before anything is measured."""
    if path.is_dir() or path.suffix not in (".csv", ".parquet"):
        raise typer.BadParameter(f"{path.name} is no table. Name a .csv or .parquet file.")
    return path


class Format(StrEnum):
    """What images can be converted to."""

    nifti = "nifti"
    nrrd = "nrrd"
    tiff = "tiff"
    nnunet = "nnunet"


class Interpolation(StrEnum):
    """How values between voxels are found."""

    linear = "linear"
    bspline = "bspline"
    nearest = "nearest"


class Dates(StrEnum):
    """What becomes of dates."""

    remove = "remove"
    shift = "shift"


class BurnedIn(StrEnum):
    """What becomes of images that may have text in their pixels."""

    warn = "warn"
    refuse = "refuse"


def _finish(result: Any, *paths: Path) -> None:
    """Say what was made and where; exit code 1 when something failed."""
    typer.echo(repr(result).strip("<>"))
    for path in paths:
        typer.echo(os.path.relpath(path))
    if len(result.failures):
        show(result.failures, "Failed (the rest is written)")
        raise typer.Exit(1)


@app.command()
def describe(
    source: Source,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for the tables (CSV, HTML, Word).")
    ] = Path("description"),
    jobs: Jobs = 0,
) -> None:
    """Tables 1 to 4 of the published data set for any cohort, beside the published figures."""
    from radiomics_npc.dataset.describe import describe as described

    found = described(source, jobs=jobs)
    _finish(found, *found.write(out))


@app.command()
def metadata(
    source: Source,
    out: Annotated[Path, typer.Option(callback=_table, help="The .csv or .parquet to be written.")] = Path(
        "meta_data.csv"
    ),
    jobs: Jobs = 0,
) -> None:
    """Acquisition parameters of every series, as meta_data.csv of the published data set."""
    from radiomics_npc.dataset.metadata import read_metadata

    found = read_metadata(source, jobs=jobs)
    _finish(found, found.write(out))


@app.command()
def morphology(
    source: Source,
    out: Annotated[Path, typer.Option(callback=_table, help="The .csv or .parquet to be written.")] = Path(
        "morphological_parameters.csv"
    ),
    jobs: Jobs = 0,
) -> None:
    """Volume, surface area, largest diameter and surface regularity of every mask."""
    from radiomics_npc.dataset.morphology import measure_morphology

    found = measure_morphology(source, jobs=jobs)
    _finish(found, found.write(out))


@app.command()
def agreement(
    first: Annotated[Path, typer.Argument(help="Masks of one rater: a folder, manifest or study.yaml.")],
    second: Annotated[
        Path | None, typer.Argument(help="Those of the other; none: both lie in FIRST.")
    ] = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for tables, page and figures.")] = Path(
        "agreement"
    ),
    tolerance: Annotated[
        list[float] | None, typer.Option(help="Of the surface distance, in mm; may be repeated.")
    ] = None,
    resample: Annotated[bool, typer.Option(help="Masks on other grids: take the nearest voxel.")] = False,
    jobs: Jobs = 0,
) -> None:
    """Dice, Jaccard, surface distances and volumes between two sets of masks."""
    from radiomics_npc.dataset.agreement import compare_masks

    found = compare_masks(
        first, second, tolerances_mm=tolerance or (1.0, 2.0), on_mismatch="resample" if resample else None,
        jobs=jobs,
    )  # fmt: skip
    _finish(found, *found.write(out))


@app.command()
def deidentify(
    source: Annotated[Path, typer.Argument(help="Folder of DICOM files; it is only read.")],
    out: Annotated[Path, typer.Argument(help="A new folder, elsewhere.")],
    secret: Annotated[
        Path | None,
        typer.Option(help="File that keys pseudonyms, UIDs and dates; made beside OUT if there is none."),
    ] = None,
    keep_acquisition: Annotated[bool, typer.Option(help="Scanner model and acquisition parameters.")] = True,
    dates: Annotated[Dates, typer.Option(help="Remove, or shift all of a patient alike.")] = Dates.remove,
    patient_ids: Annotated[
        Path | None, typer.Option(help="CSV with patient_id and pseudonym, instead of keyed hashes.")
    ] = None,
    keep_private: Annotated[bool, typer.Option(help="Private tags that the standard calls safe.")] = False,
    keep_patient: Annotated[bool, typer.Option(help="Sex, and age as decade.")] = False,
    keep_device: Annotated[bool, typer.Option(help="Serial number and name of the scanner.")] = False,
    burned_in: Annotated[BurnedIn, typer.Option(help="Images that may show text.")] = BurnedIn.warn,
    mapping: Annotated[
        Path | None, typer.Option(help="Write who became whom into this file; by default nobody can tell.")
    ] = None,
    jobs: Jobs = 0,
) -> None:
    """Copy DICOM files without identities (PS3.15 basic profile), and check what was written."""
    from radiomics_npc.dataset.deidentify import deidentify as deidentified

    found = deidentified(
        source, out, secret=secret, keep_acquisition=keep_acquisition, dates=dates.value,
        patient_ids=patient_ids, keep_private=keep_private, keep_patient=keep_patient,
        keep_device=keep_device, burned_in=burned_in.value, mapping=mapping, jobs=jobs,
    )  # fmt: skip
    for warning in found.warnings:
        typer.echo(warning, err=True)
    _finish(found, out, *([found.secret_file] if found.secret_made and found.secret_file else []))


@app.command()
def convert(
    source: Source,
    out: Annotated[Path, typer.Argument(help="A new folder.")],
    to: Annotated[Format, typer.Option(help="Kind of file, or of folder.")] = Format.nifti,
    size: Annotated[int | None, typer.Option(min=1, help="Rows and columns of every slice, as 256.")] = None,
    spacing: Annotated[float | None, typer.Option(help="Pixel size in mm, instead of --size.")] = None,
    interpolation: Annotated[Interpolation, typer.Option(help="Of images.")] = Interpolation.linear,
    bits: Annotated[int | None, typer.Option(help="8 or 16: scale to whole numbers; else as stored.")] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(help="With --bits: the values that become 0 and the highest number."),
    ] = None,
    percentiles: Annotated[
        tuple[float, float] | None,
        typer.Option(help="The same by percentiles of each series; by default 1 and 99."),
    ] = None,
    slices: Annotated[bool, typer.Option(help="TIFF: one file a slice.")] = False,
    sequence: Annotated[list[str] | None, typer.Option(help="t1, t2 or ce_t1; may be repeated.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="nnunet: the sequence whose grid all others take.")
    ] = None,
    jobs: Jobs = 0,
) -> None:
    """Convert images and masks, in step, at their own or a chosen in-plane resolution."""
    from radiomics_npc.dataset.convert import convert as converted

    if bits not in (None, 8, 16):
        raise ConfigError(f"--bits {bits} is neither 8 nor 16", "Choose one, or leave it out.")
    found = converted(
        source, out, to=to.value, size=size, spacing_mm=spacing, interpolation=interpolation.value,
        bits=cast(Literal[8, 16] | None, bits),
        window=window, percentiles=percentiles, slices=slices, sequences=sequence, reference=reference,
        jobs=jobs,
    )  # fmt: skip
    _finish(found, out)


@app.command()
def download(
    out: Annotated[Path, typer.Argument(file_okay=False, help="Folder for the files.")],
    record: Annotated[str, typer.Argument(help="Number or DOI of a Zenodo record.")] = "13131827",
    file: Annotated[list[str] | None, typer.Option(help="Only this file; may be repeated.")] = None,
    unpack: Annotated[bool, typer.Option(help="Unpack archives.")] = True,
    base_url: Annotated[str | None, typer.Option(help="Another server of the same kind.")] = None,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a server that is silent.")
    ] = 120,
) -> None:
    """Download a data set from Zenodo; the only command that uses a network."""
    from radiomics_npc.dataset.download import ZENODO
    from radiomics_npc.dataset.download import download as downloaded

    made = downloaded(
        out, record, files=file, unpack=unpack, base_url=base_url or ZENODO, patience_s=patience
    )
    typer.echo(made.summary)
