"""The report: one file that shows a study from its patients to its nomogram."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Any

from radiomics_npc.nomogram.labels import model_label
from radiomics_npc.report.drawing import draw_figures
from radiomics_npc.report.limitations import limitations
from radiomics_npc.report.methods import methods_text
from radiomics_npc.report.outcome_words import outcome_of
from radiomics_npc.report.plain import plain
from radiomics_npc.report.sections import part_titles, sections_of
from radiomics_npc.storage import write_json, write_text

__all__ = ["draw_figures", "plain", "report_html", "write_report"]


def _glance(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The numbers a reader looks for first: (number, words)."""
    found: list[tuple[str, str]] = []
    flow, models = content.get("flow"), content.get("models")
    if flow:
        found.append((str(flow["analyzed"]), "patients analyzed"))
        if flow.get("events") is not None:
            found.append((str(flow["events"]), "with an event"))
    outcome = outcome_of(content)
    if outcome.get("observed") is not None:
        found.append(
            (
                f"{100 * outcome['observed']:.0f}%",
                f"{outcome['name']} at {outcome['horizon_months']:g} months",
            )
        )
    if models:
        # The model that is shown, named beforehand: the best of several would be too good to be true.
        scores = models["scores"].query("metric == 'harrell_c'").dropna(subset=["estimate"])
        wanted = scores[scores["model"] == models["shown"]] if models.get("shown") else scores.tail(1)
        for row in wanted.itertuples():
            words = f"Harrell's C ({row.lower:.2f} to {row.upper:.2f}): {model_label(row.model)}"
            found.append((f"{row.estimate:.2f}", words))
        if models.get("oracle"):
            found.append(
                (f"{models['oracle']['harrell_c']:.2f}", "C of the oracle, which knows the true risk")
            )
    return found


def _parts(sections: list[tuple[str, str, Any]]) -> list[tuple[str, list[tuple[str, str, Any]]]]:
    """Sections by the part of the report they stand in."""
    titles = part_titles()
    return [(title, list(part)) for title, part in groupby(sections, key=lambda section: titles[section[0]])]


def _told_apart(page: str) -> str:
    """Number the regions that bear the same label, so that a list of them can be used."""
    seen: Counter[str] = Counter()

    def numbered(found: re.Match[str]) -> str:
        seen[found[1]] += 1
        return found[0] if seen[found[1]] == 1 else f'{found[0][:-1]} ({seen[found[1]]})"'

    return re.sub(r'role="region" aria-label="([^"]*)"', numbered, page)


