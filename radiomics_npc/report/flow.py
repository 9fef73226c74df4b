"""From the patients read to those analyzed: who failed, who was left out, so that the numbers add up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import pandas as pd

from radiomics_npc.nomogram.labels import column_label, sequence_label
from radiomics_npc.nomogram.style import GREY, INK, figure_style, new_figure
from radiomics_npc.report.writing import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FlowStep", "flow_figure", "flow_steps", "measured_flow", "reason_words"]

_NO_FEATURES = re.compile(r"no features of ([\w-]+): ")  # the last of the reasons, each with its message


@dataclass(frozen=True)
class FlowStep:
    """A box of the flow: patients who go on, or (``out``) those who leave, and why."""

    patients: int
    words: str
    reasons: tuple[tuple[int, str], ...] = ()
    out: bool = False


def reason_words(reason: str) -> str:
    """Why a patient left, without names of settings and messages of single files.

    Examples
    --------
    >>> reason_words("event at time 0; left out (outcome.time_zero: exclude)")
    'event at time 0'
    >>> reason_words("only M M0 is kept")
    'M category other than M0'
    >>> reason_words("no features of t1: t1.nii is empty; no features of t2: t2.nii is empty")
    'no features of T1 and T2'
    """
    sequences = [sequence_label(name) for name in _NO_FEATURES.findall(reason)]
    rest = _NO_FEATURES.split(reason)[0].rstrip("; ")
    if sequences and not rest:
        return f"no features of {listed(sequences)}"
    if kept := re.fullmatch(r"only (\w+) (.+) is kept", rest):
        return f"{column_label(kept[1])} other than {kept[2].replace(', ', ' or ')}"
    return re.sub(r"; left out|\s*\((?:outcome|complete)[^()]*\)", "", rest)


def _failed(reason: str) -> bool:
    """Whether nothing but the measurement kept a patient out."""
    return _NO_FEATURES.match(reason) is not None


def flow_steps(flow: Mapping[str, Any]) -> list[FlowStep]:
    """The boxes from top to bottom; those who leave and those analyzed add up to those read.

    Parameters
    ----------
    flow : mapping
        read, analyzed, events (or None), excluded (DataFrame: reason, patients; or None).

    Returns
    -------
    list of FlowStep

    Examples
    --------
    >>> excluded = pd.DataFrame([("no features of t1: empty", 1), ("no usable outcome", 2)],
    ...                         columns=["reason", "patients"])
    >>> [(s.patients, s.words, s.out) for s in flow_steps({"read": 9, "analyzed": 6, "excluded": excluded})]
    [(9, 'read', False), (1, 'failed', True), (2, 'left out', True), (6, 'analyzed', False)]
    """
    read, analyzed, excluded = int(flow["read"]), int(flow["analyzed"]), flow.get("excluded")
    steps = [FlowStep(read, "read")]
    gone = 0
    if excluded is not None and len(excluded):
        failed = excluded["reason"].astype(str).map(_failed)
        for words, part in (("failed", excluded[failed]), ("left out", excluded[~failed])):
            if len(part):
                counts = part.groupby(part["reason"].astype(str).map(reason_words), sort=False)[
                    "patients"
                ].sum()
                reasons = tuple((int(count), str(reason)) for reason, count in counts.items())
                steps.append(FlowStep(sum(count for count, _ in reasons), words, reasons, out=True))
        gone = sum(step.patients for step in steps if step.out)
    if read - gone != analyzed:
        steps.append(FlowStep(read - gone - analyzed, "not accounted for", out=True))
    events = flow.get("events")
    said = () if events is None else ((int(events), "with an event"), (analyzed - int(events), "without"))
    return [*steps, FlowStep(analyzed, "analyzed", said)]


def measured_flow(patients: int, failures: pd.DataFrame | None) -> dict[str, Any]:
    """The flow of a study without models: who was read, and of whom some sequence failed.

    Examples
    --------
    >>> failures = pd.DataFrame({"patient_id": ["1", "1"], "sequence": ["t1", "t2"], "message": "empty"})
    >>> flow = measured_flow(3, failures)
    >>> flow["analyzed"], flow["excluded"].to_numpy().tolist()
    (2, [['no features of t1: empty; no features of t2: empty', 1]])
    """
    excluded, failed = None, 0
    if failures is not None and len(failures):
        reasons = (
            "no features of " + failures["sequence"].astype(str) + ": " + failures["message"].astype(str)
        )
        by_patient = reasons.groupby(failures["patient_id"]).agg("; ".join)
        excluded = by_patient.value_counts(sort=False).rename_axis("reason").rename("patients").reset_index()
        failed = len(by_patient)
    return {"read": patients, "analyzed": patients - failed, "excluded": excluded, "events": None}


def flow_figure(flow: Mapping[str, Any]) -> Figure:
    """The flow as CONSORT draws it: down the middle who goes on, to the right who leaves.

    Parameters
    ----------
    flow : mapping
        As :func:`flow_steps` takes it.

    Returns
    -------
    Figure
    """
    steps = flow_steps(flow)
    texts = [_text(step) for step in steps]
    heights = [0.2 + 0.155 * (text.count("\n") + 1) for text in texts]
    with figure_style():
        figure = new_figure(5.6, sum(heights) + 0.22 * len(steps))
        axes = figure.subplots()
        axes.set(xlim=(0, 5.6), ylim=(sum(heights) + 0.22 * len(steps), 0))
        axes.set_axis_off()
        top, bottom_of_last = 0.08, 0.0
        for step, text, height in zip(steps, texts, heights, strict=True):
            left, width = (2.55, 2.95) if step.out else (0.1, 2.3)
            if step.out:
                axes.annotate("", (left, top + height / 2), (1.25, top + height / 2), arrowprops=_ARROW)
            elif bottom_of_last:
                axes.annotate("", (1.25, top), (1.25, bottom_of_last), arrowprops=_ARROW)
            _box(axes, (left, top, width, height), text)
            bottom_of_last = bottom_of_last if step.out else top + height
            top += height + 0.2
    return figure


_ARROW = {"arrowstyle": "-|>", "color": GREY, "lw": 0.9, "shrinkA": 0, "shrinkB": 0}


def _text(step: FlowStep) -> str:
    who = "patient" if step.patients == 1 else "patients"
    lines = [f"{step.patients} {who} {step.words}"]
    lines += [
        fill(f"{count} {words}", 44, initial_indent="   ", subsequent_indent="      ")
        for count, words in step.reasons
    ]
    return "\n".join(lines)


def _box(axes: Axes, place: tuple[float, float, float, float], text: str) -> None:
    from matplotlib.patches import Rectangle

    left, top, width, height = place
    axes.add_patch(Rectangle((left, top), width, height, facecolor="white", edgecolor=INK, lw=0.8))
    axes.text(left + 0.1, top + height / 2, text, va="center", linespacing=1.4)
