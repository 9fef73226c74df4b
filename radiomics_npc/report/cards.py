"""A card for each model: what it is for, what it was made from, how well it does, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from radiomics_npc.nomogram.labels import column_label, level_label, model_label, sequence_words
from radiomics_npc.report.checklist_answers import centers
from radiomics_npc.report.contour_sections import model_words
from radiomics_npc.report.tables import interval
from radiomics_npc.report.writing import interval_words, listed, part_of, plural
from radiomics_npc.survival.models.tree_model import TreeModel

__all__ = ["model_card"]

Content = Mapping[str, Any]
_METRICS = {"harrell_c": "Harrell's C", "uno_c": "Uno's C at the horizon"}
_AT_HORIZON = {
    "auc": "AUC", "brier": "Brier score", "observed_expected": "Observed over expected events",
    "calibration_slope": "Calibration slope", "ici": "Integrated calibration index (ICI)",
}  # fmt: skip
_MOST_FEATURES = 15  # that a card names


def model_card(model: Any, content: Content, *, sha256: str = "") -> str:
    """Write the card of a model.

    Parameters
    ----------
    model : PrognosticModel
        As loaded from its folder.
    content : mapping
        Of the report; what it lacks is left out.
    sha256 : str
        Of the model file.

    Returns
    -------
    str
        Markdown. The first line says so if the patients were simulated.
    """
    first = "**Simulated patients: they never lived. Nothing here says anything about the disease.**"
    parts = [[first]] if model.simulated_ else []
    parts += [
        [f"# {model_label(model.name_)}", _in_a_sentence(model)],
        ["## Intended use", *_use(model)],
        ["## Training data", *_data(model, content)],
        ["## Inputs", *_inputs(model)],
        ["## Performance outside the training folds", *_performance(model.name_, content)],
        ["## Not seen in training", *_unseen(model, content)],
        ["## Limits and ethics", *_limits(model, content)],
        ["## Version", *_version(model, sha256)],
    ]
    if model.notes_:
        parts.insert(-1, ["## Notes of the fit", *(f"- {note}" for note in model.notes_)])
    return "\n\n".join("\n".join(_spaced(part)) for part in parts) + "\n"


def _spaced(lines: list[str]) -> list[str]:
    """A heading, and a blank line before what follows; bullets stay together."""
    return [lines[0], "", *lines[1:]] if len(lines) > 1 else lines


def _in_a_sentence(model: Any) -> str:
    who = "simulated patients" if model.simulated_ else "patients"
    return f"Made from {model.n_} {who}, {model.events_} with an event ({model.outcome_name_})."


def _use(model: Any) -> list[str]:
    months = listed(f"{month:g}" for month in model.horizons_months_ or [model.follow_up_months_])
    return [
        "- For research on the prognosis of nasopharyngeal carcinoma before treatment, by people who know "
        "the methods.",
        f"- Gives a risk, a risk group, and the probability to be free of the event ({model.outcome_name_}) "
        f"at {months} months.",
        "- Not a medical device. Not for decisions on the treatment of a patient.",
    ]  # fmt: skip


def _data(model: Any, content: Content) -> list[str]:
    lines = [f"- {plural(model.n_, 'patient')}, {plural(model.events_, 'event')}"]
    median = part_of(content, "follow_up").get("median_months")
    follow_up = f"{model.follow_up_months_:.0f} months at the longest: nothing is predicted later"
    lines.append(
        f"- Follow-up: median {median:.1f} months, {follow_up}" if median else f"- Follow-up: {follow_up}"
    )
    names = centers(content)
    lines.append(f"- Centers: {listed(names)}" if names else "- Centers: not named in the data")
    sequences = part_of(content, "features").get("sequences")
    if model.feature_columns and sequences:
        images, regions = sequence_words(sequences)
        within = f", within {listed(regions)}" if regions else ""
        lines.append(f"- Images: {listed(images)}{within}")
    if model.feature_columns:
        lines.append(f"- Contours: {_contours(model, content)}")
    excluded = part_of(content, "flow").get("excluded")
    if excluded is not None and len(excluded):
        total = int(excluded["patients"].sum())
        lines.append(f"- {plural(total, 'patient')} left out of the analysis; the report says why")
    return lines


def _contours(model: Any, content: Content) -> str:
    """How the contours came about, as the model file says."""
    segmenter = (getattr(model, "settings_", None) or {}).get("contours")
    if not segmenter:
        return "given with the images; this file does not know who drew them"
    part = content.get("contours")
    if part:
        words = model_words(part)
    else:
        learnt = ", trained on simulated heads only" if segmenter.get("simulated") else ""
        words = f"the model {segmenter['name']}{learnt}"
    drawn = ", where none was drawn" if segmenter.get("when") == "missing" else ""
    return f"predicted by {words}{drawn}"


def _inputs(model: Any) -> list[str]:
    known = _ranges(model)
    lines = [
        f"- {column_label(name)} (`{name}`): {known.get(name, 'as in training')}"
        for name in model.clinical_columns
    ]
    features = list(model.feature_columns)
    if features:
        lines.append(f"- {plural(len(features), 'radiomic feature')}, extracted as `model.json` says:")
        lines += [
            f"  - `{name}`" + (f": {known[name]}" if name in known else "")
            for name in features[:_MOST_FEATURES]
        ]
        if len(features) > _MOST_FEATURES:
            lines.append(f"  - and {len(features) - _MOST_FEATURES} more, in `model.json`")
    if "rad_score" in known:
        lines.append(f"- Rad-score made of them: {known['rad_score']}")
    return lines


def _ranges(model: Any) -> dict[str, str]:
    """Values of every column in training: levels, or smallest to largest."""
    last = model.last_step
    if isinstance(last, TreeModel):
        return {str(name): _range(seen) for name, seen in last.ranges_.items()}
    found = {}
    for term in last.terms_:
        if term.kind == "factor":
            found[term.name] = listed(level_label(level) for level in term.levels)
        elif term.kind != "interaction" and term.range is not None:
            found[term.name] = _range(term.range)
    return found


def _range(seen: Any) -> str:
    if isinstance(seen[0], str):
        return listed(level_label(level) for level in seen)
    low, high = (f"{float(value):.4g}".replace("-", "−", 1) for value in seen)
    return f"{low} to {high}"


def _performance(name: str, content: Content) -> list[str]:
    scores: pd.DataFrame | None = part_of(content, "models").get("scores")
    wide, lines = interval_words(content), []
    other = "" if wide == "95%" else f", a {wide} interval"
    if scores is not None:
        for _, row in scores[scores["model"] == name].iterrows():
            lines.append(f"- {_METRICS[str(row['metric'])]}: {interval(row)}{other}")
    months = part_of(content, "models", "design").get("horizon_months")
    for table in (content.get("accuracy"), part_of(content, "calibration").get("table")):
        if table is None or months is None:
            continue
        rows = table[(table["model"] == name) & (table["time_months"] == months)].set_index("metric")
        lines += [
            f"- {words} at {months:g} months: {interval(rows.loc[metric])}"
            for metric, words in _AT_HORIZON.items()
            if metric in rows.index
        ]
    if not lines:
        return ["- Not known: the model was not validated."]
    text = (
        f"Estimates with 95% confidence intervals{', where no other is named,' if other else ','} from "
        "patients whom the fitted models had not seen; the one "
        "in this folder is made from all patients in the same way."
    )
    return [*lines, "", text]


def _unseen(model: Any, content: Content) -> list[str]:
    ranges = _ranges(model)
    lines = [
        f"- {column_label(name)} other than {ranges[name]}: no probability is given"
        for name in model.clinical_columns
        if name in ranges
    ]
    names = centers(content)
    lines.append(
        f"- Patients of hospitals other than {listed(names)}" if names else "- Patients of other hospitals"
    )
    if model.feature_columns:
        lines.append("- Other scanners, sequence parameters and ways to draw the contour")
    lines.append("- Patients after treatment, with a recurrence, or with another tumor")
    return lines


def _limits(model: Any, content: Content) -> list[str]:
    looked = content.get("subgroups") is not None
    lines = [
        "- Not validated on patients of another hospital.",
        "- Performance in groups by sex, age and stage is in the report; other groups were not looked at."
        if looked
        else "- Whether it does equally well in groups by sex, age, ethnicity or place was not looked at.",
        "- A probability describes patients like this one, not this patient; it shows no effect of any "
        "treatment, and no cause.",
        "- It holds coefficients or trees and ranges, no rows of patients. Whoever shares it needs the "
        "permission that the training data ask for.",
    ]
    if (getattr(model, "settings_", None) or {}).get("contours") and model.feature_columns:
        lines.append("- A predicted contour on the wrong structure gives numbers that look like any others.")
    return lines


def _version(model: Any, sha256: str) -> list[str]:
    made = (getattr(model, "versions_", None) or {}).get("radiomics-npc")
    lines = [f"- Made with radiomics-npc {made}"] if made else []
    lines.append("- File `model.json`" + (f", SHA-256 {sha256}" if sha256 else ""))
    return lines