def report_html(content: Mapping[str, Any]) -> str:
    """The report as HTML; see :func:`write_report`."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    content = {"methods": methods_text(content), "limitations": limitations(content) or None} | dict(content)
    template = resources.files("radiomics_npc.report").joinpath("templates", "report.html.j2")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(template.read_text(encoding="utf-8")).render(
        title=content.get("title") or content.get("study") or "Study",
        subtitle=outcome_of(content)["name"] if content.get("outcome") else "",
        created=content.get("created") or "",
        simulated=bool(content.get("simulated")),
        glance=_glance(content),
        parts=_parts([(key, title, Markup(body)) for key, title, body in sections_of(content)]),
        version=(content.get("versions") or {}).get("radiomics-npc", ""),
    )
    return _told_apart(page)


def write_report(content: Mapping[str, Any], path: Path | str) -> Path:
    """Write the report, and its content beside it as JSON.

    One self-contained file without scripts and without any outside reference, for
    light and dark screens and for paper. Sections whose content is absent are
    skipped; everything is escaped.

    Parameters
    ----------
    content : mapping
        All keys are optional.

        ``title``, ``study``, ``created`` : str
            What stands at the top.
        ``simulated`` : bool
            Patients that never lived: a banner says so.
        ``outcome`` : dict
            name, horizon_months, observed (survival probability at the horizon).
        ``flow`` : dict
            read, analyzed, events (int), excluded (DataFrame: reason, patients; those who failed among them).
        ``table_one`` : DataFrame
            Of :func:`radiomics_npc.cohort.baseline.table_one`.
        ``table_one_center`` : DataFrame
            The same by center.
        ``findings`` : DataFrame
            Of ``CheckReport.to_frame``.
        ``quality`` : dict
            link (str, relative), patients, failed, flagged: the page of contours beside the report.
        ``contours`` : dict
            Where masks were predicted: model (dict: name, sha256, members, simulated), when, flips,
            table (DataFrame: patient_id, sequence, mask, volume_cm3, flags ...), agreement (DataFrame of
            :func:`radiomics_npc.contour_comparison.mask_agreement`, or None).
        ``contour_effects`` : dict
            c_index (DataFrame: model, metric, contours, patients, estimate, lower, upper, p), risk and
            summary (DataFrame, as ``contour_uncertainty``, by patient and over all), or None.
        ``montage`` : Figure, or bytes of a PNG
            Of :func:`radiomics_npc.report.montage.montage_figure`.
        ``features`` : dict
            number (int), sequences (list), preset, normalize (str), bias_correction and landmarks (as
            ``intensity_content`` gives them), morphology (bool),
            failures (DataFrame: patient_id, sequence, message, remedy), settings (dict or YAML).
        ``models`` : dict
            shown (str: the model of the nomogram), scores, differences, per_repeat, failures
            (DataFrame), notes, design: those of
            :class:`radiomics_npc.survival.validation.cross_validation.CrossValidation`; oracle (dict: C of
            the true risk by metric).
        ``appraisal_notes`` : list of str
            What the validation could not say, or could not make, and why.
        ``accuracy``, ``decision_curves``, ``reclassification`` : DataFrame
            Tables of :class:`radiomics_npc.survival.validation.appraisal.Appraisal`.
        ``calibration`` : dict
            table (model, time_months, metric, estimate, lower, upper), groups and curves (DataFrame),
            of the same; groups and curves may be absent.
        ``kaplan_meier`` : dict
            model (str), curves (dict: DataFrame of ``KaplanMeier.to_frame`` by group, low
            to high risk), p (float, log-rank), pairs (DataFrame of ``pairwise_log_rank``),
            restricted_mean (DataFrame: group, patients, events, until_months, estimate, lower, upper,
            difference, difference_lower, difference_upper, p).
        ``optimism`` : dict
            table and plus (DataFrame), of
            :class:`radiomics_npc.survival.validation.optimism.BootstrapValidation`, with model.
        ``permutation_test``, ``learning_curve`` : DataFrame
            With model.
        ``centers`` : dict
            table and pooled (DataFrame), of
            :class:`radiomics_npc.survival.validation.centers.CenterScores`.
        ``subgroups`` : dict
            model, horizon_months, table (DataFrame of
            :func:`radiomics_npc.report.subgroups.subgroup_scores`).
        ``endpoints`` : dict
            By name: time_months, incidence, lower, upper, patients, events, competing.
        ``complete_cases`` : DataFrame
            column, missing, events, only_here, share.
        ``stability`` : dict
            table (DataFrame of ``stability_table``), minimum (float), patients (int).
        ``sample_size`` : dict
            table (DataFrame: model, parameters, events, events_per_parameter), warnings (dict: list of
            str by model).
        ``proportional_hazards``, ``effects_over_time`` : dict
            By model: DataFrame term, chisq, df, p; and time_months, effect, lower, upper, term.
        ``selection`` : dict
            By model, the one that is shown first: DataFrame feature, frequency.
        ``shap`` : dict
            By model: table (DataFrame column, mean_abs_shap, share), figure (bytes of a PNG).
        ``hazard_ratios`` : dict
            By model: DataFrame of ``CoxModel.summary``.
        ``notes`` : dict
            By model: sentences on merged categories, imputation, fallbacks.
        ``rad_score`` : DataFrame
            feature, coefficient, and weight (for one standard deviation).
        ``contour_uncertainty`` : DataFrame
            model, patients, perturbations, horizon_months, median_width, upper_quartile_width,
            largest_width, share_changing_group.
        ``nomogram`` : dict
            model (str), horizons_months (list), figure (Figure or SVG), points (DataFrame of
            ``Nomogram.points_table``), link (str, relative), example (dict: figure, SVG).
        ``methods`` : str
            Markdown; by default :func:`radiomics_npc.report.methods.methods_text`.
        ``limitations`` : list of str
            By default :func:`radiomics_npc.report.limitations.limitations`.
        ``settings`` : dict
            Of study.yaml, with relative paths.
        ``versions`` : dict
            Of :func:`radiomics_npc.provenance.software_versions`.
    path : path
        ``report.html``; the JSON gets the same name with ``.json``.

    Returns
    -------
    Path

    Examples
    --------
    >>> import tempfile
    >>> path = write_report({"title": "Pilot", "flow": {"read": 3, "analyzed": 3}},
    ...                     Path(tempfile.mkdtemp()) / "report.html")
    >>> "<h1>Pilot</h1>" in path.read_text(encoding="utf-8")
    True
    """
    path = Path(path)
    write_text(path, report_html(content))
    write_json(path.with_suffix(".json"), plain(content))
    return path
