"""The command ``evaluate``: predicted masks scored against references, and methods ranked."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from radiomics_npc.errors import ConfigError
from radiomics_npc.terminal import show

__all__ = ["app"]

app = typer.Typer()

Jobs = Annotated[int | None, typer.Option(min=0, help="Processes; 0 takes all cores.")]


class Surface(StrEnum):
    """What surface distances run between."""

    faces = "faces"
    surfel = "surfel"


class Scheme(StrEnum):
    """How methods are ranked."""

    rank_then_aggregate = "rank_then_aggregate"
    aggregate_then_rank = "aggregate_then_rank"
    case_ranks = "case_ranks"
    test_based = "test_based"


class Empty(StrEnum):
    """What becomes of a class of which nothing is drawn in a case."""

    score = "score"
    omit = "omit"


@app.command()
def evaluate(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="PRED... REF", help="Folders of masks, one a method; the reference last."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and page.")] = Path("evaluation"),
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME=LABEL", help="May be repeated, as GTVp=1.")
    ] = None,
    tolerance: Annotated[
        list[str] | None, typer.Option(metavar="[NAME=]MM", help="Of the NSD, for all or one class.")
    ] = None,
    rank_by: Annotated[
        list[str] | None, typer.Option(help="A measure; may be repeated. By default dice and nsd.")
    ] = None,
    scheme: Annotated[
        Scheme, typer.Option(help="How ranks are made; all four are shown.")
    ] = Scheme.rank_then_aggregate,
    empty_reference: Annotated[
        Empty, typer.Option(help="A class that a case does not have: score it 0 or 1, or omit it.")
    ] = Empty.score,
    surface: Annotated[
        Surface, typer.Option(help="faces, or surfel for numbers as in challenges.")
    ] = Surface.faces,
    resample: Annotated[bool, typer.Option(help="Masks on other grids: take the nearest voxel.")] = False,
    images: Annotated[
        Path | None, typer.Option(help="Folder with the image of each case, where contours need one.")
    ] = None,
    jobs: Jobs = 0,
) -> None:
    """Score folders of predicted masks against references, and rank them as challenges do."""
    from radiomics_npc.cohort.labels import parse_label
    from radiomics_npc.dataset.evaluate import evaluate_folders
    from radiomics_npc.dataset.evaluation_settings import name_methods

    *methods, reference = folders
    if not methods:
        raise ConfigError("one folder alone cannot be compared", "Give the predictions, then the reference.")
    named = {name: parse_label(label) for name, label in _pairs(classes, "--class")}
    found = evaluate_folders(
        name_methods(methods), reference, classes=named or None, tolerances_mm=_tolerances(tolerance),
        measures=rank_by or ("dice", "nsd"), scheme=scheme.value, empty_reference=empty_reference.value,
        surface=surface.value, on_mismatch="resample" if resample else "error", images=images, jobs=jobs or 0,
    )  # fmt: skip
    for path in found.write(out):
        typer.echo(os.path.relpath(path))
    if found.ranking is not None:
        show(found.ranking.to_frame(), "Ranks")
    if len(found.failures):
        show(found.failures, "Could not be used (scored as missing)")
        raise typer.Exit(1)


def _pairs(given: list[str] | None, option: str) -> list[tuple[str, str]]:
    """Names and values as they are typed: GTVp=1."""
    pairs = [text.partition("=") for text in given or []]
    if wrong := [name for name, told, value in pairs if not (name and told and value)]:
        raise ConfigError(f"{option} {wrong[0]} is no name and value", f"Write it as {option} GTVp=1.")
    return [(name, value) for name, _, value in pairs]


def _tolerances(given: list[str] | None) -> float | dict[str, float]:
    """Tolerances as they are typed: 2, or GTVp=1 --tolerance larynx=2."""
    try:
        if given and len(given) == 1 and "=" not in given[0]:
            return float(given[0])
        return {name: float(value) for name, value in _pairs(given, "--tolerance")} or 1.0
    except ValueError:
        raise ConfigError("a tolerance is no number", "Give mm, as --tolerance GTVp=1.") from None
