"""Sections of the report: each makes a piece of HTML from its part of the content."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from radiomics_npc.nomogram.labels import model_label, sequence_label
from radiomics_npc.nomogram.style import mark_simulated, svg_of
from radiomics_npc.report import figures, tables
from radiomics_npc.report.plain import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_figures", "markdown_html", "outcome_of", "sections_of"]

_SEVERITIES = {"error": "Errors", "warning": "Warnings", "info": "How values were read"}


def draw_figures(content: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw every figure that the content has data for.

    Parameters
    ----------
    content : mapping
        As :func:`write_report` takes it.

    Returns
    -------
    dict of str to Figure
        Names fit for files: ``c_index``, ``kaplan_meier``, ``calibration_{model}``,
        ``hazard_ratios_{model}``, ``nomogram``, ``montage``.
    """
    outcome = outcome_of(content)
    drawn: dict[str, Any] = {}
    if models := content.get("models"):
        drawn["c_index"] = figures.concordance_figure(
            models["scores"], per_repeat=models.get("per_repeat"), oracle=models.get("oracle"),
            horizon_months=outcome["horizon_months"],
        )  # fmt: skip
    for model, table in (content.get("hazard_ratios") or {}).items():
        if len(table):
            drawn[f"hazard_ratios_{model}"] = figures.forest_figure(table)
    if survival := content.get("kaplan_meier"):
        drawn["kaplan_meier"] = figures.kaplan_meier_figure(
            survival["curves"], outcome=outcome["name"], p=survival.get("p")
        )
    for model, found in (content.get("calibration") or {}).items():
        drawn[f"calibration_{model}"] = figures.calibration_figure(
            found["table"], horizon_months=outcome["horizon_months"], outcome=outcome["name"],
            observed_expected=found.get("observed_expected"),
        )  # fmt: skip
    if content.get("simulated"):
        for figure in drawn.values():
            mark_simulated(figure)
    for name in ("nomogram", "montage"):  # these two say it themselves
        part = content.get(name)
        figure = part.get("figure") if isinstance(part, Mapping) else part
        if hasattr(figure, "savefig"):
            drawn[name] = figure
    return drawn


def outcome_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome's name and horizon, by default progression-free survival at 60 months."""
    return {"name": "progression-free survival", "horizon_months": 60.0} | dict(content.get("outcome") or {})


# -- pieces of the page ---------------------------------------------------------------------------


def _inline(text: str) -> str:
    """Emphasis and code of a line of Markdown; everything else is escaped."""
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)


def markdown_html(text: str) -> str:
    """The little Markdown that the methods section needs, as HTML.

    Headings, paragraphs, bullets, numbered lists, ``**strong**`` and `` `code` ``.

    Examples
    --------
    >>> markdown_html("## A & B\\n\\n1. one\\n2. two")
    '<h4>A &amp; B</h4><ol><li>one</li><li>two</li></ol>'
    """
    made = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.strip().splitlines()
        for kind, mark in (("ul", r"[-*] "), ("ol", r"\d+\. ")):
            if all(re.match(mark, line) for line in lines):
                items = "".join(f"<li>{_inline(re.sub(mark, '', line, count=1))}</li>" for line in lines)
                made.append(f"<{kind}>{items}</{kind}>")
                break
        else:
            heading = re.match(r"(#+) (.*)", block)
            level = min(6, len(heading[1]) + 2) if heading else 0
            words = heading[2] if heading else " ".join(lines)
            made.append(f"<h{level}>{_inline(words)}</h{level}>" if heading else f"<p>{_inline(words)}</p>")
    return "".join(made)


def _picture(name: str, figure: Figure | bytes | str, description: str) -> str:
    """A figure as inline SVG, or as PNG if it is one or shows images; its description is the caption."""
    width = ""
    if isinstance(figure, str):
        drawn = figure
    elif isinstance(figure, bytes) or name == "montage":
        data = base64.b64encode(figure if isinstance(figure, bytes) else _png(figure)).decode()
        drawn = f'<img alt="{html.escape(description)}" src="data:image/png;base64,{data}">'
        width = ' style="max-width:46rem"'
    else:
        drawn = svg_of(figure, name, description)
        width = f' style="max-width:{figure.get_figwidth() * 118:.0f}px"'
    return f"<figure{width}>{drawn}<figcaption>{html.escape(description)}</figcaption></figure>"


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()


