"""Tables of a study as readers expect them: words for columns, numbers with their intervals."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from radiomics_npc.nomogram.labels import column_label, level_label, model_label
from radiomics_npc.report.figures import p_text

__all__ = [
    "baseline_table",
    "difference_table",
    "html_table",
    "interval",
    "is_number_column",
    "number",
    "p_value",
    "ratio_table",
    "score_table",
    "weight_table",
]

_LEFT = ("Patient", "Level", "Variable", "Center", "Endpoint", "Group")
_NUMBER = r"^[−<>]?\s*\d[\d.,]*%?(?:\s*\(.*\))?(?: †)?$"


def number(value: Any, digits: int = 3) -> str:
    """A number as printed: no digits too many, a true minus sign, a dash for what is unknown.

    Examples
    --------
    >>> number(-0.71649), number(-0.0001), number(12), number(float("nan")), number("T3")
    ('−0.716', '0.000', '12', '–', 'T3')
    """
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)) or value is pd.NA:
        return "–"
    if isinstance(value, bool | np.bool_ | str):
        return str(value)
    text = f"{value:.{digits}f}" if isinstance(value, float | np.floating) else str(value)
    if text.startswith("-") and not text.strip("-0."):
        return text[1:]  # rounded to zero, which has no sign
    return text.replace("-", "−", 1) if text.startswith("-") else text


def interval(row: Any, digits: int = 3) -> str:
    """Estimate and limits of a row, e.g. ``0.716 (0.655 to 0.778)``."""
    if not np.isfinite([row["lower"], row["upper"]]).all():
        return number(float(row["estimate"]), digits)
    limits = f"{number(float(row['lower']), digits)} to {number(float(row['upper']), digits)}"
    return f"{number(float(row['estimate']), digits)} ({limits})"


def score_table(
    scores: pd.DataFrame, oracle: Mapping[str, float] | None = None, horizon_months: float = 60.0,
    wide: str = "95%",
) -> pd.DataFrame:  # fmt: skip
    """C-index of every model with limits so wide; the oracle's in the last row when it is known."""
    heads = {
        "harrell_c": f"Harrell's C ({wide} CI)", "uno_c": f"Uno's C at {horizon_months:g} months ({wide} CI)"
    }  # fmt: skip
    rows = []
    for model, part in scores.groupby("model", sort=False):
        found = part.set_index("metric")
        row = {"Model": model_label(str(model))}
        row |= {head: interval(found.loc[m]) for m, head in heads.items() if m in found.index}
        if "sd" in found:
            sd = float(found["sd"].iloc[0])
            row["SD between repeats"] = number(sd)
        rows.append(row)
    if oracle:
        rows.append({"Model": model_label("oracle")} | {
            head: number(float(oracle[m])) for m, head in heads.items() if m in oracle
        })  # fmt: skip
    return pd.DataFrame(rows).fillna("–")


def difference_table(differences: pd.DataFrame, wide: str = "95%") -> pd.DataFrame:
    """Difference of every model against the reference, with its interval and p."""
    names = {"harrell_c": "Harrell's C", "uno_c": "Uno's C"}
    return pd.DataFrame({
        "Model": differences["model"].map(model_label),
        "Against": differences["reference"].map(model_label),
        "Measure": differences["metric"].map(names),
        f"Difference ({wide} CI)": [interval(row) for _, row in differences.iterrows()],
        "p": [p_value(p) for p in differences["p"]],
    })  # fmt: skip


def p_value(value: float) -> str:
    """A p value for a column headed p; a dash if it is unknown."""
    return p_text(float(value)).removeprefix("p ").removeprefix("= ") or "–"


def ratio_table(ratios: pd.DataFrame) -> pd.DataFrame:
    """Hazard ratios of a Cox model."""
    rows = ratios.rename(columns={"hazard_ratio": "estimate"})
    return pd.DataFrame({
        "Variable": rows["term"].map(column_label).where(~rows["term"].duplicated(), ""),
        "Level": rows["level"].map(lambda level: level_label(level) if str(level) else "per unit"),
        "Hazard ratio (95% CI)": [
            interval(row, 2) if np.isfinite(row["lower"]) else "1 (reference)" for _, row in rows.iterrows()
        ],
        "p": [p_value(p) for p in rows["p"]],
    })  # fmt: skip


