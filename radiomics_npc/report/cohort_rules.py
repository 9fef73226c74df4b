"""Rules that answer checklist items on patients, outcome, predictors and ethics."""

from __future__ import annotations

from collections.abc import Callable

from radiomics_npc.nomogram.labels import sequence_words
from radiomics_npc.report.checklist_answers import (
    Answer,
    Content,
    centers,
    has_features,
    in_methods,
    in_report,
    is_clinical_only,
    known,
    no_images,
    not_needed,
    partly,
    radiomic_models,
)
from radiomics_npc.report.modelling_methods import fitted_models
from radiomics_npc.report.outcome_words import outcome_of
from radiomics_npc.report.writing import in_text, listed, part_of, plural, variable

__all__ = ["COHORT_RULES"]

Found = Answer | None
_PATIENTS = in_methods("Patients and endpoint")
_SIMULATED = "The patients are simulated."


def authors(content: Content) -> Found:
    """Nothing that a run could know."""
    return None


def objectives(content: Content) -> Found:
    """Development and validation of the models that were fitted."""
    names = fitted_models(content)
    if not names:
        return None
    return partly(f"The run develops and validates {listed(map(in_text, names))} models.")


def guidelines(content: Content) -> Found:
    """The checklists beside the report."""
    if not content.get("flow"):
        return None
    return partly("TRIPOD+AI, CLEAR and METRICS are filled in as far as the run knows.")


def data_source(content: Content) -> Found:
    """Simulated patients are a source by themselves."""
    return known(_SIMULATED, in_report("flow")) if content.get("simulated") else None


def setting(content: Content) -> Found:
    """Centers that the data name."""
    names = centers(content)
    return partly(f"The data name {plural(len(names), 'center')}: {listed(names)}.") if names else None


def multi_center(content: Content) -> Found:
    """Two centers or more."""
    if (found := no_images(content)) is not None:
        return found
    names = centers(content)
    if len(names) < 2:
        return setting(content)
    return known(f"{plural(len(names), 'center')}: {listed(names)}.", in_report("table_one"))


def eligibility(content: Content) -> Found:
    """What the analysis left out; the criteria of the cohort are the authors'."""
    excluded = part_of(content, "flow").get("excluded")
    if excluded is None or not len(excluded):
        return None
    total = int(excluded["patients"].sum())
    return partly(
        f"The analysis left out {plural(total, 'patient')}; the reasons are listed.",
        in_report("flow"), _PATIENTS,
    )  # fmt: skip


def treatments(content: Content) -> Found:
    """Chemotherapy, where it is a column."""
    table = content.get("table_one")
    if table is None or "variable" not in table or not (table["variable"] == "chemo").any():
        return None
    return partly("Chemotherapy is in the baseline table.", in_report("table_one"))


def data_checks(content: Content) -> Found:
    """The check before the run, and preparation alike for all."""
    found = content.get("findings")
    if found is None:
        return None
    text = f"Checked before the run: {plural(len(found), 'finding')}. The same steps ran for every patient."
    return known(text, in_report("findings"), _PATIENTS)


def outcome(content: Content) -> Found:
    """Endpoint and horizon; how events were assessed is the authors'."""
    if not content.get("outcome"):
        return None
    what = outcome_of(content)
    return partly(f"The outcome is {what['name']} at {what['horizon_months']:g} months.", _PATIENTS)


def candidate_predictors(content: Content) -> Found:
    """Clinical variables and all features."""
    names, clinical = fitted_models(content), part_of(content, "settings", "models").get("clinical")
    if not names:
        return None
    number = part_of(content, "features").get("number")
    candidates = [f"clinical variables {listed(map(variable, clinical))}"] if clinical else []
    if radiomic_models(content) and number:
        candidates.append(f"all {number} features")
    return partly(f"Candidates were {listed(candidates)}; nothing was chosen before modelling.",
                  in_methods("Models")) if candidates else None  # fmt: skip


def predictors(content: Content) -> Found:
    """Features by their settings; clinical variables are the authors'."""
    if not fitted_models(content):
        return None
    text = "Features are defined by PyRadiomics and the settings listed." if has_features(content) else ""
    return partly(text, in_methods("Image features"), in_report("features")) if text else None


def clinical_predictors(content: Content) -> Found:
    """Names of the clinical variables."""
    clinical = part_of(content, "settings", "models").get("clinical")
    if not fitted_models(content) or not clinical:
        return None
    return partly(f"Clinical variables were {listed(map(variable, clinical))}.", in_methods("Models"))


def sample_size(content: Content) -> Found:
    """Events per candidate parameter and the criteria of Riley et al."""
    if not content.get("sample_size"):
        return None
    return partly(
        "Events per candidate parameter are held against the criteria of Riley et al.",
        in_report("sample_size"), in_methods("Models"),
    )  # fmt: skip