def _flow(content: Mapping[str, Any]) -> str:
    flow = content["flow"]
    boxes = [f"<li><b>{flow['read']}</b> patients read</li>"]
    excluded = flow.get("excluded")
    if excluded is not None and len(excluded):
        reasons = "".join(
            f"<li><b>{row.patients}</b> {html.escape(str(row.reason))}</li>" for row in excluded.itertuples()
        )
        total = int(excluded["patients"].sum())
        boxes.append(f'<li class="out"><b>{total}</b> left out<ul>{reasons}</ul></li>')
    events = f", <b>{flow['events']}</b> with an event" if flow.get("events") is not None else ""
    boxes.append(f"<li><b>{flow['analyzed']}</b> analyzed{events}</li>")
    return f'<ol class="flow">{"".join(boxes)}</ol>'


def _baseline(content: Mapping[str, Any]) -> str:
    words = "Numbers: median (lower to upper quartile). Factors: number (%). SMD: standardized difference."
    note = f'<p class="soft">{words}</p>'
    return tables.html_table(tables.baseline_table(content["table_one"])) + note


def _findings(content: Mapping[str, Any]) -> str:
    found: pd.DataFrame = content["findings"]
    if found.empty:
        return "<p>Nothing was found.</p>"
    names = {"patient_id": "Patient", "sequence": "Sequence", "where": "Where", "problem": "Finding",
             "remedy": "Remedy"}  # fmt: skip
    parts = []
    for severity, title in _SEVERITIES.items():
        rows = found[found["severity"] == severity]
        if rows.empty:
            continue
        shown = rows.assign(sequence=rows["sequence"].map(sequence_label))[list(names)].rename(columns=names)
        shown = shown.loc[:, [bool((shown[c].astype(str) != "").any()) for c in shown.columns]]
        opened = " open" if severity == "error" else ""
        table = tables.html_table(shown, most=200)
        parts.append(f"<details{opened}><summary>{title}: {len(rows)}</summary>{table}</details>")
    return "".join(parts)


def _features(content: Mapping[str, Any]) -> str:
    features = content["features"]
    sequences = ", ".join(sequence_label(s) for s in features.get("sequences", []))
    rows = {
        "Features per patient": features.get("number"),
        "Sequences": sequences,
        "Preset": features.get("preset"),
        "Normalization": features.get("normalize"),
    }
    made = _pairs({name: value for name, value in rows.items() if value not in (None, "")})
    failures = features.get("failures")
    if failures is not None and len(failures):
        names = {
            "patient_id": "Patient",
            "sequence": "Sequence",
            "message": "What failed",
            "remedy": "Remedy",
        }
        shown = failures.assign(sequence=failures["sequence"].map(sequence_label))[list(names)]
        table = tables.html_table(shown.rename(columns=names), most=200)
        made += f"<details open><summary>Failures: {len(failures)}</summary>{table}</details>"
    elif failures is not None:
        made += "<p>No extraction failed.</p>"
    if features.get("settings"):
        made += f"<details><summary>Extraction settings</summary>{_yaml(features['settings'])}</details>"
    return made


def _pairs(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<div><dt>{html.escape(str(k))}</dt><dd>{html.escape(tables.number(v))}</dd></div>"
        for k, v in values.items()
    )
    return f"<dl>{rows}</dl>"


def _yaml(settings: Any) -> str:
    import yaml

    text = (
        settings
        if isinstance(settings, str)
        else yaml.safe_dump(plain(settings), sort_keys=False, allow_unicode=True)
    )
    return f'<pre tabindex="0">{html.escape(text)}</pre>'


def _models(content: Mapping[str, Any], drawn: Mapping[str, Figure]) -> str:
    models, horizon = content["models"], outcome_of(content)["horizon_months"]
    oracle = models.get("oracle")
    made = tables.html_table(tables.score_table(models["scores"], oracle, horizon))
    words = "C-index of every model with its confidence interval; small dots are the repeats."
    if oracle:
        words += (
            " The oracle knows the true risk of the simulated patients: no model can be expected to pass it."
        )
    made += _picture("c_index", drawn["c_index"], words)
    differences = models.get("differences")
    if differences is not None and len(differences):
        made += "<h3>Differences</h3>" + tables.html_table(tables.difference_table(differences))
    notes = list(models.get("notes") or ())
    made += _bullets(notes)
    failures = models.get("failures")
    if failures is not None and len(failures):
        table = tables.html_table(failures, most=50)
        made += f"<details><summary>Failed fits: {len(failures)}</summary>{table}</details>"
    return made


