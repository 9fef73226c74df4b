"""The methods section of a paper, written from what ran, and the honest limits of the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from radiomics_npc.nomogram.labels import column_label, model_label, sequence_label

__all__ = ["methods_text"]

_REFERENCES = {
    "pyradiomics": "van Griethuysen JJM, et al. Computational radiomics system to decode the radiographic "
    "phenotype. Cancer Res 2017;77:e104-e107.",
    "ibsi": "Zwanenburg A, et al. The Image Biomarker Standardization Initiative. Radiology "
    "2020;295:328-338.",
    "cox": "Cox DR. Regression models and life-tables. J R Stat Soc B 1972;34:187-220.",
    "efron": "Efron B. The efficiency of Cox's likelihood function for censored data. "
    "J Am Stat Assoc 1977;72:557-565.",
    "coxnet": "Simon N, et al. Regularization paths for Cox's proportional hazards model via coordinate "
    "descent. J Stat Softw 2011;39(5):1-13.",
    "xgboost": "Chen T, Guestrin C. XGBoost: a scalable tree boosting system. KDD 2016:785-794.",
    "harrell": "Harrell FE, Lee KL, Mark DB. Multivariable prognostic models. Stat Med 1996;15:361-387.",
    "uno": "Uno H, et al. On the C-statistics for evaluating overall adequacy of risk prediction procedures "
    "with censored survival data. Stat Med 2011;30:1105-1117.",
    "km": "Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. "
    "J Am Stat Assoc 1958;53:457-481.",
    "simon": "Simon RM, et al. Using cross-validation to evaluate predictive accuracy of survival risk "
    "classifiers based on high-dimensional data. Brief Bioinform 2011;12:203-214.",
    "rms": "Harrell FE. Regression Modeling Strategies. 2nd ed. Springer; 2015.",
    "lifelines": "Davidson-Pilon C. lifelines: survival analysis in Python. J Open Source Softw 2019;4:1317.",
}
_PRESETS = {
    "iso1mm": "images were resampled to cubes of 1 mm (cubic B-spline; masks by nearest neighbor) and "
    "filters "
    "worked in three dimensions",
    "inplane2d": "slices were kept as acquired, resampled to 0.5 mm within the slice, and texture was "
    "computed "
    "slice by slice",
    "native": "features were computed on the grid of the acquisition",
}
_NORMALIZE = {
    "body": "Intensities were z-scored over the body, without the air around it.",
    "image": "Intensities were z-scored over the whole image.",
    "none": "Intensities were not normalized.",
}


class _Citations:
    """Numbers references in the order in which they are first cited."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, *keys: str) -> str:
        for key in keys:
            if key not in self.keys:
                self.keys.append(key)
        return "[" + ",".join(str(self.keys.index(key) + 1) for key in keys) + "]"

    def lines(self) -> list[str]:
        return [f"{i}. {_REFERENCES[key]}" for i, key in enumerate(self.keys, start=1)]


def _and(words: Iterable[str]) -> str:
    """Words as a list in a sentence.

    Examples
    --------
    >>> _and(["T", "N", "EBV-DNA"])
    'T, N and EBV-DNA'
    """
    *first, last = list(words)
    return f"{', '.join(first)} and {last}" if first else last


def _in_text(model: str) -> str:
    """Name of a model within a sentence.

    Examples
    --------
    >>> _in_text("combined_cox"), _in_text("clinical_boosted")
    ('combined Cox', 'clinical boosted-tree')
    """
    content, _, method = model_label(model).partition(", ")
    return f"{content[:1].lower()}{content[1:]} {method.replace('boosted trees', 'boosted-tree')}".strip()


