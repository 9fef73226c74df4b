"""The card beside the weights: what they were trained on, how good they are, and what they are not for.

Every aim is printed beside the number that was reached, whether it was reached or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from radiomics_npc.errors import ModelFileError
from radiomics_npc.segmentation.aims import AIMS, Aim, compare_aims
from radiomics_npc.storage import write_text

__all__ = ["read_description", "write_card"]

FIRST_LINE: Final = {
    True: "**These weights were trained on simulated heads only, on no image of a patient.**",
    False: "**These weights were trained on a cohort with contours, described below.**",
}
_RETRAIN: Final = "radiomics-npc train-segmenter configs/segmentation/cohort.yaml"


#: Heading and column of the tables, what is printed of it, and its decimals.
_SHOWN: Final = (
    ("Dice", "dice", "mean", 3),
    ("Dice, median", "dice", "median", 3),
    ("HD95 mm, median", "hd95_mm", "median", 1),
    ("NSD 1 mm", "nsd_1mm", "mean", 3),
    ("NSD 2 mm", "nsd_2mm", "mean", 3),
    ("sensitivity", "sensitivity", "mean", 3),
    ("precision", "precision", "mean", 3),
    ("volume error %, median", "volume_error_percent", "median", 0),
)
_HEADINGS: Final = {
    ("patients", "all"): "Simulated patients, all three sequences",
    ("patients", "volume_third"): "By volume of the tumor",
    ("patients", "t_category"): "By T category",
    ("patients", "scanner"): "By scanner",
    ("subsets", "sequences"): "By the sequences given (any may be missing)",
    ("contrasts", "regime"): "By contrast regime (the same heads in each)",
    ("real_slices", "pixel"): "Real T2 slices, by the pixel size assumed",
}

_PURPOSE: Final = """\
## What it is for

First contours of the primary tumor of nasopharyngeal carcinoma on axial T1, T2 and contrast-enhanced T1 (any
one or two will do), so that a study without contours runs to its end and a reader has something to correct; a
trial of the software; a start for training on a cohort of one's own.

## What it is not for

- Treatment, dose planning, staging, or any decision about a patient: this is not a medical device.
- Results that are published without a look at each contour by someone who reads these images.
- Lymph nodes: they are told apart from the tumor, not offered as contours.
- CT, PET, sagittal or coronal stacks alone, children, images after treatment: never tried.
"""

_SIMPLER: Final = """\
- A simulated head is simpler than a real one. Numbers on simulated patients say how well the networks learnt
  what they were shown; they are no forecast for the images of a hospital. Ten real T2 slices were looked at
  while the simulation was made, and signals of its tissues adjusted to them.

