"""Words, lists and numbered references of the methods section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from radiomics_npc.nomogram.labels import column_label, model_label

__all__ = ["Citations", "in_text", "listed", "part_of", "plural", "variable"]

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
    "blanche": "Blanche P, et al. Estimating and comparing time-dependent areas under ROC curves for "
    "censored event times with competing risks. Stat Med 2013;32:5381-5397.",
    "graf": "Graf E, et al. Assessment and comparison of prognostic classification schemes for survival "
    "data. Stat Med 1999;18:2529-2545.",
    "austin": "Austin PC, Harrell FE, van Klaveren D. Graphical calibration curves and the integrated "
    "calibration index (ICI) for survival models. Stat Med 2020;39:2714-2742.",
    "vickers": "Vickers AJ, et al. Extensions to decision curve analysis, a novel method for evaluating "
    "diagnostic tests, prediction models and molecular markers. BMC Med Inform Decis Mak 2008;8:53.",
    "uno_nri": "Uno H, et al. A unified inference procedure for a class of measures to assess improvement in "
    "risk prediction systems with survival data. Stat Med 2013;32:2430-2442.",
    "zph": "Grambsch PM, Therneau TM. Proportional hazards tests and diagnostics based on weighted "
    "residuals. Biometrika 1994;81:515-526.",
    "632": "Efron B, Tibshirani R. Improvements on cross-validation: the .632+ bootstrap method. J Am Stat "
    "Assoc 1997;92:548-560.",
    "aalen": "Aalen OO, Johansen S. An empirical transition matrix for non-homogeneous Markov chains based "
    "on censored observations. Scand J Stat 1978;5:141-150.",
    "riley": "Riley RD, et al. Calculating the sample size required for developing a clinical prediction "
    "model. BMJ 2020;368:m441.",
    "combat": "Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data using "
    "empirical Bayes methods. Biostatistics 2007;8:118-127.",
    "mice": "van Buuren S, Groothuis-Oudshoorn K. mice: multivariate imputation by chained equations in R. "
    "J Stat Softw 2011;45(3):1-67.",
    "icc": "Koo TK, Li MY. A guideline of selecting and reporting intraclass correlation coefficients for "
    "reliability research. J Chiropr Med 2016;15:155-163.",
    "perturb": "Zwanenburg A, et al. Assessing robustness of radiomic features by image perturbation. Sci "
    "Rep 2019;9:614.",
    "forest": "Ishwaran H, et al. Random survival forests. Ann Appl Stat 2008;2:841-860.",
    "sksurv": "Polsterl S. scikit-survival: a library for time-to-event analysis built on top of "
    "scikit-learn. J Mach Learn Res 2020;21(212):1-6.",
    "shap": "Lundberg SM, et al. From local explanations to global understanding with explainable AI for "
    "trees. Nat Mach Intell 2020;2:56-67.",
    "rmst": "Royston P, Parmar MKB. Restricted mean survival time: an alternative to the hazard ratio for "
    "the design and analysis of randomized trials with a time-to-event outcome. BMC Med Res "
    "Methodol 2013;13:152.",
    "holm": "Holm S. A simple sequentially rejective multiple test procedure. Scand J Stat 1979;6:65-70.",
    "maxstat": "Lausen B, Schumacher M. Maximally selected rank statistics. Biometrics 1992;48:73-85.",
    "centers": "Steyerberg EW, Harrell FE. Prediction models need appropriate internal, internal-external, "
    "and external validation. J Clin Epidemiol 2016;69:245-247.",
    "pooled": "Debray TPA, et al. A framework for meta-analysis of prediction model studies with binary and "
    "time-to-event outcomes. Stat Methods Med Res 2019;28:2768-2786.",
    "dice": "Dice LR. Measures of the amount of ecologic association between species. Ecology "
    "1945;26:297-302.",
    "nsd": "Nikolov S, et al. Clinically applicable segmentation of head and neck anatomy for radiotherapy: "
    "deep learning algorithm development and validation study. J Med Internet Res 2021;23:e26151.",
    "permute": "Ojala M, Garriga GC. Permutation tests for studying classifier performance. J Mach Learn Res "
    "2010;11:1833-1863.",
}


class Citations:
    """Numbers references in the order in which they are first cited."""

    def __init__(self) -> None:
        self.keys: list[str] = []

    def __call__(self, *keys: str) -> str:
        """Numbers of some references in brackets, e.g. ``[1,2]``."""
        for key in keys:
            if key not in self.keys:
                self.keys.append(key)
        return "[" + ",".join(str(self.keys.index(key) + 1) for key in keys) + "]"

    def lines(self) -> list[str]:
        """The list of references."""
        return [f"{i}. {_REFERENCES[key]}" for i, key in enumerate(self.keys, start=1)]


def listed(words: Iterable[str]) -> str:
    """Words as a list in a sentence.

    Examples
    --------
    >>> listed(["T", "N", "EBV-DNA"])
    'T, N and EBV-DNA'
    """
    *first, last = list(words)
    return f"{', '.join(first)} and {last}" if first else last


def in_text(model: str) -> str:
    """Name of a model within a sentence.

    Examples
    --------
    >>> in_text("combined_cox"), in_text("clinical_boosted")
    ('combined Cox', 'clinical boosted-tree')
    """
    content, _, method = model_label(model).partition(", ")
    return f"{content[:1].lower()}{content[1:]} {method.replace('boosted trees', 'boosted-tree')}".strip()


def variable(column: str) -> str:
    """Name of a column within a sentence.

    Examples
    --------
    >>> variable("age"), variable("ebv_dna"), variable("T")
    ('age', 'EBV-DNA', 'T category')
    """
    label = column_label(column).partition(" (")[0]
    return label if label[1:2].isupper() or label[1:2] in " -" else label[:1].lower() + label[1:]


def plural(count: int, noun: str) -> str:
    """A number and its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def part_of(content: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """A nested part of the content that may be absent or null."""
    part: Any = content
    for key in path:
        part = (part or {}).get(key)
    return dict(part or {})
