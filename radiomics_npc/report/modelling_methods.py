"""What the methods section says of models: only what ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from radiomics_npc.report.references import Citations
from radiomics_npc.report.writing import in_text, listed, part_of, variable
from radiomics_npc.survival.selection.signature import RadScore

__all__ = ["fitted_models", "is_tuned", "model_text"]

Content = Mapping[str, Any]


def fitted_models(content: Content) -> list[str]:
    """Names of the models that were validated.

    Examples
    --------
    >>> fitted_models({})
    []
    """
    models = part_of(content, "models")
    return list(dict.fromkeys(models["scores"]["model"])) if models else []


def is_tuned(names: list[str]) -> bool:
    """Whether any model has something that inner folds choose; forests and clinical Cox models have not.

    Examples
    --------
    >>> is_tuned(["clinical_cox", "combined_forest"]), is_tuned(["radiomics_cox"])
    (False, True)
    """
    return any(name.endswith("_boosted") or name in ("radiomics_cox", "combined_cox") for name in names)


def model_text(content: Content, cite: Citations) -> list[str]:
    """Heading and paragraph on the models; nothing without models."""
    settings, names = part_of(content, "settings", "models"), fitted_models(content)
    if not names:
        return []
    parts = [f"{'Models' if len(names) > 1 else 'One model'} fitted: {listed(map(in_text, names))}."]
    parts += _clinical(settings, names) + _preparation(content, settings, names, cite)
    parts += _cox(content, settings, names, cite) + _trees(content, settings, names, cite)
    if content.get("sample_size"):
        parts.append(
            "The events per candidate parameter were held against the sample size that Riley et al. ask for "
            f"{cite('riley')}."
        )
    return ["## Models", " ".join(parts)]


def _clinical(settings: Content, names: list[str]) -> list[str]:
    if not settings.get("clinical") or all(name.startswith("radiomics") for name in names):
        return []
    cox = any(name.endswith("_cox") and not name.startswith("radiomics") for name in names)
    trees = any(not name.endswith("_cox") and not name.startswith("radiomics") for name in names)
    text = f"Clinical variables were {listed(map(variable, settings['clinical']))}."
    if cox:
        text += " In Cox models categories entered as factors."
        if minimum := settings.get("min_category"):
            text += (
                f" Categories with fewer than {minimum} patients in training, or in which none or all had "
                "the event, were merged with their neighbor (T, N, M, stage) or with each other."
            )
    if trees:
        text += (
            " In trees ordered categories (T, N, M, stage) entered as numbers, others as one column a level."
        )
    return [text]


def _preparation(content: Content, settings: Content, names: list[str], cite: Citations) -> list[str]:
    how, parts = str(settings.get("imputation")), []
    clinical = any(not name.startswith("radiomics") for name in names)
    if how == "complete_case":
        parts.append("Only patients with all clinical values were analyzed.")
    elif clinical and how == "iterative":
        parts.append(
            "Missing clinical values are predicted once from the other clinical variables by chained "
            f"equations {cite('mice')} learnt in the training patients, without the outcome."
        )
    elif clinical:
        parts.append(
            "Missing clinical values are filled with the median or the most frequent level of the training "
            "patients."
        )
    radiomic = any(not name.startswith("clinical") for name in names)
    minimum = part_of(content, "stability").get("minimum")
    if radiomic and minimum is not None:
        parts.append(
            f"Features whose intraclass correlation among training patients was below {minimum:g} were left "
            "out."
        )
    if radiomic and (combat := part_of(settings, "harmonize")):
        parts.append(_harmonized(combat, cite))
    return parts


def _harmonized(combat: Content, cite: Citations) -> str:
    protected = combat.get("protect") or []
    kept = f", protecting {listed(map(variable, protected))}" if protected else ""
    text = (
        f"Features were harmonized by {variable(combat['by'])} with ComBat {cite('combat')}{kept}, "
        "learnt in the training patients."
    )
    if combat.get("unseen") == "reference_free":
        text += " Those of a center that was not in training were adjusted by its own patients' features."
    return text


def _cox(content: Content, settings: Content, names: list[str], cite: Citations) -> list[str]:
    parts = []
    if any(name.endswith("_cox") for name in names):
        parts.append(
            f"Cox models {cite('cox')} were fitted with lifelines {cite('lifelines')} and Efron's method for "
            f"ties, with the baseline hazard of the same method {cite('efron')}."
        )
        clinical = any(name in ("clinical_cox", "combined_cox") for name in names)
        if clinical and (splines := settings.get("splines")):
            knots = listed(f"{variable(name)} ({count} knots)" for name, count in splines.items())
            parts.append(f"Restricted cubic splines {cite('rms')} were used for {knots}.")
    if any(name in ("radiomics_cox", "combined_cox") for name in names):
        parts.append(_rad_score(content, settings, cite))
    if "combined_cox" in names:
        parts.append("The combined Cox model has the clinical variables and the Rad-score.")
    return parts


def _rad_score(content: Content, settings: Content, cite: Citations) -> str:
    fixed = RadScore()  # what no setting of a study changes
    folds = part_of(content, "settings", "validation").get("inner_folds")
    within = f"{folds}-fold cross-validation" if folds else "cross-validation"
    most = f"{settings.get('max_correlation', 0.9):g}"
    return (
        "The Rad-score is a sum of weighted features: near-constant features were dropped, missing values "
        "were filled with the median, and features were standardized and ranked by the score test of a Cox "
        f"model of each alone; of each pair correlated above {most} the one "
        f"less associated with the outcome was dropped, and the first {fixed.max_features} were weighted by "
        f"an elastic-net Cox model (L1 ratio {fixed.l1_ratio:g}) whose penalty was chosen by {within} within "
        f"the training patients {cite('coxnet')} (where it kept no feature, the first one alone). Cox models "
        "with the Rad-score were fitted to scores that each training patient had from a signature made "
        f"without that patient {cite('prevalidation')}."
    )


def _trees(content: Content, settings: Content, names: list[str], cite: Citations) -> list[str]:
    parts: list[str] = []
    if any(name.endswith("_boosted") for name in names):
        parts += _boosted(content, part_of(settings, "boosting"), names, cite)
    if any(name.endswith("_forest") for name in names):
        parts.append(
            f"Random survival forests {cite('forest')} were grown with scikit-survival {cite('sksurv')} for "
            "comparison."
        )
    return parts


def _boosted(content: Content, boosting: Content, names: list[str], cite: Citations) -> list[str]:
    aim = {"aft": "fitted an accelerated failure time model"}.get(
        str(boosting.get("objective")), "minimized the negative log of the Cox partial likelihood"
    )
    chosen = ["the number of trees"]
    if boosting.get("objective") == "aft":
        chosen.append("the scale of log times")
    if boosting.get("tune") == "grid":
        chosen = ["depth, leaf weight, ridge penalty", *chosen]
    given = ""
    if any(name in ("radiomics_boosted", "combined_boosted") for name in names):
        screens = "the same screens as in the Rad-score"
        if not any(name in ("radiomics_cox", "combined_cox") for name in names):
            screens = "screens by a univariate score test and by correlation with a stronger feature"
        given = f" Features entered them after {screens}, learnt in every inner fold."
    parts = [
        f"Boosted trees {aim} (XGBoost {cite('xgboost')}), with {listed(chosen)} chosen by cross-validation "
        f"within the training patients.{given} Their risks became probabilities by a Cox slope and a "
        "baseline hazard learnt from the risks of these inner folds."
    ]
    if monotone := boosting.get("monotone"):
        ways = {1: "rise", -1: "fall"}
        said = listed(f"{ways[int(way)]} with {variable(name)}" for name, way in monotone.items())
        parts.append(f"Their risk was constrained to {said}.")
    if content.get("shap"):
        parts.append(f"What moves their risk is shown by SHAP values {cite('shap')}.")
    if content.get("surrogates") is not None:
        parts.append(
            "Each boosted model has a surrogate with points: a Cox-type model of few terms, fitted by least "
            f"squares to the log hazards that the trees give their training patients {cite('rms')}, with a "
            "baseline hazard of its own; how well it imitates was measured in patients outside the training "
            "folds."
        )
    return parts
