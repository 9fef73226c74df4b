"""Rules that answer checklist items on validation: who was held out, what was measured, what was found."""

from __future__ import annotations

from collections.abc import Callable

from radiomics_npc.report.checklist_answers import (
    Answer,
    Content,
    centers,
    in_methods,
    in_report,
    is_clinical_only,
    known,
    not_met,
    not_needed,
    partly,
    radiomic_models,
)
from radiomics_npc.report.modelling_methods import fitted_models
from radiomics_npc.report.validation_methods import learnt_in_training
from radiomics_npc.report.writing import listed, part_of, plural

__all__ = ["VALIDATION_RULES"]

Found = Answer | None
_VALIDATION = in_methods("Validation")


def data_use(content: Content) -> Found:
    """How patients were held out."""
    design = part_of(content, "models", "design")
    if not design:
        return None
    text = {
        "leave_center_out": f"Each of {design['folds']} centers held out in turn.",
        "temporal_split": "Later patients held out.",
    }.get(
        str(design.get("kind")),
        f"{plural(design['repeats'], 'repeat')} of {design['folds']}-fold nested cross-validation; the final "
        "models are made from all patients.",
    )
    return known(text, _VALIDATION)


def partition(content: Content) -> Found:
    """Patients are held out before anything is learnt."""
    design = part_of(content, "models", "design")
    if not design:
        return None
    steps = listed(learnt_in_training(content))
    how = {"leave_center_out": "by center", "temporal_split": "by date"}.get(
        str(design.get("kind")), "by patient, from a fixed seed"
    )
    return known(f"Held out {how}; learnt in training alone: {steps}.", _VALIDATION)


def clusters(content: Content) -> Found:
    """Centers held out and pooled, or harmonized."""
    if content.get("centers"):
        return known("Centers held out in turn; C pooled by random effects.", _VALIDATION)
    names = centers(content)
    if len(names) < 2:
        return None
    return partly(f"The data name {len(names)} centers; the run did not compare them.")


def cluster_results(content: Content) -> Found:
    """C of every center."""
    if content.get("centers"):
        return known("C of every center, pooled, and heterogeneity.", in_report("centers"))
    if not fitted_models(content):
        return None
    return not_needed("The run did not look at clusters.")


def measures(content: Content) -> Found:
    """Discrimination, accuracy, calibration, usefulness."""
    if not fitted_models(content):
        return None
    words = {
        "accuracy": "AUC(t), Brier score", "calibration": "calibration", "decision_curves": "decision curves",
        "reclassification": "NRI and IDI", "kaplan_meier": "risk groups",
    }  # fmt: skip
    found = ["Harrell's C", "Uno's C", *(word for key, word in words.items() if content.get(key) is not None)]
    return known(f"{listed(found)}.", _VALIDATION, in_report("models"))


def predictions(content: Content) -> Found:
    """Out-of-fold predictions."""
    if not part_of(content, "models", "design"):
        return None
    return known("By the model of the training fold, for patients it has not seen.", _VALIDATION)


def numbers(content: Content) -> Found:
    """Patients and events of the analyses."""
    flow, design = part_of(content, "flow"), part_of(content, "models", "design")
    if not design or flow.get("events") is None:
        return None
    text = f"All models: {flow['analyzed']} patients, {flow['events']} events"
    if design.get("kind") == "temporal_split":
        return partly(f"{text}, those in training among them.", in_report("flow"), _VALIDATION)
    return known(f"{text}; {plural(design['folds'], 'fold')}.", in_report("flow"), _VALIDATION)


def performance(content: Content) -> Found:
    """Scores with intervals."""
    if not fitted_models(content):
        return None
    keys = [k for k in ("models", "accuracy", "calibration", "subgroups") if content.get(k) is not None]
    groups = "also in subgroups" if "subgroups" in keys else "subgroups were not looked at"
    return known(f"With confidence intervals; {groups}.", in_report(*keys))


def uncertainty(content: Content) -> Found:
    """Intervals from influence functions and repeats."""
    scores = part_of(content, "models").get("scores")
    if scores is None or not scores["lower"].notna().any():
        return None
    return known(
        "Confidence intervals from influence functions and the bootstrap.", _VALIDATION, in_report("models")
    )


def comparison_of_models(content: Content) -> Found:
    """Paired differences of C."""
    differences = part_of(content, "models").get("differences")
    if not fitted_models(content):
        return None
    if differences is None or not len(differences):
        return not_needed("There was no second model to compare with the reference.")
    return known("Paired differences of C with intervals.", in_report("models"), _VALIDATION)


def non_radiomic(content: Content) -> Found:
    """Clinical models beside those with features."""
    names, radiomic = fitted_models(content), radiomic_models(content)
    if is_clinical_only(content):
        return not_needed("The study has no images.")
    if not radiomic:
        return None
    if not any(name.startswith("clinical") for name in names):
        return not_met("No clinical model was fitted.")
    return known("Clinical models beside those with features, on the same patients.", in_report("models"))


def calibration(content: Content) -> Found:
    """Calibration out of fold."""
    if not fitted_models(content):
        return None
    if not content.get("calibration"):
        return not_met("Calibration could not be assessed.")
    return known("Groups, slope, smooth curve; out of fold.", in_report("calibration"), _VALIDATION)


def simple_models(content: Content) -> Found:
    """Against Kaplan-Meier, and trees against Cox."""
    accuracy, names = content.get("accuracy"), fitted_models(content)
    found = []
    if accuracy is not None and (accuracy["metric"] == "ipa").any():
        found.append("every model against the Kaplan-Meier estimate (IPA)")
    if {name.partition("_")[2] for name in names} > {"cox"}:
        found.append("trees against Cox models")
    if not found:
        return None
    text = listed(found)
    key = "accuracy" if accuracy is not None else "models"
    return known(f"{text[:1].upper()}{text[1:]}.", in_report(key))


def internal_testing(content: Content) -> Found:
    """Later patients are tested on once; folds are the authors' to judge."""
    design = part_of(content, "models", "design")
    if not design:
        return None
    if design.get("kind") == "temporal_split":
        return known("Later patients were held out.", _VALIDATION)
    return partly("Nested cross-validation: every patient was predicted by models made without that patient.",
                  _VALIDATION)  # fmt: skip


def external_testing(content: Content) -> Found:
    """Centers left out are no external test of the final model."""
    design = part_of(content, "models", "design")
    if not design:
        return None
    if design.get("kind") == "leave_center_out":
        return partly("Each center was new to the models tested there (internal-external).", _VALIDATION)
    return partly("None within this run.")


_ALL: tuple[Callable[[Content], Found], ...] = (
    data_use,
    partition,
    clusters,
    cluster_results,
    measures,
    predictions,
    numbers,
    performance,
    uncertainty,
    comparison_of_models,
    non_radiomic,
    calibration,
    simple_models,
    internal_testing,
    external_testing,
)
#: By name, as checklists name them.
VALIDATION_RULES = {rule.__name__: rule for rule in _ALL}
