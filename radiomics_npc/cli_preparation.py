"""Commands before a study: patients simulated, a manifest written, networks and landmarks learnt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from radiomics_npc.errors import ConfigError
from radiomics_npc.terminal import show

__all__ = ["app"]

app = typer.Typer()

Jobs = Annotated[int | None, typer.Option(min=0, help="Processes; 0 takes all cores.")]
Patients = Annotated[int, typer.Option(min=1, help="How many patients.")]
Seed = Annotated[int, typer.Option(help="Same seed, same patients.")]


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="A folder to be made.")],
    patients: Patients = 277,
    seed: Seed = 20240101,
    matrix: Annotated[int | None, typer.Option(help="Rows and columns, instead of those published.")] = None,
    jobs: Jobs = 0,
    dirty: Annotated[bool, typer.Option(help="Plant a few contradictions of the published table.")] = False,
) -> None:
    """Write a simulated cohort in the published layout."""
    from radiomics_npc.simulate.cohort import simulate_cohort

    made = simulate_cohort(out, patients=patients, seed=seed, matrix=matrix, jobs=jobs or 0, dirty=dirty)
    typer.echo(os.path.relpath(made))


@app.command()
def manifest(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of images, in any known layout.")],
    out: Annotated[Path, typer.Option(help="The .csv to be written.")] = Path("manifest.csv"),
    layout: Annotated[
        str | None, typer.Option(help="As cohort.layout in study.yaml; guessed otherwise.")
    ] = None,
    sequence: Annotated[list[str] | None, typer.Option(help="t1, t2 or ce_t1; may be repeated.")] = None,
) -> None:
    """Write the manifest that a folder would be read by, for editing."""
    from radiomics_npc.cohort.manifest_writing import write_manifest
    from radiomics_npc.settings import SEQUENCES

    made = write_manifest(folder, out, layout=layout, sequences=sequence or SEQUENCES)
    typer.echo(f"{repr(made).strip('<>')}\n{os.path.relpath(made.path)}")
    for note in made.notes:
        typer.echo(note, err=True)


@app.command(name="train-segmenter")
def train_segmenter(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="As configs/segmentation/*.yaml, or the name of one.")
    ],
    output: Annotated[Path | None, typer.Option(help="Folder, instead of the one in the config.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on where an earlier training stopped.")] = True,
    device: Annotated[
        str | None, typer.Option(help="auto, cuda, mps or cpu, instead of the config's.")
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Train networks that contour tumors, on simulated heads or on a cohort with masks."""
    from radiomics_npc.optional import require_torch

    require_torch()
    from radiomics_npc.segmentation import segmenter_training

    made = segmenter_training.train_segmenter(config, output=output, resume=resume, device=device, jobs=jobs)
    typer.echo(os.path.relpath(made))


@app.command()
def landmarks(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="A study.yaml whose images are taken.")],
    out: Annotated[Path, typer.Option(help="The .json for features.landmarks.")] = Path("landmarks.json"),
    patients: Annotated[
        Path | None, typer.Option(help="Only the patients named in this file, one a line.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Only these; may be repeated.")
    ] = None,
    training: Annotated[
        bool, typer.Option(help="Only patients whom the study's temporal validation never holds out.")
    ] = False,
    jobs: Jobs = None,
) -> None:
    """Learn landmarks of intensities (Nyul) from patients who are not held out later."""
    from radiomics_npc.intensity_landmarks import write_landmarks

    made = write_landmarks(study, out, patients=patients, keep=_columns(keep), training=training, jobs=jobs)
    show(made.to_frame(), f"Landmarks of {made.patients} patients")
    typer.echo(os.path.relpath(out))
    if len(made.failures):
        show(made.failures, "Failed (the others were taken)")
        raise typer.Exit(1)


def _columns(given: list[str] | None) -> dict[str, list[str]] | None:
    """Values by column, as they are typed: --keep M=M0 --keep center=A --keep center=B."""
    found: dict[str, list[str]] = {}
    for text in given or []:
        column, told, value = text.partition("=")
        if not told:
            raise ConfigError(f"--keep {text} is no column and value", "Write it as --keep center=A.")
        found.setdefault(column, []).append(value)
    return found or None
