"""The command line: each command parses, calls one public function, prints, sets the exit code.

Exit codes: 0 done; 1 some patients failed and the rest is written; 2 wrong
command or settings; 3 the input check failed, nothing ran; 4 a fault of ours;
130 interrupted.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from radiomics_npc import cli_dataset, cli_evaluate, cli_preparation
from radiomics_npc._version import __version__
from radiomics_npc.errors import CheckFailedError, ConfigError, RadiomicsNPCError
from radiomics_npc.terminal import show

__all__ = ["app", "main"]

app = typer.Typer(
    help="Radiomics and prognostic modelling of nasopharyngeal carcinoma. Research use only.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(cli_preparation.app)
app.add_typer(cli_evaluate.app)
app.add_typer(cli_dataset.app, name="dataset")

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A study.yaml (see configs/study.yaml).")]
Output = Annotated[Path | None, typer.Option(help="Run folder, instead of the one in the study.")]
Jobs = Annotated[int | None, typer.Option(min=0, help="Processes; 0 takes all cores.")]
Patients = Annotated[int, typer.Option(min=1, help="How many patients.")]
Horizons = Annotated[
    list[str] | None,
    typer.Option("--horizons", "--horizon", help="Months, as 24,36; by default those of the model."),
]
Seed = Annotated[int, typer.Option(help="Same seed, same patients.")]


def _study(file: Path, output: Path | None, jobs: int | None) -> Any:
    from radiomics_npc.study import Study

    return Study(file, output=output, jobs=jobs)


def _months(given: list[str] | None) -> list[float] | None:
    """Horizons as they are typed: 24,36 or --horizons 24 --horizons 36."""
    try:
        return [float(month) for text in given or [] for month in text.split(",")] or None
    except ValueError:
        raise ConfigError("horizons are no numbers", "Give months, as --horizons 24,36.") from None


def _finish(study: Any, *paths: Path) -> None:
    """Say where the results are; exit code 1 when some patients failed."""
    for path in paths:
        typer.echo(os.path.relpath(path))
    failures = study.failures
    if len(failures):
        show(failures, "Failed (the rest is written)")
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="A folder to be made.")] = Path("radiomics_npc_demo"),
    patients: Patients = 120,
    seed: Seed = 20240101,
    matrix: Annotated[int, typer.Option(help="Rows and columns of the images.")] = 256,
    jobs: Jobs = None,
) -> None:
    """Simulate patients, then run everything: images to nomogram and report."""
    from radiomics_npc.demo import run_demo

    study = run_demo(out, patients=patients, seed=seed, matrix=matrix, jobs=jobs)
    _finish(study, study.run_folder / "nomogram.html", study.run_folder / "report.html")


@app.command()
def check(study: StudyFile, output: Output = None, jobs: Jobs = None) -> None:
    """List every fault of the cohort at once, each with a remedy."""
    work = _study(study, output, jobs)
    report = work.check()
    report.print()
    typer.echo(os.path.relpath(work.run_folder / "check.html"))
    if not report.ok:
        raise typer.Exit(3)


@app.command()
def run(study: StudyFile, output: Output = None, jobs: Jobs = None) -> None:
    """Do all stages: check, segment, extract, fit, nomogram, report. Again: it goes on where it stopped."""
    work = _study(study, output, jobs)
    _finish(work, *work.run())


@app.command()
def segment(study: StudyFile, output: Output = None, jobs: Jobs = None) -> None:
    """Check, and predict the masks that the study asks for."""
    work = _study(study, output, jobs)
    found = work.segment()
    if found is None:
        raise ConfigError("the study says segmentation: null", "Say how masks are predicted; see study.yaml.")
    table = found.to_frame()
    wanted = ("patient_id", "sequence", "volume_cm3", "flags", "mask", "simulated")
    model = "a model trained on simulated heads only" if found.model["simulated"] else found.model["name"]
    title = f"Masks predicted by {model}: {len(table)}. Look at every one before results are used."
    show(table[[name for name in wanted if name in table]], title)
    _finish(work, work.run_folder / "tables" / "segmentation.csv", work.run_folder / "check.html")


@app.command()
def extract(study: StudyFile, output: Output = None, jobs: Jobs = None) -> None:
    """Check and extract features."""
    work = _study(study, output, jobs)
    work.extract()
    _finish(work, work.run_folder / "tables" / "features.csv")


@app.command()
def fit(study: StudyFile, output: Output = None, jobs: Jobs = None) -> None:
    """Check, extract, cross-validate and fit the models."""
    work = _study(study, output, jobs)
    show(work.fit().to_frame(), "Cross-validated")
    _finish(work, work.run_folder / "models")


@app.command()
def validate(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model folder, e.g. run/models/combined_cox.")
    ],
    cohort: Annotated[Path, typer.Argument(metavar="COHORT", help="A study.yaml of the new cohort.")],
    output: Output = None,
    jobs: Jobs = None,
) -> None:
    """Validate a frozen model on another cohort."""
    work = _study(cohort, output, jobs)
    validation = work.validate(model)
    show(validation.to_frame(), f"Validation of {model.name}")
    _finish(work, work.run_folder / "tables" / f"validation_{model.name}.csv")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV, XLSX or parquet, one row a patient.")],
    output: Annotated[
        Path | None, typer.Option("--output", "--out", help="A .csv, .json or .parquet to be written.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Radiomic features, if not in TABLE: RUN/tables/features.csv.")
    ] = None,
    horizons: Horizons = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; no file unless --output.")] = False,
) -> None:
    """Predict for the patients of a table; values outside the training range give no probability."""
    from radiomics_npc.survival.models.prediction import predict as predicted

    found = predicted(model, table, features=features, horizons_months=_months(horizons))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=2, allow_nan=False))
    if output is not None or not as_json:
        path = found.write(output or Path("predictions.csv"))
        typer.echo(os.path.relpath(path), err=as_json)
    for note in found.notes:
        typer.echo(note, err=True)
    if len(left := found.unscored):
        typer.echo(f"{len(left)} of {len(found.table)} patients could not be scored:", err=True)
        for who, flags in left.head(40).itertuples(index=False):
            typer.echo(f"  {who}  {flags}", err=True)
        raise typer.Exit(1)


@app.command()
def nomogram(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder of a Cox model or a surrogate.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files; the current one by default.")
    ] = None,
    horizons: Horizons = None,
) -> None:
    """Draw the nomogram of a Cox model: svg, pdf, png, table and the interactive page."""
    from radiomics_npc.nomogram.saved_model import nomogram_of_folder

    for path in nomogram_of_folder(model, _months(horizons)).write(out or Path.cwd()):
        typer.echo(os.path.relpath(path))


@app.command()
def report(run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]) -> None:
    """Write the report of a run folder again, from its tables and models."""
    from radiomics_npc.report.content import write_run_report

    typer.echo(os.path.relpath(write_run_report(run)))


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    try:
        app(arguments, standalone_mode=True)
    except KeyboardInterrupt:
        typer.echo("Interrupted; run the same command again to go on.", err=True)
        sys.exit(130)
    except CheckFailedError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(3)
    except RadiomicsNPCError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except Exception as error:  # noqa: BLE001 - the last place where a fault of ours can be reported
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        typer.echo(f"Internal error ({type(error).__name__} at {place}); please report it.", err=True)
        if os.environ.get("RADIOMICS_NPC_DEBUG"):
            traceback.print_exc()
        sys.exit(4)