def _bullets(lines: Any) -> str:
    items = "".join(f"<li>{html.escape(str(line))}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _ratios(content: Mapping[str, Any], drawn: Mapping[str, Figure]) -> str:
    made = ""
    for model, table in content["hazard_ratios"].items():
        label = model_label(model)
        made += f"<h3>{html.escape(label)}</h3>"
        made += _bullets((content.get("notes") or {}).get(model, ()))
        if f"hazard_ratios_{model}" in drawn:
            words = f"Hazard ratios of the model {label}, fitted to all analyzed patients."
            made += _picture(f"hazard_ratios_{model}", drawn[f"hazard_ratios_{model}"], words)
        made += f"<details><summary>Table</summary>{tables.html_table(tables.ratio_table(table))}</details>"
    return made


def _rad_score(content: Mapping[str, Any]) -> str:
    formula = content["rad_score"]
    words = (
        "<p>The Rad-score is the sum of each feature times its coefficient, and a constant. The column per "
        "standard deviation tells which features weigh most.</p>"
    )
    return words + tables.html_table(tables.weight_table(formula), most=60)


def _survival(content: Mapping[str, Any], drawn: Mapping[str, Figure]) -> str:
    model = content["kaplan_meier"].get("model", "")
    words = (
        f"Kaplan-Meier curves by the risk that the model {model_label(model)} predicted for patients outside "
        "the training fold; bands are 95% confidence intervals, ticks are censored patients."
    )
    return _picture("kaplan_meier", drawn["kaplan_meier"], words)


def _calibration(content: Mapping[str, Any], drawn: Mapping[str, Figure]) -> str:
    made = ""
    for model, found in content["calibration"].items():
        words = (
            f"{model_label(model)}: predicted probability, for patients outside the training fold, against "
            "the Kaplan-Meier estimate in groups of patients; O/E is observed over expected events."
        )
        name = f"calibration_{model}"
        made += f"<div>{_picture(name, drawn[name], words)}"
        shown = found["table"].rename(columns=lambda c: str(c).capitalize())
        made += f"<details><summary>Table</summary>{tables.html_table(shown)}</details></div>"
    return f'<div class="side">{made}</div>'


def _nomogram(content: Mapping[str, Any]) -> str:
    nomogram = content["nomogram"]
    words = (
        f"Nomogram of the model {model_label(nomogram.get('model', ''))}, fitted to all analyzed patients."
    )
    figure = nomogram.get("figure")
    made = _picture("nomogram", figure, words) if figure is not None else ""
    if nomogram.get("link"):
        link = html.escape(str(nomogram["link"]))
        made += f'<p><a href="{link}">Interactive nomogram</a> (a file beside this one)</p>'
    points = nomogram.get("points")
    if points is not None:
        shown = points[["label", "value", "points"]].rename(columns=lambda c: str(c).capitalize())
        shown["Label"] = shown["Label"].where(~shown["Label"].duplicated(), "")
        shown["Value"] = [tables.level_label(v) if isinstance(v, str) else f"{v:.6g}" for v in shown["Value"]]
        shown["Points"] = [f"{p:.1f}" for p in shown["Points"]]
        made += f"<details><summary>Points</summary>{tables.html_table(shown)}</details>"
    return made


def sections_of(content: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every section that has content: (identifier, title, HTML)."""
    drawn = draw_figures(content)

    def with_figures(make: Callable[..., str]) -> Callable[[Mapping[str, Any]], str]:
        return lambda given: make(given, drawn)

    def montage(given: Mapping[str, Any]) -> str:
        return _picture("montage", given["montage"], "Tumor outlines on slices of sample patients.")

    makers: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
        "flow": ("Patients", _flow),
        "table_one": ("Baseline", _baseline),
        "findings": ("Check of the data", _findings),
        "montage": ("Images and outlines", montage),
        "features": ("Features", _features),
        "models": ("Discrimination", with_figures(_models)),
        "kaplan_meier": ("Risk groups", with_figures(_survival)),
        "calibration": ("Calibration", with_figures(_calibration)),
        "hazard_ratios": ("Hazard ratios", with_figures(_ratios)),
        "rad_score": ("Rad-score", _rad_score),
        "nomogram": ("Nomogram", _nomogram),
        "limitations": ("Limitations", lambda given: _bullets(given["limitations"])),
        "methods": ("Methods", lambda given: markdown_html(re.sub(r"^# .*\n", "", given["methods"]))),
        "settings": ("Settings", lambda given: _yaml(given["settings"])),
        "versions": ("Versions", lambda given: _pairs(given["versions"])),
    }
    present = {key: value for key, value in content.items() if value is not None}
    return [(key, title, make(present)) for key, (title, make) in makers.items() if key in present]
