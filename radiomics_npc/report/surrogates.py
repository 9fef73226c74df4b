"""What a reader is told of surrogates: a section of the report, and a card for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from radiomics_npc.nomogram.labels import column_label, model_label, with_model_labels
from radiomics_npc.report.pieces import paragraph
from radiomics_npc.report.tables import html_table, interval

__all__ = ["section", "surrogate_card"]

_METRICS = {
    "r2": "R² of the log hazard",
    "spearman": "Rank correlation of the risks (Spearman)",
    "kendall": "Rank correlation of the risks (Kendall)",
    "surrogate_c": "Harrell's C of the surrogate",
    "boosted_c": "Harrell's C of the boosted model",
    "c_difference": "Difference of the two",
}
_WHY = (
    "The risk of boosted trees is no sum of points of one variable each: they have no nomogram and no page "
    "that calculates. A surrogate has both. It is a Cox-type model of few terms, whose coefficients are "
    "fitted by least squares to the log hazards that the trees give their training patients; it is another "
    "model, and not among those compared. How well it imitates is told on patients whom neither has seen."
)


def _metric_words(metric: str) -> str:
    """A metric as printed.

    Examples
    --------
    >>> _metric_words("survival_difference_60")
    'Mean absolute difference of survival at 60 months'
    """
    months = re.fullmatch(r"survival_difference_(.+)", metric)
    if months:
        return f"Mean absolute difference of survival at {months[1]} months"
    return _METRICS.get(metric, metric)


def section(content: Mapping[str, Any], drawn: Any) -> str:
    """How well the surrogates imitate their boosted models, one column a model."""
    table = pd.DataFrame(content["surrogates"])
    columns: dict[str, pd.Series[str]] = {}
    for model, rows in table.groupby("model", sort=False):
        values = [interval(row) for row in rows.to_dict("records")]
        columns[model_label(str(model))] = pd.Series(values, index=[*rows["metric"].map(_metric_words)])
    shown = pd.DataFrame(columns).fillna("").rename_axis("On patients held out").reset_index()
    made = paragraph(_WHY) + html_table(shown)
    failed = table.drop_duplicates("model").query("failed_folds > 0")
    lost = [f"{model_label(str(r.model))}: {r.failed_folds} of {r.folds}" for r in failed.itertuples()]
    if lost:
        words = (
            f"Folds in which the boosted model gave all the same risk, and do not count: {'; '.join(lost)}."
        )
        made += paragraph(words, soft=True)
    return made + paragraph("Each is a model file beside that of its boosted model (…_surrogate).", soft=True)


def surrogate_card(model: Any) -> str:
    """Write the card of a surrogate.

    Parameters
    ----------
    model : SurrogateModel
        Fitted, with its fidelity.

    Returns
    -------
    str
        Markdown. The first lines say whose surrogate it is and how good a one.
    """
    who = "simulated patients, who never lived" if model.simulated_ else "patients"
    of = model_label(model.imitates_)
    lines = [
        f"# {model_label(f'{model.imitates_}_surrogate')}", "", with_model_labels(model.note), "",
        f"The model {of} was trained on {model.n_} {who}, {model.events_} with an event "
        f"({model.outcome_name_}); this one on what that model says of them.",
        "For research use only; not a medical device.", "", "## Terms", "",
    ]  # fmt: skip
    lines += [f"- {column_label(term.name)} (`{term.name}`, {term.kind})" for term in model.cox_.terms_]
    if model.feature_columns:
        lines.append(f"- The Rad-score is made of {len(model.feature_columns)} radiomic features")
    lines += ["", "## Fidelity on patients held out", ""]
    lines += [f"- {_metric_words(name)}: {value:.3f}" for name, value in model.fidelity_.items()]
    if not model.fidelity_:
        lines.append("- not known")
    lines += ["", "## Notes", "", *(f"- {with_model_labels(note)}" for note in model.notes_)]
    lines += [
        "", "## Limits", "", "- Where it differs from the boosted model, the boosted model was validated.",
        "- It has no confidence intervals: how other patients would have changed the trees is not known.",
        "- Values outside the training range get no probability.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