Pictures of the worst: `docs/segmentation_failures.png`; good, median and worst:
`docs/segmentation_examples.png`."""


def read_description(folder: Path) -> dict[str, Any]:
    """What ``model.json`` beside the weights says.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict

    Raises
    ------
    ModelFileError
        It cannot be read.
    """
    try:
        found: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(
            f"{folder.name} holds no readable model.json", "Name the folder of a trained model."
        ) from error
    return found


def write_card(
    folder: Path,
    summary: pd.DataFrame,
    description: Mapping[str, Any] | None = None,
    *,
    notes: Mapping[str, str] | None = None,
    aims: Sequence[Aim] = AIMS,
) -> Path:
    """Write ``CARD.md`` beside the weights.

    Parameters
    ----------
    folder : Path
        Of the model.
    summary : DataFrame
        From :func:`radiomics_npc.segmentation.evaluation.summarize`, with a column ``set``: ``patients``,
        ``subsets``, ``contrasts``, ``tumor_free``, ``real_slices``; the card says which were not measured.
    description : mapping, optional
        What ``model.json`` holds; read from the folder by default.
    notes : mapping, optional
        ``command`` and ``hardware`` of the training, ``evaluation`` (how the numbers were made),
        ``real_slices`` (what these are), ``failures`` (what was seen by looking), as Markdown.
    aims : sequence of Aim

    Returns
    -------
    Path

    Raises
    ------
    ModelFileError
        There is no description.
    ConfigError
        The summary lacks a column.
    """
    about = read_description(folder) if description is None else description
    said = notes or {}
    parts = [
        FIRST_LINE[bool(about.get("simulated", True))],
        "# Segmenter of nasopharyngeal carcinoma on MRI",
        _PURPOSE,
        _training(about, said),
        _aims(compare_aims(summary, aims)),
        _tables(summary, said),
        _failures(summary, said),
        _closing(simulated=bool(about.get("simulated", True))),
    ]
    path = folder / "CARD.md"
    write_text(path, "\n\n".join(part.strip() for part in parts) + "\n")
    return path


def _training(about: Mapping[str, Any], said: Mapping[str, str]) -> str:
    training = about.get("training", {})
    members = about.get("members", [])
    seconds = training.get("seconds")
    rows = {
        "networks": f"{len(members)}, averaged" if members else None,
        "seeds": ", ".join(str(m.get("seed")) for m in members),
        "architecture": _plain(about.get("architecture")),
        "grid": _plain(about.get("grid")),
        "sequences": _plain(about.get("sequences")),
        "data": _plain(training.get("data")),
        "settings": _plain(training.get("settings")),
        "steps": _plain(training.get("steps")),
        "time": ", ".join(f"{s / 3600:.1f}" for s in seconds) + " hours" if seconds else None,
        "hardware": said.get("hardware"),
        "versions": _plain(training.get("versions")),
        "command": f"`{said['command']}`" if "command" in said else None,
    }
    lines = [f"| {name} | {value or 'not recorded'} |" for name, value in rows.items()]
    return "\n".join(["## Training", "", "| | |", "|---|---|", *lines])


def _plain(value: Any) -> str:
    """Nested settings on one line of a table."""
    if isinstance(value, Mapping):
        return "; ".join(f"{k}: {_plain(v) or 'none'}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(v) for v in value)
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _aims(found: pd.DataFrame) -> str:
    lines = [
        "## What was aimed at, and what was reached",
        "",
        "| aim | wanted | n | mean (95% CI) | reached |",
    ]
    lines.append("|---|---|---|---|---|")
    for row in found.to_dict("records"):
        measured = row["reached"] != "not measured"
        numbers = f"{row['n']:.0f} | {_interval(row, 3)}" if measured else "0 | -"
        said = "**no**" if row["reached"] == "no" else row["reached"]
        lines.append(f"| {row['aim']} | {row['wanted']} | {numbers} | {said} |")
    missed = int((found["reached"] != "yes").sum())
    verdict = "All aims were reached." if not missed else f"{missed} of {len(found)} aims were not reached."
    return "\n".join(
        [*lines, "", f"{verdict} An aim counts by its mean; its interval may lie on both sides."]
    )


def _tables(summary: pd.DataFrame, said: Mapping[str, str]) -> str:
    parts = ["## Evaluation", said.get("evaluation", ""), _RULES]
    for (name, by), heading in _HEADINGS.items():
        rows = summary[(summary["set"] == name) & (summary["by"] == by)]
        parts.append(f"### {heading}")
        if name == "real_slices":
            parts.append(said.get("real_slices", ""))
        parts.append(_table(rows) if len(rows) else "Not measured.")
    free = summary[(summary["set"] == "tumor_free") & (summary["measure"] == "predicted_cm3")]
    parts.append("### Heads without a tumor")
    lines = [
        f"False volume: mean {_interval(row, 2)} cm3, median {row['median']:.2f} cm3, n = {row['n']}."
        for row in free[free["by"] == "all"].to_dict("records")
    ]
    parts.append("\n".join(lines) or "Not measured.")
    return "\n\n".join(part for part in parts if part)


_RULES: Final = (
    "All patients and heads are simulated, but for the real slices.\n"
    "Means with 95% intervals (bootstrap over patients, percentiles of 2,000 samples); n counts patients,\n"
    "whose sequences are averaged first. A prediction that is missing scores 0 (the rule of SegRap), and\n"
    "its distances are infinite; so are those of an empty one where there is a tumor."
)


def _failures(summary: pd.DataFrame, said: Mapping[str, str]) -> str:
    """The group of every table where Dice is lowest, and what was seen by looking."""
    dice = summary[(summary["measure"] == "dice") & (summary["by"] != "all")]
    lines = []
    for (name, by), heading in _HEADINGS.items():
        rows = dice[(dice["set"] == name) & (dice["by"] == by)]
        if len(rows) > 1:
            worst = rows.sort_values("mean").to_dict("records")[0]
            lines.append(
                f"- {heading}: worst for {worst['group']}, Dice {_interval(worst, 3)}, n = {worst['n']}."
            )
    return "\n".join(["## Known failures", "", *lines, *filter(None, [said.get("failures")]), _SIMPLER])


def _table(rows: pd.DataFrame) -> str:
    """One line a group; measures that this set lacks are left out."""
    there = set(rows["measure"])
    shown = [one for one in _SHOWN if one[1] in there]
    lines = [
        "| group | n | "
        + " | ".join(h + (" (95% CI)" if s == "mean" else "") for h, _, s, _ in shown)
        + " |",
        "|" + "---|" * (len(shown) + 2),
    ]
    for group, part in rows.groupby("group", sort=False):
        found = part.set_index("measure").to_dict("index")
        cells = [
            _interval(found[m], digits) if statistic == "mean" else _number(found[m]["median"], digits)
            for _, m, statistic, digits in shown
        ]
        lines.append(f"| {group} | {part['n'].iloc[0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _interval(row: Mapping[Any, Any], digits: int) -> str:
    if pd.isna(row["lower"]):
        return _number(row["mean"], digits)
    return f"{row['mean']:.{digits}f} ({row['lower']:.{digits}f} to {row['upper']:.{digits}f})"


def _number(value: float, digits: int) -> str:
    return "-" if pd.isna(value) else f"{value:.{digits}f}".replace("inf", "infinite")


def _closing(*, simulated: bool) -> str:
    held = " The weights hold no image and no data of any patient." if simulated else ""
    return f"""\
## With a cohort of one's own

Images and contours in the layout of any study file:

    {_RETRAIN}

trains, cross-validates and writes a model folder like this one, with no other code; it may be stopped at any
moment and resumed. Name that folder as `segmentation: model:` in the study.

## License

GPL-3.0-or-later, as the software.{held}
"""
