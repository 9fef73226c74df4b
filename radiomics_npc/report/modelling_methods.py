"""What the methods section says of models and of their validation: only what ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radiomics_npc.report.writing import Citations, in_text, listed, part_of, plural, variable

__all__ = ["model_text", "validation_text"]

Content = Mapping[str, Any]


def model_text(content: Content, cite: Citations) -> list[str]:
    """Heading and paragraph on the models; nothing without models."""
    settings, models = part_of(content, "settings", "models"), part_of(content, "models")
    if not models:
        return []
    names = list(dict.fromkeys(models["scores"]["model"]))
    parts = [f"{'Models' if len(names) > 1 else 'One model'} fitted: {listed(map(in_text, names))}."]
    clinical = any(not name.startswith("radiomics") for name in names)
    if settings.get("clinical") and clinical:
        columns = listed(map(variable, settings["clinical"]))
        parts.append(f"Clinical variables were {columns}; categories entered as factors.")
    if settings.get("min_category"):
        parts.append(
            f"Categories with fewer than {settings['min_category']} patients in training, or in which "
            "none or all had the event, were merged with their neighbor (T, N, M, stage) or with each other."
        )
    parts += _preparation(content, settings, names, cite) + _cox(settings, names, cite)
    parts += _trees(content, settings, names, cite)
    if content.get("sample_size"):
        parts.append(
            "The events per candidate parameter were held against the sample size that Riley et al. ask for "
            f"{cite('riley')}."
        )
    return ["## Models", " ".join(parts)]


def _preparation(content: Content, settings: Content, names: list[str], cite: Citations) -> list[str]:
    how = {
        "iterative": "Missing clinical values were predicted from the other predictors by chained equations "
        f"{cite('mice') if settings.get('imputation') == 'iterative' else ''} learnt in the training "
        "patients, without the outcome.",
        "complete_case": "Only patients with all clinical values were analyzed.",
    }
    simple = (
        "Missing clinical values were filled with the median or the most frequent level of the training "
        "patients."
    )
    parts = [how.get(str(settings.get("imputation")), simple)]
    radiomic = any(not name.startswith("clinical") for name in names)
    minimum = part_of(content, "stability").get("minimum")
    if radiomic and minimum is not None:
        parts.append(
            f"Features whose intraclass correlation among training patients was below {minimum:g} were left "
            "out."
        )
    if radiomic and (combat := part_of(settings, "harmonize")):
        protected = combat.get("protect") or []
        kept = f", protecting {listed(map(variable, protected))}" if protected else ""
        parts.append(
            f"Features were harmonized by {variable(combat['by'])} with ComBat {cite('combat')}{kept}, "
            "learnt in the training patients."
        )
    return parts


def _cox(settings: Content, names: list[str], cite: Citations) -> list[str]:
    parts = []
    if any(name.endswith("_cox") for name in names):
        parts.append(
            f"Cox models {cite('cox')} were fitted with lifelines {cite('lifelines')} and Efron's method for "
            f"ties, with the baseline hazard of the same method {cite('efron')}."
        )
        if splines := settings.get("splines"):
            knots = listed(f"{variable(name)} ({count} knots)" for name, count in splines.items())
            parts.append(f"Restricted cubic splines {cite('rms')} were used for {knots}.")
    if any(name in ("radiomics_cox", "combined_cox") for name in names):
        parts.append(
            "The Rad-score is a sum of weighted features: near-constant features were dropped, then of each "
            f"pair correlated above {settings.get('max_correlation', 0.9):g} the one less associated with "
            "the outcome, and the rest were weighted by an elastic-net Cox model whose penalty was chosen by "
            f"cross-validation within the training patients {cite('coxnet')}."
        )
    if "combined_cox" in names:
        parts.append(
            "The combined model has the clinical variables and the Rad-score, each training patient's "
            "Rad-score coming from a signature made without that patient."
        )
    return parts


def _trees(content: Content, settings: Content, names: list[str], cite: Citations) -> list[str]:
    parts, boosting = [], part_of(settings, "boosting")
    if any(name.endswith("_boosted") for name in names):
        aim = {"aft": "fitted an accelerated failure time model"}.get(
            str(boosting.get("objective")), "minimized the negative log of the Cox partial likelihood"
        )
        chosen = "the number of trees"
        if boosting.get("tune") == "grid":
            chosen = "depth, leaf weight, ridge penalty and the number of trees"
        parts.append(
            f"Boosted trees {aim} (XGBoost {cite('xgboost')}), {chosen} chosen within the training patients."
        )
        if monotone := boosting.get("monotone"):
            ways = {1: "rise", -1: "fall"}
            said = listed(f"{ways[int(way)]} with {variable(name)}" for name, way in monotone.items())
            parts.append(f"Their risk was constrained to {said}.")
        if content.get("shap"):
            parts.append(f"What moves their risk is shown by SHAP values {cite('shap')}.")
    if any(name.endswith("_forest") for name in names):
        parts.append(
            f"Random survival forests {cite('forest')} were grown with scikit-survival {cite('sksurv')} for "
            "comparison."
        )
    return parts


def validation_text(content: Content, cite: Citations) -> list[str]:
    """Heading and paragraph on the validation; nothing without one."""
    design = part_of(content, "models", "design")
    if not design:
        return []
    horizon = f"{design['horizon_months']:g} months"
    parts = [_design(design, cite)]
    where = {"leave_center_out": "centers", "temporal_split": "held-out patients"}.get(
        str(design.get("kind")), "test folds"
    )
    spread = " and the variance between repeats" if design.get("repeats", 1) > 1 else ""
    parts.append(
        f"Discrimination is Harrell's C {cite('harrell')} and Uno's C truncated at {horizon} {cite('uno')}, "
        f"with {100 * design['confidence']:g}% confidence intervals from influence functions{spread}; pairs "
        f"of patients count within {where} only."
    )
    if design.get("reference"):
        parts.append(
            f"Models were compared with the {in_text(design['reference'])} model, patient by patient."
        )
    parts += _accuracy(content, horizon, cite) + _further(content, cite)
    if content["simulated"] and part_of(content, "models").get("oracle"):
        parts.append(
            "Because the patients are simulated, the C-index of their true risk (the oracle) is known as "
            "well."
        )
    return ["## Validation", " ".join(parts)]


def _design(design: Content, cite: Citations) -> str:
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
        f"{how}; everything learnt from data (imputation, merging of categories, selection, tuning, cut "
        f"points) was learnt in every {unit} alone {cite('simon')}."
    )


def _accuracy(content: Content, horizon: str, cite: Citations) -> list[str]:
    parts = []
    if content.get("accuracy") is not None:
        parts.append(
            "The time-dependent AUC (cumulative cases against dynamic controls) and the Brier score were "
            f"weighted by the inverse probability of censoring {cite('blanche', 'graf')}; the index of "
            "prediction accuracy (IPA) is the gain in Brier score over the Kaplan-Meier estimate."
        )
    if groups := part_of(content, "kaplan_meier"):
        parts.append(_risk_groups(content, groups, cite))
    if calibration := part_of(content, "calibration"):
        text = (
            "Calibration compares the mean predicted probability with the Kaplan-Meier estimate in groups of "
            "patients, from predictions made for patients outside the training fold"
        )
        if calibration.get("curves") is not None:
            text += (
                "; the smooth calibration curve and the distances ICI, E50 and E90 follow Austin et al. "
                f"{cite('austin')}"
            )
        parts.append(text + ".")
    if content.get("decision_curves") is not None:
        parts.append(f"Decision curves show the net benefit at {horizon} {cite('vickers')}.")
    if content.get("reclassification") is not None:
        parts.append(
            f"The continuous NRI and the IDI at {horizon} were weighted for censoring {cite('uno_nri')}."
        )
    return parts


def _risk_groups(content: Content, groups: Content, cite: Citations) -> str:
    cut = part_of(content, "settings", "models").get("risk_groups")
    where = (
        f"the cut with the largest log-rank statistic {cite('maxstat')}" if cut == "maxstat" else "quantiles"
    )
    text = (
        f"Risk groups were cut at {where} of the predicted risk learnt in the training folds and are shown "
        f"as Kaplan-Meier curves {cite('km')} with the log-rank test"
    )
    if groups.get("pairs") is not None:
        text += f", in pairs with Holm's correction {cite('holm')}"
    if groups.get("restricted_mean") is not None:
        text += f", and by restricted mean survival {cite('rmst')}"
    return text + "."


def _further(content: Content, cite: Citations) -> list[str]:
    parts = []
    if optimism := part_of(content, "optimism"):
        count = int(optimism["table"]["resamples"].max())
        text = f"Optimism was estimated in {plural(count, 'bootstrap sample')} {cite('harrell')}"
        if optimism.get("plus") is not None:
            text += f", together with the .632+ estimate {cite('632')}"
        parts.append(f"{text}; the corrected calibration slope is the shrinkage of the log hazards.")
    if (test := content.get("permutation_test")) is not None:
        count = int(test["permutations"].iloc[0])
        parts.append(
            f"The whole cross-validation was repeated on {plural(count, 'permutation')}"
            f" of the outcomes {cite('permute')}."
        )
    if content.get("learning_curve") is not None:
        parts.append("A learning curve tells C by the number of training patients.")
    if part_of(content, "centers").get("pooled") is not None:
        parts.append(f"C of the centers was pooled by random effects on the logit scale {cite('pooled')}.")
    if content.get("proportional_hazards"):
        parts.append(
            "Proportional hazards were tested for every term by the score test on scaled Schoenfeld "
            f"residuals {cite('zph')}."
        )
    return parts
