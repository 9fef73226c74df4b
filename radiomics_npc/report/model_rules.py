"""Rules that answer checklist items on models: what they are, what they give, and how they are used."""

from __future__ import annotations

from collections.abc import Callable

from radiomics_npc.report.checklist_answers import (
    Answer,
    Content,
    has_rad_score,
    in_methods,
    in_report,
    known,
    not_needed,
    partly,
    radiomic_models,
)
from radiomics_npc.report.limitations import limitations
from radiomics_npc.report.modelling_methods import fitted_models, is_tuned
from radiomics_npc.report.writing import in_text, listed, part_of, plural, variable

__all__ = ["MODEL_RULES"]

Found = Answer | None
_MODELS, _VALIDATION = in_methods("Models"), in_methods("Validation")


def predictor_forms(content: Content) -> Found:
    """Factors, splines, standardized features."""
    if not fitted_models(content):
        return None
    cox = any(name.endswith("_cox") for name in fitted_models(content))
    trees = any(not name.endswith("_cox") for name in fitted_models(content))
    words = ["categories as factors in Cox models"] if cox else []
    words += ["ordered categories as numbers in trees"] if trees else []
    if splines := part_of(content, "settings", "models").get("splines"):
        words.append(f"splines for {listed(map(variable, splines))}")
    if has_rad_score(content):
        words.append("features standardized in the Rad-score")
    text = listed(words)
    return known(f"{text[:1].upper()}{text[1:]}.", _MODELS)


def model_building(content: Content) -> Found:
    """Kinds of model, and how they were built."""
    names = fitted_models(content)
    if not names:
        return None
    return known(f"Models: {listed(map(in_text, names))}; every step is told.", _MODELS, _VALIDATION)


def tuning(content: Content) -> Found:
    """Inner folds; nothing to tune in plain Cox models."""
    names = fitted_models(content)
    if not names:
        return None
    folds = part_of(content, "settings", "validation").get("inner_folds")
    if not is_tuned(names):
        kinds = {"_cox": "Cox models by maximum likelihood", "_forest": "forests with settings of their own"}
        how = listed(words for kind, words in kinds.items() if any(name.endswith(kind) for name in names))
        return known(f"Nothing was tuned: {how}.", _MODELS)
    return known(f"Tuned in {folds or 'inner'} folds within the training patients.", _MODELS, _VALIDATION)


def updating(content: Content) -> Found:
    """No model is changed after its evaluation."""
    return not_needed("No model was updated.") if fitted_models(content) else None


def class_imbalance(content: Content) -> Found:
    """None is used."""
    if not fitted_models(content):
        return None
    return not_needed("Times to event were modeled; nothing was resampled or reweighted.")


def fairness(content: Content) -> Found:
    """None is used."""
    if not fitted_models(content):
        return None
    if content.get("subgroups") is not None:
        return partly("Performance is told in subgroups; nothing else was done.", in_report("subgroups"))
    return partly("The run did nothing for fairness.")


def output(content: Content) -> Found:
    """Probabilities at horizons, and groups."""
    design, cut = (
        part_of(content, "models", "design"),
        part_of(content, "settings", "models").get("risk_groups"),
    )
    if not design:
        return None
    text = f"Probability to be free of the event at {design['horizon_months']:g} months"
    how = {"maxstat": "the largest log-rank statistic", "median": "the median"}.get(str(cut), str(cut))
    text += f"; risk groups cut at {how} of the risk in training." if cut else "."
    return known(text, _VALIDATION, *([in_report("kaplan_meier")] if content.get("kaplan_meier") else []))


def code(content: Content) -> Found:
    """Software and versions."""
    version = part_of(content, "versions").get("radiomics-npc")
    if not version:
        return None
    return partly(f"radiomics-npc {version}; the settings are study.yaml.", in_methods("Software"))


def _saved(content: Content) -> list[str]:
    return list(content.get("notes") or {})


def whole_model(content: Content) -> Found:
    """Model files; terms of use are the authors'."""
    names = _saved(content)
    if not names:
        return None
    places = listed(f"models/{name}/model.json" for name in names)
    return partly(f"Whole models are in {places}.", in_methods("Models"))


def shared_model(content: Content) -> Found:
    """The same; sharing is the authors'."""
    return whole_model(content)


def shared_system(content: Content) -> Found:
    """The page of the nomogram."""
    return partly("nomogram.html predicts offline.") if content.get("nomogram") else None


def limits(content: Content) -> Found:
    """Those that the report lists."""
    found = limitations(content) if content.get("flow") and fitted_models(content) else []
    return (
        partly(f"The report lists {plural(len(found), 'limitation')}.", in_report("limitations"))
        if found
        else None
    )


def poor_input(content: Content) -> Found:
    """Out of range, and missing."""
    if not _saved(content):
        return None
    text = (
        "Values outside the training range get no probability; missing clinical values are filled as in "
        "training, and the prediction says so."
    )
    return known(text, "models/NAME/card.md")


def users(content: Content) -> Found:
    """What has to be typed or measured."""
    if not _saved(content):
        return None
    more = " Features need a contour and the same extraction." if radiomic_models(content) else ""
    return partly(f"Users type clinical values.{more}")


def confounders(content: Content) -> Found:
    """Harmonization between centers."""
    by = part_of(content, "settings", "models", "harmonize").get("by")
    if not by or not radiomic_models(content):
        return None
    return known(f"Features were harmonized by {by} (ComBat) in every training fold.", _MODELS)


def model_choice(content: Content) -> Found:
    """Named in the settings, all reported; whether before any result was seen is the authors'."""
    shown = part_of(content, "models").get("shown")
    if not shown:
        return None
    text = f"The settings name {in_text(str(shown))}; all models of the run are reported."
    return partly(text, in_report("models", "settings"))


def explanation(content: Content) -> Found:
    """Hazard ratios, SHAP values, the nomogram."""
    words = {"hazard_ratios": "Hazard ratios", "rad_score": "weights of the Rad-score", "shap": "SHAP values",
             "nomogram": "nomogram"}  # fmt: skip
    keys = [key for key in words if _there(content, key)]
    text = listed(words[key] for key in keys) if keys else ""
    return known(f"{text[:1].upper()}{text[1:]}.", in_report(*keys)) if keys else None


def _there(content: Content, key: str) -> bool:
    part = content.get(key)
    return part is not None and len(part) > 0


_ALL: tuple[Callable[[Content], Found], ...] = (
    predictor_forms,
    model_building,
    tuning,
    updating,
    class_imbalance,
    fairness,
    output,
    code,
    whole_model,
    shared_model,
    shared_system,
    limits,
    poor_input,
    users,
    confounders,
    model_choice,
    explanation,
)
#: By name, as checklists name them.
MODEL_RULES = {rule.__name__: rule for rule in _ALL}
