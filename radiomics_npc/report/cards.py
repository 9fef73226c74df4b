"""A card for each model: what it is, what it was trained on, how well it did."""

from __future__ import annotations

from typing import Any

import pandas as pd

from radiomics_npc.nomogram.labels import column_label, model_label

__all__ = ["model_card"]

_METRICS = {"harrell_c": "Harrell's C", "uno_c": "Uno's C at the horizon"}


def model_card(model: Any, scores: pd.DataFrame) -> str:
    """Write the card of a model.

    Parameters
    ----------
    model : PrognosticModel
        As loaded from its folder.
    scores : DataFrame
        Cross-validated scores of this model: metric, estimate, lower, upper.

    Returns
    -------
    str
        Markdown. The first line says what the model was trained on.
    """
    who = "simulated patients, who never lived" if model.simulated_ else "patients"
    lines = [
        f"# {model_label(model.name_)}",
        "",
        f"Trained on {model.n_} {who}, {model.events_} with an event ({model.outcome_name_}).",
        "For research use only; not a medical device.",
        "",
        "## Inputs",
        "",
    ]
    lines += [f"- {column_label(name)} (`{name}`)" for name in model.clinical_columns]
    if model.feature_columns:
        lines.append(f"- {len(model.feature_columns)} radiomic features, extracted as `model.json` says")
    segmenter = (getattr(model, "settings_", None) or {}).get("contours")
    if segmenter and model.feature_columns:
        learnt = ", trained on simulated heads only" if segmenter.get("simulated") else ""
        drawn = ", where none was drawn" if segmenter.get("when") == "missing" else ""
        lines.append(f"- Contours were predicted by the model {segmenter['name']}{learnt}{drawn}")
    lines += ["", "## Cross-validated on the training patients", ""]
    lines += [
        f"- {_METRICS[str(row.metric)]}: {row.estimate:.3f} ({row.lower:.3f} to {row.upper:.3f})"
        for row in scores.itertuples()
    ]
    lines += [
        "",
        f"Follow-up in training ended at {model.follow_up_months_:.0f} months: nothing is predicted later.",
    ]
    if model.notes_:
        lines += ["", "## Notes", "", *(f"- {note}" for note in model.notes_)]
    lines += ["", "## Limits", "", "- Not validated on patients of another hospital.",
              "- Values outside the training range get no probability."]  # fmt: skip
    return "\n".join(lines) + "\n"
