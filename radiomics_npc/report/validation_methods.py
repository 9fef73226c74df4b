"""What the methods section says of the validation: only what ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radiomics_npc.report.modelling_methods import fitted_models, is_tuned
from radiomics_npc.report.references import Citations
from radiomics_npc.report.writing import in_text, listed, part_of, plural

__all__ = ["learnt_in_training", "validation_text"]

Content = Mapping[str, Any]


def validation_text(content: Content, cite: Citations) -> list[str]:
    """Heading and paragraph on the validation; nothing without one."""
    design = part_of(content, "models", "design")
    if not design:
        return []
    horizon = f"{design['horizon_months']:g} months"
    parts = [_design(content, design, cite), _horizon(design), _discrimination(design, horizon, cite)]
    differences = part_of(content, "models").get("differences")
    if differences is not None and len(differences):
        parts.append(
            f"Differences in C from the {in_text(design['reference'])} model are paired, patient by patient; "
            "their p values are not corrected for multiple comparisons."
        )
    parts += _accuracy(content, horizon, cite) + _further(content, cite)
    if content.get("simulated") and part_of(content, "models").get("oracle"):
        parts.append(
            "Because the patients are simulated, the C-index of their true risk (the oracle) is known as "
            "well."
        )
    return ["## Validation", " ".join(filter(None, parts))]


def learnt_in_training(content: Content) -> list[str]:
    """Steps of the models of a run that learn from data.

    Examples
    --------
    >>> learnt_in_training({})
    ['cut points of risk groups']
    """
    settings, names = part_of(content, "settings", "models"), fitted_models(content)
    radiomic = any(not name.startswith("clinical") for name in names)
    clinical = any(not name.startswith("radiomics") for name in names)
    cox = any(name in ("clinical_cox", "combined_cox") for name in names)
    steps = {
        "imputation": clinical and settings.get("imputation") in ("simple", "iterative"),
        "merging of categories": cox and clinical,
        "harmonization": radiomic and bool(settings.get("harmonize")),
        "stability and selection of features"
        if content.get("stability")
        else "selection of features": radiomic,
        "tuning": is_tuned(names),
        "cut points of risk groups": True,
    }
    return [step for step, ran in steps.items() if ran]


def _design(content: Content, design: Content, cite: Citations) -> str:
    names = [str(name) for name in design.get("fold_names") or ()]
    how = (
        f"Performance was estimated by {plural(design['repeats'], 'repeat')} of {design['folds']}-fold "
        "cross-validation stratified by event"
    )
    if design.get("kind") == "leave_center_out":
        how = (
            f"Performance was estimated by leaving out each of {design['folds']} centers ({listed(names)}) "
            f"in turn {cite('centers')}"
        )
    elif design.get("kind") == "temporal_split":
        how = (
            f"Performance was estimated in the patients who came later ({listed(names)}), the others training"
        )
    unit = "training fold" if design.get("kind") != "temporal_split" else "training part"
    return (
        f"{how}; everything learnt from data ({listed(learnt_in_training(content))}) was learnt in every "
        f"{unit} alone {cite('simon')}."
    )


def _horizon(design: Content) -> str:
    text = f"The horizon was {design['horizon_months']:g} months"
    asked = design.get("horizon_asked_months")
    if asked and asked > design["horizon_months"]:
        text += f" ({asked:g} were asked for), as far as the training patients were followed"
    earlier = [h for h in design.get("horizons_months") or () if h < design["horizon_months"]]
    if earlier:
        text += f"; probabilities were scored at {listed(f'{h:g}' for h in earlier)} months as well"
    return text + "."


def _discrimination(design: Content, horizon: str, cite: Citations) -> str:
    where = {"leave_center_out": "centers", "temporal_split": "held-out patients"}.get(
        str(design.get("kind")), "test folds"
    )
    spread = " and the variance between repeats" if design.get("repeats", 1) > 1 else ""
    return (
        f"Discrimination is Harrell's C {cite('harrell')} and Uno's C truncated at {horizon} {cite('uno')}, "
        f"with {100 * design['confidence']:g}% confidence intervals from influence functions "
        f"{cite('ledell')}{spread}; pairs of patients count within {where} only."
    )


def _accuracy(content: Content, horizon: str, cite: Citations) -> list[str]:
    parts = []
    if content.get("accuracy") is not None:
        parts.append(
            "The time-dependent AUC (cumulative cases against dynamic controls) and the Brier score were "
            f"weighted by the inverse probability of censoring {cite('blanche', 'graf')}; the index of "
            f"prediction accuracy (IPA) is the gain in Brier score over the Kaplan-Meier estimate "
            f"{cite('ipa')}."
        )
    if groups := part_of(content, "kaplan_meier"):
        parts.append(_risk_groups(content, groups, cite))
    if calibration := part_of(content, "calibration"):
        parts.append(_calibration(content, calibration, cite))
    if content.get("decision_curves") is not None:
        parts.append(f"Decision curves show the net benefit at {horizon} {cite('vickers')}.")
    if content.get("reclassification") is not None:
        parts.append(
            f"The continuous NRI and the IDI at {horizon} were weighted for censoring {cite('uno_nri')}."
        )
    return parts


def _calibration(content: Content, calibration: Content, cite: Citations) -> str:
    text = (
        "Calibration compares the mean predicted probability with the Kaplan-Meier estimate in groups of "
        "patients, from predictions made for patients outside the training fold"
    )
    if part_of(content, "models", "design").get("repeats", 1) > 1:
        text += " (the mean over repeats)"
    table = calibration.get("table")
    metrics = set() if table is None else set(table["metric"])
    if metrics & {"observed_expected", "calibration_slope"}:
        text += f"; observed over expected events and the calibration slope {cite('crowson')} are given"
    if calibration.get("curves") is not None:
        text += (
            "; the smooth calibration curve and the distances ICI, E50 and E90 follow Austin et al. "
            f"{cite('austin')}"
        )
    return text + "."


def _risk_groups(content: Content, groups: Content, cite: Citations) -> str:
    cut = str(part_of(content, "settings", "models").get("risk_groups"))
    where = {"median": "the median", "tertiles": "tertiles"}.get(cut, "quantiles")
    if cut == "maxstat":
        where = f"the cut with the largest log-rank statistic {cite('maxstat')}"
    text = (
        f"Risk groups were cut at {where} of the predicted risk learnt in the training folds and are shown "
        f"as Kaplan-Meier curves {cite('km')} with the log-rank test"
    )
    if groups.get("pairs") is not None:
        text += f", in pairs with Holm's correction {cite('holm')}"
    if groups.get("restricted_mean") is not None:
        text += f", and by restricted mean survival {cite('rmst')}"
    text += "."
    if part_of(content, "models", "design").get("repeats", 1) > 1:
        text += " A patient's group is the median over repeats."
    return text


def _further(content: Content, cite: Citations) -> list[str]:
    parts = []
    if optimism := part_of(content, "optimism"):
        count = int(optimism["table"]["resamples"].max())
        text = (
            f"Optimism{_of(optimism['table'])} was estimated in {plural(count, 'bootstrap sample')}, "
            f"everything learnt anew in each {cite('harrell')}"
        )
        if optimism.get("plus") is not None:
            text += f", together with the .632+ estimate {cite('plus632')}"
        parts.append(f"{text}; the corrected calibration slope is the shrinkage of the log hazards.")
    if (test := content.get("permutation_test")) is not None:
        count = int(test["permutations"].iloc[0])
        parts.append(
            f"One repeat of the cross-validation{_of(test)} was done again on {plural(count, 'permutation')} "
            f"of the outcomes {cite('permute')}."
        )
    if (curve := content.get("learning_curve")) is not None:
        parts.append(f"A learning curve{_of(curve)} tells C by the number of training patients.")
    if part_of(content, "centers").get("pooled") is not None:
        parts.append(f"C of the centers was pooled by random effects on the logit scale {cite('pooled')}.")
    if subgroups := part_of(content, "subgroups"):
        parts.append(
            f"C, and predicted against observed survival, of the {in_text(subgroups['model'])} model are "
            "told in subgroups by the columns of the baseline table as well; there C also compares patients "
            "of different folds."
        )
    if content.get("proportional_hazards"):
        parts.append(
            "Proportional hazards were tested for every term by the score test on scaled Schoenfeld "
            f"residuals {cite('zph')}."
        )
    return parts


def _of(table: Any) -> str:
    """Which model a table is about."""
    return f" of the {in_text(str(table['model'].iloc[0]))} model" if "model" in table else ""