def _variable(column: str) -> str:
    """Name of a column within a sentence.

    Examples
    --------
    >>> _variable("age"), _variable("ebv_dna"), _variable("T")
    ('age', 'EBV-DNA', 'T category')
    """
    label = column_label(column).partition(" (")[0]
    return label if label[1:2].isupper() or label[1:2] in " -" else label[:1].lower() + label[1:]


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def part_of(content: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """A nested part of the content that may be absent or null."""
    part: Any = content
    for key in path:
        part = (part or {}).get(key)
    return dict(part or {})


def _patients(content: Mapping[str, Any]) -> list[str]:
    flow, outcome = part_of(content, "flow"), part_of(content, "settings", "cohort", "outcome")
    if not flow:
        return []
    who = "simulated patients (they never lived)" if content.get("simulated") else "patients"
    text = f"Of {flow['read']} {who} read, {flow['analyzed']} were analyzed."
    excluded = flow.get("excluded")
    if excluded is not None and len(excluded):
        why = (f"{row.reason} ({row.patients})" for row in excluded.itertuples())
        text += f" Reasons for exclusion: {_and(why)}."
    name = outcome.get("name") or part_of(content, "outcome").get("name") or "progression-free survival"
    text += f" The endpoint was {name}"
    if outcome.get("start"):
        text += (
            f", counted from {outcome['start']} to the first of {_and(map(str, outcome['progression']))}, "
            f"and censored at {outcome['last_seen']}"
        )
    if outcome.get("censor_at_months"):
        text += f"; follow-up was censored at {outcome['censor_at_months']:g} months"
    rule = {
        "exclude": " Patients with a follow-up of 0 months were left out.",
        "move": f" A follow-up of 0 months was read as {outcome.get('time_zero_months', 0.5):g} months.",
    }
    return ["## Patients and endpoint", text + "." + rule.get(outcome.get("time_zero", "keep"), "")]


def _features(content: Mapping[str, Any], cite: _Citations) -> list[str]:
    features = part_of(content, "features")
    if not features:
        return []
    settings = part_of(content, "settings", "features")
    preset = features.get("preset") or settings.get("preset", "iso1mm")
    normalize = features.get("normalize") or settings.get("normalize", "body")
    sequences = features.get("sequences") or part_of(content, "settings", "cohort").get("sequences") or []
    where = f" on {_and(map(sequence_label, sequences))} images" if sequences else ""
    text = (
        f"{features['number']} features per patient were extracted from the tumor volume{where} with "
        f"PyRadiomics {cite('pyradiomics')}, whose definitions follow those of the Image Biomarker "
        f"Standardization Initiative with documented exceptions {cite('ibsi')}: "
        f"{_PRESETS.get(preset, 'own settings were used')}. {_NORMALIZE.get(normalize, '')}"
    )
    if settings.get("settings"):
        text += " Settings files of the study took the place of the preset for some sequences."
    if features.get("morphology", settings.get("morphology")):
        text += (
            " Volume, surface area, maximum diameter and surface regularity were measured on the "
            "marching-cubes mesh of the mask."
        )
    return ["## Image features", text]


def _models(content: Mapping[str, Any], cite: _Citations) -> list[str]:
    settings = part_of(content, "settings", "models")
    models = part_of(content, "models")
    if not models:
        return []
    names = list(dict.fromkeys(models["scores"]["model"]))
    columns = _and(map(_variable, settings.get("clinical", []))) if settings.get("clinical") else ""
    text = f"{'Models' if len(names) > 1 else 'One model'} fitted: {_and(map(_in_text, names))}."
    if columns and any(not name.startswith("radiomics") for name in names):
        text += f" Clinical variables were {columns}; categories entered as factors."
    if settings.get("min_category"):
        text += (
            f" Categories with fewer than {settings['min_category']} patients in training, or in which "
            "none or "
            "all had the event, were merged with their neighbor (T, N, M, stage) or with each other."
        )
    if any(name.endswith("_cox") for name in names):
        text += (
            f" Cox models {cite('cox')} were fitted with lifelines {cite('lifelines')} and Efron's method "
            "for "
            f"ties, with the baseline hazard of the same method {cite('efron')}."
        )
    if any(name in ("radiomics_cox", "combined_cox") for name in names):
        text += (
            " The Rad-score is a sum of weighted features: near-constant features were dropped, then of each "
            f"pair correlated above {settings.get('max_correlation', 0.9):g} the one less associated with "
            "the "
            "outcome, and the rest were weighted by an elastic-net Cox model whose penalty was chosen by "
            f"cross-validation within the training patients {cite('coxnet')}. The combined model has the "
            "clinical variables and the Rad-score, each training patient's Rad-score coming from a signature "
            "made without that patient."
        )
    if any(name.endswith("_boosted") for name in names):
        text += (
            f" Boosted trees minimized the Cox partial likelihood (XGBoost {cite('xgboost')}), the number of "
            "trees chosen within the training patients."
        )
    text += (
        " Missing clinical values were filled with the median or the most frequent level of the "
        "training patients."
    )
    return ["## Models", text]


def _validation(content: Mapping[str, Any], cite: _Citations) -> list[str]:
    design = part_of(content, "models", "design")
    if not design:
        return []
    horizon = f"{design['horizon_months']:g} months"
    text = (
        f"Performance was estimated by {plural(design['repeats'], 'repeat')} of {design['folds']}-fold "
        "cross-validation stratified by event; everything learnt from data (imputation, merging of "
        "categories, "
        f"selection, tuning, cut points) was learnt anew in every training fold {cite('simon')}. "
        f"Discrimination is Harrell's C {cite('harrell')} and Uno's C truncated at {horizon} {cite('uno')}, "
        f"with {100 * design['confidence']:g}% confidence intervals from influence functions and "
        "the variance between repeats; pairs of patients count within test folds only."
    )
    if design.get("reference"):
        text += f" Models were compared with the {_in_text(design['reference'])} model, patient by patient."
    if content.get("kaplan_meier"):
        text += (
            " Risk groups were cut at quantiles of the predicted risk learnt in the training folds and are "
            "shown "
            f"as Kaplan-Meier curves {cite('km')} with the log-rank test."
        )
    if content.get("calibration"):
        text += (
            f" Calibration compares the mean predicted probability at {horizon} with the Kaplan-Meier "
            "estimate "
            "in groups of patients, from predictions made for patients outside the training fold."
        )
    if content.get("simulated"):
        text += (
            " Because the patients are simulated, the C-index of their true risk (the oracle) is known "
            "as well."
        )
    return ["## Validation", text]


def _nomogram(content: Mapping[str, Any], cite: _Citations) -> list[str]:
    nomogram = part_of(content, "nomogram")
    if not nomogram:
        return []
    months = _and(f"{month:g}" for month in nomogram["horizons_months"])
    model = _in_text(nomogram["model"])
    text = (
        f"The {model} model, fitted to all analyzed patients, is drawn as a nomogram for {months} months "
        "on the "
        f"points scale of the R package rms {cite('rms')}. It gives no probability for values outside the "
        "range "
        "of the training patients."
    )
    return ["## Nomogram", text]


def _software(content: Mapping[str, Any]) -> list[str]:
    versions = {name: v for name, v in part_of(content, "versions").items() if name not in ("platform",)}
    if not versions:
        return []
    text = f"The analysis ran with {_and(f'{name} {version}' for name, version in versions.items())}."
    seed = part_of(content, "settings").get("seed")
    if seed is not None:
        text += f" The random seed was {seed}."
    return ["## Software", text]


def methods_text(content: Mapping[str, Any]) -> str:
    """Write the methods section from what ran.

    Parameters
    ----------
    content : mapping
        As :func:`radiomics_npc.report.html.write_report` takes it. What is absent
        is not written about.

    Returns
    -------
    str
        Markdown, with numbered references.

    Examples
    --------
    >>> print(methods_text({"flow": {"read": 12, "analyzed": 10}}))
    # Methods
    <BLANKLINE>
    ## Patients and endpoint
    <BLANKLINE>
    Of 12 patients read, 10 were analyzed. The endpoint was progression-free survival.
    <BLANKLINE>
    """
    cite = _Citations()
    parts = ["# Methods"]
    if content.get("simulated"):
        parts.append(
            "All patients of this study are simulated. The text shows what a study of real patients would "
            "say."
        )
    parts += _patients(content)
    parts += _features(content, cite) + _models(content, cite) + _validation(content, cite)
    parts += _nomogram(content, cite) + _software(content)
    if cite.keys:
        parts += ["## References", "\n".join(cite.lines())]
    return "\n\n".join(parts) + "\n"
