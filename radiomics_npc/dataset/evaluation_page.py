"""The page of an evaluation: ranking, scores, stability and comparisons, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from radiomics_npc.dataset.evaluation_figures import MEASURE_NAMES, SCHEME_NAMES
from radiomics_npc.dataset.evaluation_tables import (
    LENGTHS,
    OVERLAPS,
    comparison_table,
    lowest_table,
    ranking_table,
    stability_table,
    summary_table,
)
from radiomics_npc.dataset.page import Section, page_html
from radiomics_npc.report.pieces import paragraph, picture
from radiomics_npc.report.tables import html_table, number
from radiomics_npc.report.writing import listed, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from radiomics_npc.dataset.evaluation import ChallengeEvaluation

__all__ = ["evaluation_page"]

_SCHEMES: Final = {
    "rank_then_aggregate": "Rank, then aggregate (SegRap2023): methods are ranked by their mean over the"
    " cases, within every measure and class; the ranks are averaged. Of two with one mean rank the one whose"
    " ranks vary less comes first.",
    "aggregate_then_rank": "Aggregate, then rank: methods are ranked by their mean over cases and classes,"
    " within every measure; the ranks are averaged.",
    "case_ranks": "Ranks of the cases (BraTS): methods are ranked in every case, measure and class; all"
    " ranks are averaged.",
    "test_based": "By tests (challengeR): methods are ranked by how many others they are better than by"
    " one-sided Wilcoxon signed-rank tests after Holm's adjustment, within every measure and class; the"
    " ranks are averaged.",
}
_NARROW: Final = 4.8  # inches of a figure that has room for another beside it on a page
_CAPTIONS: Final = {
    "stability": "Share of the bootstrap samples of the cases in which a method has a rank, as area; line:"
    " 95% of the samples, cross: median",
    "schemes": "Ranks by four ways of ranking",
}


def evaluation_page(found: ChallengeEvaluation, figures: Mapping[str, Figure]) -> str:
    """Write the page.

    Parameters
    ----------
    found : ChallengeEvaluation
    figures : mapping of str to Figure
        Of :meth:`radiomics_npc.dataset.evaluation.ChallengeEvaluation.figures`.

    Returns
    -------
    str
        HTML.
    """
    who = ", simulated patients" if found.simulated else ""
    missing = int(found.table["missing"].sum())
    table = found.table
    lead = [
        f"{plural(len(found.methods), 'method')}, {plural(table['case'].nunique(), 'case')},"
        f" {_classes(table['class'].nunique())}; {_predictions(missing)}."
    ]
    sections = [
        *_ranking(found, figures, who), *_scores(found, figures, who), *_stability(found, figures, who),
        *_comparisons(found, who), *_lowest(found, who), *_left_out(found), _rules(found),
    ]  # fmt: skip
    return page_html(f"Evaluation of segmentations{who}", lead, sections, simulated=found.simulated)


def _classes(count: int) -> str:
    return f"{count} class{'es' if count > 1 else ''}"


def _predictions(missing: int) -> str:
    return f"{plural(missing, 'prediction')} missing" if missing else "no prediction missing"


def _ranking(found: ChallengeEvaluation, figures: Mapping[str, Figure], who: str) -> list[Section]:
    if found.ranking is None:
        return []
    body = html_table(
        ranking_table(found.ranking), "Mean rank, standard deviation of the ranks, and ranks by part"
    )
    return [Section("ranking", f"Ranking{who}", body, (_SCHEMES[found.ranking.scheme],), link="Ranking")]


def _scores(found: ChallengeEvaluation, figures: Mapping[str, Figure], who: str) -> list[Section]:
    table = "".join(
        html_table(summary_table(found.summary, found.methods, measures), f"{name}: mean (95% interval)")
        for name, measures in (("Overlap", OVERLAPS), ("Distances and volumes", LENGTHS))
    )
    several = "mean over the classes of a case" if found.table["class"].nunique() > 4 else "a dot a case"
    drawn = "".join(
        picture(name, figures[name], f"{MEASURE_NAMES[name]}; {several}{who}.")
        for name in ("dice", "nsd", "hd95_mm")
    )
    notes = [
        f"Means over cases with 95% bootstrap percentile intervals. {_infinite(found)}",
        "NSD: share of both surfaces within the tolerance of the other (Nikolov 2021);"
        " HD95: the larger of the two directed 95th percentiles of surface distance by area.",
    ]
    if figures["dice"].get_figwidth() < _NARROW:
        drawn = f'<div class="side">{drawn}</div>'
    return [Section("scores", f"Scores{who}", table + drawn, notes, link="Scores")]


def _infinite(found: ChallengeEvaluation) -> str:
    infinite = found.settings.get("infinite", "diagonal")
    what = "the diagonal of the reference's grid" if infinite == "diagonal" else f"{float(infinite):g} mm"
    count = int(np.isinf(found.table["hd95_mm"]).sum())
    return f"{what[0].upper()}{what[1:]} stands for {plural(count, 'infinite distance')}." if count else ""


def _stability(found: ChallengeEvaluation, figures: Mapping[str, Figure], who: str) -> list[Section]:
    sections = []
    if found.stability is not None:
        body = html_table(stability_table(found.stability), "Ranks in bootstrap samples") + _tau(found)
        body += picture("stability", figures["stability"], f"{_CAPTIONS['stability']}{who}.")
        samples = found.stability.ranks.shape[1]
        note = f"{samples} samples of the cases, each case with all its classes."
        sections.append(
            Section("stability", f"How stable the ranks are{who}", body, (note,), link="Stability")
        )
    if len(found.schemes):
        heads = {name: head.replace("\n", " ") for name, head in SCHEME_NAMES.items()}
        table = found.schemes.rename(columns={"method": "Method"} | heads).drop(
            columns="simulated", errors="ignore"
        )
        body = html_table(table.astype(str), "Rank by each way of ranking")
        body += picture("schemes", figures["schemes"], f"{_CAPTIONS['schemes']}{who}.")
        sections.append(
            Section("schemes", f"Other ways to rank{who}", body, tuple(_SCHEMES.values()), link="Other ways")
        )
    return sections


def _tau(found: ChallengeEvaluation) -> str:
    assert found.stability is not None
    row = found.stability.tau_frame().iloc[0]
    if not np.isfinite(row["mean"]):
        return ""
    values = [number(float(row[name]), 2) for name in ("mean", "lower", "upper")]
    return paragraph(
        f"Kendall's tau with the ranking of all cases: mean {values[0]},"
        f" in 95% of the samples {values[1]} to {values[2]}."
    )


def _comparisons(found: ChallengeEvaluation, who: str) -> list[Section]:
    if found.comparisons.empty:
        return []
    few = len(found.methods) <= 3
    which = "" if few else " Here each method and the next; all pairs are in comparisons.csv."
    notes = (
        "Paired t test and Wilcoxon signed-rank test of the cases; the Mann-Whitney U test takes no notice of"
        " the pairing. p after Holm, for the pairs of methods within a measure and class." + which,
    )
    body = html_table(comparison_table(found.comparisons, found.methods), "First minus second", most=60)
    name = f"Differences between methods{who}"
    return [Section("comparisons", name, body, notes, link="Differences")]


def _lowest(found: ChallengeEvaluation, who: str) -> list[Section]:
    body = html_table(lowest_table(found.table), "Ten rows at most")
    return [Section("lowest", f"Lowest Dice{who}", body, link="Lowest Dice")]


def _left_out(found: ChallengeEvaluation) -> list[Section]:
    sections = []
    if len(found.failures):
        columns = {
            "method": "Method",
            "case": "Case",
            "class": "Class",
            "message": "Problem",
            "remedy": "Remedy",
        }
        table = found.failures[list(columns)].rename(columns=columns)
        table["Method"] = table["Method"].replace("", "the reference")
        body = html_table(table.replace("", "all"), "Files and classes", most=200)
        note = "Predictions among them are scored as missing."
        sections.append(Section("failures", "What could not be used", body, (note,), link="Failures"))
    if len(found.unscored):
        columns = {"method": "Method", "case": "Case", "class": "Class", "reason": "Reason"}
        table = found.unscored.rename(columns=columns).replace("", "all")
        sections.append(
            Section(
                "unscored",
                "What is not scored",
                html_table(table, "Cases and classes", most=200),
                link="Not scored",
            )
        )
    return sections


def _rules(found: ChallengeEvaluation) -> Section:
    settings = found.settings
    tolerances = settings.get("tolerances_mm", {})
    others = {name: mm for name, mm in tolerances.items() if mm != 1.0}
    rest = [] if len(others) == len(tolerances) else ["all others 1 mm" if others else "1 mm"]
    told = listed([*(f"{name} {mm:g} mm" for name, mm in others.items()), *rest])
    surface = (
        "the faces of the voxels, cut into near-square pieces" if settings.get("surface") == "faces"
        else "the elements of DeepMind's surface-distance at the corners of the voxels"
    )  # fmt: skip
    empty = (
        "scores 1 if the prediction is empty too, else 0" if settings.get("empty_reference") == "score"
        else "is left out of that case"
    )  # fmt: skip
    grid = (
        "is resampled to it by the nearest voxel" if settings.get("on_mismatch") == "resample"
        else "counts as missing"
    )  # fmt: skip
    notes = (
        "A prediction that is missing or cannot be used scores 0, and its distances are infinite.",
        f"A class of which nothing is drawn in the reference {empty}.",
        f"A prediction on another grid than the reference {grid}; turned and cropped masks are put in place.",
        f"Tolerance of the NSD: {told}. Surface: {surface}.",
    )
    return Section("rules", "Rules", "", notes, link="Rules")
