"""Columns and models in the words a reader expects: ``ebv_dna`` is shown as EBV-DNA."""

from __future__ import annotations

import re
from collections.abc import Iterable

from radiomics_npc.cohort.regions import split_name

__all__ = [
    "column_label", "level_label", "model_label", "region_label", "sequence_label", "sequence_words",
    "with_model_labels",
]  # fmt: skip

_COLUMNS = {
    "T": "T category",
    "N": "N category",
    "M": "M category",
    "M1": "M1 category",
    "advanced_ene": "Advanced extranodal extension",
    "age": "Age (years)",
    "center": "Center",
    "chemo": "Chemotherapy",
    "ebv_dna": "EBV-DNA",
    "ebv_log10_copies_ml": "EBV-DNA (log10 copies/ml)",
    "ebv_log10_iu_ml": "EBV-DNA (log10 IU/ml)",
    "event": "Event",
    "follow_up_months": "Follow-up (months)",
    "metastatic_lesions": "Metastatic lesions",
    "pathology": "Pathology",
    "rad_score": "Rad-score",
    "scanner": "Scanner",
    "sex": "Sex",
    "stage": "Stage",
    "vca_iga": "VCA-IgA",
}
_SEQUENCES = {"t1": "T1", "t2": "T2", "ce_t1": "CE-T1"}
#: Regions by usual names: what a phrase calls them, and what stands before volume.
_REGIONS = {
    "gtv": ("the tumor", "Tumor"), "tumor": ("the tumor", "Tumor"), "tumour": ("the tumor", "Tumor"),
    "gtvp": ("the primary tumor", "Primary tumor"), "primary": ("the primary tumor", "Primary tumor"),
    "gtvn": ("the nodes", "Nodal"), "gtvnd": ("the nodes", "Nodal"), "gtvln": ("the nodes", "Nodal"),
    "node": ("the nodes", "Nodal"), "nodes": ("the nodes", "Nodal"),
}  # fmt: skip
_MORPHOLOGY = {
    "volume_cm3": "volume (cm³)",
    "surface_cm2": "surface area (cm²)",
    "surface_area_cm2": "surface area (cm²)",
    "max_diameter_cm": "maximum diameter (cm)",
    "surface_regularity": "surface regularity",
}
_CONTENT = {"clinical": "Clinical", "radiomics": "Radiomics", "combined": "Combined"}
_METHOD = {"cox": "Cox", "boosted": "boosted trees", "forest": "random survival forest"}


def region_label(region: str) -> str:
    """Name of a region within a phrase.

    Examples
    --------
    >>> region_label("gtvnd"), region_label("parotid")
    ('the nodes', 'parotid')
    """
    return _REGIONS.get(region, (region,))[0]


def sequence_label(sequence: str) -> str:
    """Name of an MRI sequence as printed, with the region where a study has several.

    Examples
    --------
    >>> sequence_label("ce_t1"), sequence_label("t1-gtvnd")
    ('CE-T1', 'T1 of the nodes')
    """
    name, region = split_name(sequence)
    label = _SEQUENCES.get(name, name)
    return f"{label} of {region_label(region)}" if region else label


def sequence_words(sequences: Iterable[str]) -> tuple[list[str], list[str]]:
    """Sequences and regions of a study, each once, for a sentence that names both.

    Examples
    --------
    >>> sequence_words(["t1-gtvp", "t1-gtvnd", "ce_t1-gtvp", "ce_t1-gtvnd"])
    (['T1', 'CE-T1'], ['the primary tumor', 'the nodes'])
    """
    pairs = [split_name(sequence) for sequence in sequences]
    regions = dict.fromkeys(region_label(region) for _, region in pairs if region)
    return list(dict.fromkeys(_SEQUENCES.get(name, name) for name, _ in pairs)), list(regions)


def column_label(column: str) -> str:
    """Name of a column as printed on an axis.

    Parameters
    ----------
    column : str
        A clinical column, ``rad_score``, or a feature
        ``{sequence}__{image}__{class}__{Feature}``.

    Examples
    --------
    >>> column_label("ebv_dna"), column_label("t1__morphology__volume_cm3")
    ('EBV-DNA', 'Tumor volume (cm³), T1')
    >>> column_label("ce_t1__wavelet-HLH__glcm__Contrast")
    'CE-T1 wavelet-HLH GLCM Contrast'
    >>> column_label("t2-gtvnd__morphology__volume_cm3"), column_label("t1-gtvp__original__glcm__Contrast")
    ('Nodal volume (cm³), T2', 'T1 of the primary tumor, original GLCM Contrast')
    """
    if column in _COLUMNS:
        return _COLUMNS[column]
    if "__" not in column:
        words = column.replace("_", " ").strip()
        return words[:1].upper() + words[1:]
    sequence, *parts = column.split("__")
    if parts[0] == "morphology":
        measure = _MORPHOLOGY.get(parts[-1], parts[-1].replace("_", " "))
        name, region = split_name(sequence)
        whose = _REGIONS.get(region, ("", region or "Tumor"))[1]
        return f"{whose} {measure}, {sequence_label(name)}"
    if len(parts) == 3:
        parts[1] = parts[1].upper() if parts[1] != "firstorder" else "first-order"
    label = sequence_label(sequence) + ("," if split_name(sequence)[1] else "")
    return " ".join([label, *parts])


def level_label(level: object) -> str:
    """Level of a factor as printed; merged levels are joined in words.

    Examples
    --------
    >>> level_label("T3+T4"), level_label("Achieva+Signa"), level_label("positive")
    ('T3–T4', 'Achieva or Signa', 'positive')
    """
    parts = str(level).split("+")
    if len(parts) == 1 or not all(parts):
        return str(level)
    stages = all(part[:1] == parts[0][:1] and part[1:2].isdigit() for part in parts)
    return f"{parts[0]}–{parts[-1]}" if stages else " or ".join(parts)


def model_label(model: str) -> str:
    """Name of a standard model as printed.

    Examples
    --------
    >>> model_label("combined_cox"), model_label("clinical_forest"), model_label("oracle")
    ('Combined, Cox', 'Clinical, random survival forest', 'Oracle (true risk)')
    >>> model_label("combined_boosted_surrogate")
    'Surrogate of combined, boosted trees'
    """
    if model == "oracle":
        return "Oracle (true risk)"
    if model.endswith("_surrogate"):
        label = model_label(model.removesuffix("_surrogate"))
        return f"Surrogate of {label[:1].lower()}{label[1:]}"
    content, _, method = model.partition("_")
    if content in _CONTENT and method in _METHOD:
        return f"{_CONTENT[content]}, {_METHOD[method]}"
    return column_label(model)


def with_model_labels(text: str) -> str:
    """A sentence in which standard models are named as printed.

    Examples
    --------
    >>> with_model_labels("No AUC of combined_cox at 36 months.")
    'No AUC of "Combined, Cox" at 36 months.'
    """
    names = rf"\b(?:{'|'.join(_CONTENT)})_(?:{'|'.join(_METHOD)})(?:_surrogate)?\b"
    return re.sub(names, lambda found: f'"{model_label(found[0])}"', text)