def missing_data(content: Content) -> Found:
    """How missing values were filled."""
    how = part_of(content, "settings", "models").get("imputation")
    if not fitted_models(content) or not how:
        return None
    words = {
        "simple": "Missing values are filled with median or most frequent level of the training patients.",
        "iterative": "Missing values are filled by chained equations learnt in the training patients.",
        "complete_case": "Only patients with all clinical values were analyzed.",
    }
    keys = ["flow", *(["complete_cases"] if content.get("complete_cases") is not None else [])]
    return known(words[str(how)], in_methods("Models"), in_report(*keys))


def ethics(content: Content) -> Found:
    """Nobody is asked where nobody lived."""
    return not_needed(_SIMULATED) if content.get("simulated") else None


def flow(content: Content) -> Found:
    """Patients read, left out, analyzed, with an event; follow-up."""
    part = part_of(content, "flow")
    if part.get("events") is None:
        return None
    text = f"{part['read']} read, {part['analyzed']} analyzed, {part['events']} with an event"
    follow_up = part_of(content, "follow_up").get("median_months")
    if follow_up is not None:
        text += f"; median follow-up {follow_up:.1f} months"
    return known(f"{text}.", in_report("flow"), _PATIENTS)


def baseline(content: Content) -> Found:
    """Table 1."""
    table = content.get("table_one")
    if table is None or not len(table):
        return None
    return known("Baseline table by event, with standardized differences.", in_report("table_one"))


def characteristics(content: Content) -> Found:
    """Table 1; dates and treatments are the authors'."""
    found = baseline(content)
    return partly("Baseline table with missing values.", *found.where) if found else None


def comparison_of_data(content: Content) -> Found:
    """Nothing to compare where the same patients serve for both."""
    design = part_of(content, "models", "design")
    if not design or design.get("kind") in ("leave_center_out", "temporal_split"):
        return None
    return not_needed("Internal validation: the same patients serve for development and evaluation.")


def train_against_test(content: Content) -> Found:
    """How patients held out differ from those in training."""
    design = part_of(content, "models", "design")
    if not design:
        return None
    words = {
        "leave_center_out": "Patients held out are those of another center, under the same criteria.",
        "temporal_split": "Patients held out are those who came later, under the same criteria.",
    }.get(str(design.get("kind")))
    if words:
        return partly(words, in_methods("Validation"))
    text = "None: patients held out are drawn from the same cohort, with the same outcome and predictors."
    return known(text, in_methods("Validation"))


def imaging_protocol(content: Content) -> Found:
    """Sequences; scanners and parameters are the authors'."""
    if (found := no_images(content)) is not None:
        return found
    sequences = part_of(content, "features").get("sequences")
    if not sequences:
        return None
    return partly(f"Sequences: {listed(sequence_words(sequences)[0])}.", in_report("features"))


def raters(content: Content) -> Found:
    """A model drew the contours, where one did."""
    if not content.get("contours"):
        return None
    return partly("Contours were predicted by a model.", in_methods("Contours"))


def event_share(content: Content) -> Found:
    """Share of events; survival models need no balance."""
    part = part_of(content, "flow")
    if part.get("events") is None or not part.get("analyzed") or not fitted_models(content):
        return None
    share = 100 * part["events"] / part["analyzed"]
    text = (
        f"{part['events']} of {part['analyzed']} patients ({share:.0f}%) had an event; times to event were "
        "modeled, and nothing was resampled or reweighted."
    )
    return known(text, in_report("flow"))


def single_sequence(content: Content) -> Found:
    """One sequence, or several that were not tried one by one."""
    sequences, _ = sequence_words(part_of(content, "features").get("sequences") or [])
    if not sequences or not radiomic_models(content):
        return no_images(content)
    if len(sequences) == 1:
        return known(f"One sequence: {sequences[0]}.", in_report("features"))
    return partly(f"{len(sequences)} sequences together; the run does not try them one by one.")


def shared_features(content: Content) -> Found:
    """Where features lie."""
    if is_clinical_only(content):
        return no_images(content)
    return partly("The features are in tables/features.csv.") if has_features(content) else None


_ALL: tuple[Callable[[Content], Found], ...] = (
    authors, objectives, guidelines, data_source, setting, multi_center, eligibility, treatments, data_checks,
    outcome, candidate_predictors, predictors, clinical_predictors, sample_size, missing_data, ethics, flow,
    baseline, characteristics, comparison_of_data, train_against_test, imaging_protocol, raters, event_share,
    single_sequence, shared_features,
)  # fmt: skip
#: By name, as checklists name them.
COHORT_RULES = {rule.__name__: rule for rule in _ALL}
