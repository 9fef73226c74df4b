"""Sections on contours that a model predicted, and on what they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from radiomics_npc.nomogram.labels import model_label, sequence_label
from radiomics_npc.report.contour_content import agreement_summary, risk_intervals
from radiomics_npc.report.pieces import folded, paragraph, picture
from radiomics_npc.report.tables import html_table, interval, number, p_value
from radiomics_npc.report.writing import part_of, plural
from radiomics_npc.segmentation.quality import FLAGS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["contour_effects", "contours", "model_words", "reporting_items"]

Content = Mapping[str, Any]
Drawn = Mapping[str, "Figure"]
_HEADS = {
    "patient_id": "Patient", "sequence": "Sequence", "volume_cm3": "Volume (cm³)",
    "confidence": "Confidence", "member_agreement": "Networks", "sequence_agreement": "Sequences",
    "flags": "Conspicuous",
}  # fmt: skip


def model_words(part: Mapping[str, Any]) -> str:
    """Which model outlined the tumors, within a sentence.

    Parameters
    ----------
    part : mapping
        ``contours`` of the content.

    Returns
    -------
    str

    Examples
    --------
    >>> model_words({"model": {"name": "mine", "sha256": "ab" * 32, "members": 1, "simulated": True}})
    'the model mine (1 network, SHA-256 abababababab), trained on simulated heads only'
    """
    model = part["model"]
    named = model["name"] == "bundled"
    name = "the model that comes with radiomics_npc" if named else f"the model {model['name']}"
    words = f"{name} ({plural(int(model['members']), 'network')}, SHA-256 {str(model['sha256'])[:12]})"
    return f"{words}, trained on simulated heads only" if model["simulated"] else words


def contours(content: Content, drawn: Drawn) -> str:
    """Which model outlined the tumors, its flags, its volumes, and how far it is from drawn masks."""
    part = content["contours"]
    table: pd.DataFrame = part["table"]
    table, edited = table[table["flags"] != "edited"], table[table["flags"] == "edited"]
    flagged = table[table["flags"].astype(str) != ""]
    warning = (
        f"The tumors were outlined by {model_words(part)}: review every contour before any result of this "
        "report is used."
    )
    made = f"<p><strong>{paragraph(warning)[3:-4]}</strong></p>"
    patients = plural(table["patient_id"].nunique(), "patient")
    words = f"{plural(len(table), 'mask')} of {patients} were predicted; "
    words += f"{len(flagged)} are conspicuous" if len(flagged) != 1 else "one is conspicuous"
    if len(edited):
        words += f"; {plural(len(edited), 'further mask')} had been changed or drawn by hand"
    made += paragraph(f"{words}. A mask without a flag can be wrong, too.")
    if len(flagged):
        kinds = Counter(code for cell in flagged["flags"] for code in str(cell).split("; "))
        counts = pd.DataFrame(
            [(_sentence(code), FLAGS[code].remedy if code in FLAGS else "", count)
             for code, count in kinds.most_common()],
            columns=["Conspicuous", "What to do", "Masks"],
        )  # fmt: skip
        made += html_table(counts) + folded("Conspicuous masks", _rows(flagged), opened=len(flagged) < 20)
    words = "Predicted volumes; crosses are conspicuous masks, lines are medians."
    made += picture("contour_volumes", drawn.get("contour_volumes"), words)
    agreement = part.get("agreement")
    if agreement is not None and len(agreement):
        made += _agreement(agreement, drawn) + _in_sample(content)
    items = pd.DataFrame(reporting_items(content).items(), columns=["Asked", "Answer"])
    title = "What reporting guidelines (CLEAR, TRIPOD+AI) ask about contours"
    words = "Confidence: mean probability within the mask. Networks, Sequences: Dice between them."
    every = _rows(pd.concat([table, edited])) + paragraph(words, soft=True)
    return made + folded("All predicted masks", every) + folded(title, html_table(items))


def _sentence(code: str) -> str:
    return FLAGS[code].sentence if code in FLAGS else code


def _rows(table: pd.DataFrame) -> str:
    flags = ["; ".join(_sentence(code) for code in str(cell).split("; ")) for cell in table["flags"]]
    shown = table.assign(sequence=table["sequence"].map(sequence_label), flags=flags)
    heads = {name: head for name, head in _HEADS.items() if name in shown}
    for name in ("volume_cm3", "confidence", "member_agreement", "sequence_agreement"):
        if name in shown:
            shown[name] = [number(float(value), 2) for value in shown[name]]
    return html_table(shown[list(heads)].rename(columns=heads), most=200)


def _agreement(agreement: pd.DataFrame, drawn: Drawn) -> str:
    """Distance from the masks that were drawn."""
    summary = agreement_summary(agreement)
    summary["sequence"] = summary["sequence"].map(sequence_label)
    shown = summary.rename(columns={"sequence": "Sequence", "patients": "Patients"})
    made = "<h3>Against the masks that were drawn</h3>" + html_table(shown)
    words = (
        "Median (lower to upper quartile). HD95: 95th percentile of the distance between the surfaces. NSD: "
        "share of both surfaces that lies within the tolerance. Volume error: predicted minus drawn."
    )
    made += paragraph(words, soft=True)
    words = "Dice coefficient of every predicted mask with the one that was drawn, by its volume."
    return made + picture("contour_agreement", drawn.get("contour_agreement"), words)


def _in_sample(content: Content) -> str:
    """What this comparison is worth where the model may have been trained on these very patients."""
    model = part_of(content, "contours", "model")
    unseen = model.get("name") == "bundled" or (model.get("simulated") and not content.get("simulated"))
    if not model or unseen:
        return ""
    words = (
        "Patients whom the model was trained on are no test of it: if some are among these, its contours of "
        "new patients are worse than shown here."
    )
    return paragraph(words, soft=True)


def contour_effects(content: Content, drawn: Drawn) -> str:
    """C-index with drawn and with predicted contours, and risks under varied ones."""
    part, made = content["contour_effects"], ""
    c_index = part.get("c_index")
    if c_index is not None and len(c_index):
        patients = int(c_index["patients"].iloc[0])
        words = (
            f"The same models, cross-validated in the same folds on the {patients} patients who have both, "
            "once with features of the drawn contours and once with those of the predicted ones."
        )
        made += paragraph(words) + html_table(_c_table(c_index))
        words = "Difference: predicted minus drawn, paired by patients. p: whether it is zero."
        if part_of(content, "settings", "features").get("stability"):
            words += " Features that were unstable on the predicted contours were left out of both."
        made += paragraph(words, soft=True) + _in_sample(content)
    if part.get("failure"):
        made += paragraph(f"The same models could not be made from the drawn contours: {part['failure']}")
    if part.get("risk") is not None and part.get("summary") is not None:
        made += _risks(part["risk"], part["summary"].iloc[0], drawn)
    return made


def _c_table(c_index: pd.DataFrame) -> pd.DataFrame:
    names = {"harrell_c": "Harrell's C", "uno_c": "Uno's C"}
    rows = []
    for (model, metric), part in c_index.groupby(["model", "metric"], sort=False):
        found = part.set_index("contours")
        rows.append({
            "Model": model_label(str(model)), "Measure": names[str(metric)],
            "Drawn (95% CI)": interval(found.loc["drawn"]),
            "Predicted (95% CI)": interval(found.loc["predicted"]),
            "Difference (95% CI)": interval(found.loc["difference"]),
            "p": p_value(float(found["p"].to_dict()["difference"])),
        })  # fmt: skip
    return pd.DataFrame(rows)


def _risks(risk: pd.DataFrame, summary: pd.Series, drawn: Drawn) -> str:
    """How far risks move when masks are varied along their uncertainty."""
    table = risk_intervals(risk)
    words = (
        f"Model: {model_label(str(summary['model']))}, fitted to all patients, these among them. The "
        f"predicted masks of {plural(len(table), 'patient')} were varied "
        f"{summary['perturbations'] - 1:g} times along their uncertainty, and features were measured again. "
        f"The risk by {summary['horizon_months']:g} months moved by "
        f"{100 * summary['median_width']:.1f} percentage points (median width of the range that holds 90% of "
        f"a patient's predictions; largest {100 * summary['largest_width']:.1f})"
    )
    if np.isfinite(summary["share_changing_group"]):
        changed = 100 * summary["share_changing_group"]
        words += f", and {changed:.0f}% of the patients changed their risk group under some mask"
    made = "<h3>Risk under varied masks</h3>" + paragraph(f"{words}.")
    words = "Risk of every patient; bars hold 90% of the risks under the varied masks."
    made += picture("contour_risk", drawn.get("contour_risk"), words)
    percent = 100 * table[["risk", "lower", "upper"]].to_numpy(float)
    ranges = [f"{at:.0f}% ({low:.0f} to {high:.0f})" for at, low, high in percent]
    shown = pd.DataFrame({"Patient": table["patient_id"], "Risk (90% range)": ranges})
    words = (
        "The ranges hold what the networks do not agree about, no more: what all of them take wrongly, and "
        "the uncertainty of the prognostic model itself, come on top."
    )
    note = paragraph(words, soft=True)
    return made + note + folded("Risk of every patient", html_table(shown, most=400))


def reporting_items(content: Mapping[str, Any]) -> dict[str, str]:
    """What guidelines on reporting ask about contours, answered from what ran; what it cannot know is said.

    Parameters
    ----------
    content : mapping
        With ``contours``.

    Returns
    -------
    dict of str to str
        Question to answer.
    """
    part = content["contours"]
    agreement, effects = part.get("agreement"), content.get("contour_effects") or {}
    compared = "not compared with drawn contours in this study"
    if agreement is not None and len(agreement):
        compared = f"compared with {len(agreement)} drawn masks, see above"
    varied = effects.get("risk") is not None
    who = "of all patients" if part["when"] == "always" else "where none was drawn"
    return {
        "How were tumors segmented (CLEAR)": f"automatically, by {model_words(part)}",
        "Who segmented or corrected, with what experience (CLEAR, TRIPOD+AI)":
            "TO BE FILLED IN: who reviewed the predicted contours, and which were redrawn",
        "How were predictors measured (TRIPOD+AI)":
            f"on predicted masks, {who}",
        "How reliable is the segmentation (CLEAR)": compared,
        "What does its uncertainty do to predictions":
            "masks were varied, see the section on what contours change" if varied else "not examined",
    }  # fmt: skip