def weight_table(formula: pd.DataFrame) -> pd.DataFrame:
    """The Rad-score: feature, coefficient for one unit and, where known, for one standard deviation."""
    table = pd.DataFrame({
        "Feature": formula["feature"].map(column_label),
        "Coefficient": [f"{value:.6g}".replace("-", "−", 1) for value in formula["coefficient"]],
    })  # fmt: skip
    if "weight" in formula:
        table["Per standard deviation"] = [number(float(value)) for value in formula["weight"]]
    return table


def baseline_table(table: pd.DataFrame) -> pd.DataFrame:
    """Table 1 with words for columns; a variable is named once.

    What the columns are made from is no row: by event the event, and no difference of the follow-up,
    which the event ends.
    """
    if "smd" in table:
        table = table.assign(smd=pd.to_numeric(table["smd"], errors="coerce"))
        if "event: yes" in table:
            table = table[table["variable"] != "event"]
            table = table.assign(smd=table["smd"].mask(table["variable"] == "follow_up_months"))
    if "missing" in table:
        table = table.assign(missing=pd.to_numeric(table["missing"], errors="coerce").astype("Int64"))
    shown = table.astype(object).where(table.notna(), "")
    repeated = shown["variable"].duplicated()
    shown["variable"] = [
        "" if again else column_label(str(name))
        for again, name in zip(repeated, shown["variable"], strict=True)
    ]
    if "level" in shown:
        shown["level"] = shown["level"].map(str)
    names = {"variable": "Variable", "level": "Level", "all": "All", "smd": "SMD", "missing": "Missing",
             "event: no": "No event", "event: yes": "Event"}  # fmt: skip
    shown = shown.rename(columns=names).rename(columns=lambda name: str(name).removeprefix("center: "))
    return shown.map(lambda value: number(value, 2))


def is_number_column(column: pd.Series) -> bool:
    """Whether a column of a printed table holds numbers, with gaps perhaps, and no words.

    Examples
    --------
    >>> is_number_column(pd.Series(["0.71 (0.65 to 0.78)", "–"])), is_number_column(pd.Series(["T1"]))
    (True, False)
    """
    texts = column.map(number)
    known = texts[~texts.isin(["", "–"])]
    return column.name not in _LEFT and len(known) > 0 and bool(known.str.match(_NUMBER).all())


def html_table(table: pd.DataFrame, caption: str = "", *, most: int | None = None) -> str:
    """A table as HTML, everything escaped, numbers to the right.

    Parameters
    ----------
    table : DataFrame
        The index is not shown.
    caption : str
    most : int, optional
        Rows shown; how many more there are is said.

    Returns
    -------
    str

    Examples
    --------
    >>> html_table(pd.DataFrame({"a": ["<b>"]})).partition("<tbody>")[2]
    '<tr><td>&lt;b&gt;</td></tr></tbody></table></div>'
    """
    shown = table if most is None else table.head(most)
    texts = pd.DataFrame({i: shown.iloc[:, i].map(number) for i in range(shown.shape[1])})
    right = [is_number_column(shown.iloc[:, i]) for i in range(shown.shape[1])]
    style = [' class="n"' if is_right else "" for is_right in right]
    head = "".join(
        f'<th scope="col"{s}>{html.escape(str(c))}</th>' if str(c).strip() else "<td></td>"
        for c, s in zip(shown.columns, style, strict=True)
    )
    # The first column names the row, unless it is all there is, or a number.
    named = len(style) > 1 and not right[0]
    body = "".join(
        "<tr>" + "".join(
            f'<th scope="row">{html.escape(v)}</th>' if named and k == 0 and v.strip("–") else
            f"<td{style[k]}>{html.escape(v)}</td>" for k, v in enumerate(row)
        ) + "</tr>"
        for row in texts.itertuples(index=False, name=None)
    )  # fmt: skip
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    more = f'<p class="soft">{len(table) - len(shown)} more rows are in the tables of the run.</p>' * (
        len(table) > len(shown)
    )
    rows = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    label = html.escape(caption or "Table: " + ", ".join(str(c) for c in shown.columns[:3]).strip(" ,"))
    region = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
    return f"{region}<table>{title}{rows}</table></div>{more}"
