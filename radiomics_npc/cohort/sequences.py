"""Which of T1, T2 and CE-T1 a series is: from its names, its contrast agent and its timing, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radiomics_npc.cohort.sequence_headers import SeriesHeaders
from radiomics_npc.cohort.sequence_words import SeriesWords, plain_text, read_words

__all__ = ["Judgement", "SeriesHeaders", "judge_sequence", "recognize_sequence"]

#: Spin echo alone, in ms. T1: short TR and TE; T2: long TR and TE; between them lies proton density
#: (Bitar et al., RadioGraphics 2006;26:513-537). The published data set has T1 with TE 8.6-16.4 and T2 with
#: TE 66.5-123.1, TR 2500-7634 (its Table 1).
_T1_TE, _T1_TR = 30.0, 1000.0
_T2_TE, _T2_TR = 60.0, 2000.0
#: A name is not believed against the echo time of a spin echo beyond these, in ms.
_LONGEST_T1_TE, _SHORTEST_T2_TE = 50.0, 40.0
_IMAGE_TYPES = {
    "LOCALIZER": "localizer", "ADC": "diffusion", "DIFFUSION": "diffusion", "TRACEW": "diffusion",
    "FA": "diffusion", "EADC": "diffusion", "SUBTRACT": "subtraction", "SUBTRACTION": "subtraction",
    "SUB": "subtraction", "MPR": "reformatted", "REFORMATTED": "reformatted", "CPR": "reformatted",
    "PROJECTION IMAGE": "projection", "MIP": "projection", "MIN_IP": "projection", "MNIP": "projection",
    "P": "phase image", "PHASE": "phase image", "PHASE MAP": "phase image", "R": "real part",
    "I": "imaginary part", "T1 MAP": "map", "T2 MAP": "map", "T2_STAR": "T2*", "T2STAR": "T2*",
    "FAT": "fat image", "OUT_PHASE": "opposed-phase image", "OPP_PHASE": "opposed-phase image",
    "FAT_FRACTION": "fat image", "SCREEN SAVE": "screen shot", "PERFUSION": "perfusion", "TTP": "perfusion",
}  # fmt: skip
_ACQUIRED = {
    "FLUID_ATTENUATED": "fluid suppressed (FLAIR)", "STIR": "inversion recovery (STIR)",
    "DIFFUSION": "diffusion", "PERFUSION": "perfusion", "PROTON_DENSITY": "proton density", "T2_STAR": "T2*",
    "TOF": "angiography",
    "FLOW_ENCODED": "angiography", "PHASE_CONTRAST": "angiography", "TAGGING": "tagging",
    "SPECTROSCOPY": "spectroscopy",
}  # fmt: skip
_SHOWN = {"t1": "T1", "t2": "T2", "ce_t1": "CE-T1"}


@dataclass(frozen=True)
class Judgement:
    """A sequence (``t1``, ``t2``, ``ce_t1``), or None, and why."""

    sequence: str | None
    why: str


def recognize_sequence(
    headers: SeriesHeaders | str, names: Mapping[Any, Sequence[str]] | None = None
) -> str | None:
    """Recognize the sequence of a series; None when unsure.

    Parameters
    ----------
    headers : SeriesHeaders or str
        A str is taken as a series description.
    names : mapping of sequence to texts, optional
        ``cohort.sequence_names``; overrules everything else.

    Returns
    -------
    {"t1", "t2", "ce_t1"} or None

    See Also
    --------
    judge_sequence : The same with the reason, and the rules.

    Examples
    --------
    >>> [recognize_sequence(name) for name in ("t1_tse_tra", "T2WI", "Ax T1+C fs", "增强T1", "DWI b1000")]
    ['t1', 't2', 'ce_t1', 'ce_t1', None]
    """
    return judge_sequence(headers, names).sequence


def judge_sequence(
    headers: SeriesHeaders | str, names: Mapping[Any, Sequence[str]] | None = None
) -> Judgement:
    """Recognize the sequence of a series and say why, or why not.

    A wrong answer is worse than none, so these rules come in order, and the
    first that applies decides:

    1. A text of ``names`` that the description, protocol or folder name equals,
       or holds as whole words beside nothing that makes it another image
       ("AX FSE" fits "3 AX FSE", but not "AX FSE +C"); the longest one counts.
    2. Another modality than MR; an image type, b-value or acquisition contrast
       of something else (localizer, ADC, subtraction, reformatted, phase ...).
    3. Words that rule it out (FLAIR but for T1 FLAIR, STIR, DWI, MRA, T2*, PD,
       maps, Dixon fat ...). T2 with fat suppression other than STIR is T2.
    4. The weighting in the description, else the protocol, else the folder
       name, else the acquisition contrast; an echo time of a spin echo that
       cannot be so, or a folder that says otherwise, makes it None. Without
       words, spin echo with TR <= 1000 and TE <= 30 ms is T1, with TR >= 2000
       and TE >= 60 ms T2, and all else None.
    5. T1 is CE-T1 when the words or the contrast agent tags say so; None when
       they contradict each other, when a word may mean it ("-C", "post RT"),
       and for fat-suppressed T1 where nothing speaks of contrast either way.

    Parameters
    ----------
    headers : SeriesHeaders or str
    names : mapping of sequence to texts, optional

    Returns
    -------
    Judgement

    Examples
    --------
    >>> judge_sequence(SeriesHeaders("AX T1 FSE", agent="Gadovist"))
    Judgement(sequence='ce_t1', why="'AX T1 FSE': T1, contrast agent recorded")
    >>> judge_sequence("AX T1 fs").why
    "'AX T1 fs': T1 with fat suppression, and nothing says whether contrast was given"
    >>> judge_sequence("mprage", {"ce_t1": ["mprage"]})
    Judgement(sequence='ce_t1', why="'mprage' is CE-T1 by sequence_names")
    """
    if isinstance(headers, str):
        headers = SeriesHeaders(headers)
    named = _by_names(headers, names or {})
    if named is not None:
        return named
    other = _something_else(headers)
    if other:
        return Judgement(None, other)
    texts = [read_words(text) for text in headers.names]
    weight, why, source = _weight(headers, texts)
    if weight is None:
        return Judgement(None, why)
    if weight == "t2":
        if source is not None and source.contrast:
            return Judgement(None, f"{why} after contrast")
        return Judgement("t2", why)
    return _with_contrast(headers, why, source, texts)


def _by_names(headers: SeriesHeaders, names: Mapping[Any, Sequence[str]]) -> Judgement | None:
    found: dict[int, dict[str, str]] = {}
    for sequence, wanted in names.items():
        for text in wanted:
            phrase = _even(text)
            if phrase and any(_fits(phrase, _even(name), str(sequence)) for name in headers.names):
                found.setdefault(len(phrase), {})[str(sequence)] = text
    if not found:
        return None
    best = found[max(found)]
    if len(best) > 1:
        return Judgement(None, f"sequence_names fits {' and '.join(_SHOWN.get(s, s) for s in best)}")
    sequence, text = next(iter(best.items()))
    return Judgement(sequence, f"{text!r} is {_SHOWN.get(sequence, sequence)} by sequence_names")


def _even(text: str) -> str:
    return re.sub(r"[\s_]+", " ", plain_text(text)).strip()


def _fits(phrase: str, name: str, sequence: str) -> bool:
    """Whether a name is the phrase, or holds it and nothing beside it that makes it something else."""
    if name == phrase:
        return True
    whole = re.compile(rf"(?<![a-z0-9]){re.escape(phrase)}(?![a-z0-9*])")
    if not whole.search(name):
        return False
    rest = read_words(whole.sub(" ", name))
    if sequence == "ce_t1":
        return not rest.excluded and rest.contrast is not False
    return not (rest.excluded or rest.contrast or rest.unclear)


def _something_else(headers: SeriesHeaders) -> str:
    """Why the tags rule out all three sequences; empty if they do not."""
    if headers.modality not in ("", "MR"):
        return f"modality {headers.modality}"
    for value in headers.image_type:
        if value.upper() in _IMAGE_TYPES:
            return f"image type {value}: {_IMAGE_TYPES[value.upper()]}"
    if headers.b_value > 0:
        return f"diffusion (b = {headers.b_value:g})"
    if headers.angiography:
        return "angiography"
    if headers.conflict:
        return headers.conflict
    if "EP" in headers.scanning:
        return "echo planar"
    if headers.acquired in _ACQUIRED:
        return f"acquisition contrast: {_ACQUIRED[headers.acquired]}"
    return ""


def _weight(headers: SeriesHeaders, texts: list[SeriesWords]) -> tuple[str | None, str, SeriesWords | None]:
    """T1 or T2, why, and the text that said so; without one, the reason for None."""
    for words in texts:
        excluded = words.excluded
        # Siemens calls MPRAGE "mpr", others a reformatted image
        if not excluded and "mpr" in re.split(r"[\W_]+", plain_text(words.text)):
            original = headers.image_type[:2] == ("ORIGINAL", "PRIMARY")
            excluded = "" if original else "reformatted, or MPRAGE"
        if excluded:
            return None, f"{words.text!r}: {excluded}", words
        if words.weights:
            break
    else:
        return _weight_without_words(headers)
    weight = next(iter(words.weights))
    shown = f"{words.text!r}: {_SHOWN[weight]}"
    folder = read_words(headers.folder)
    if not folder.excluded and folder.weights - words.weights:
        return None, f"{shown}, but its folder is named {headers.folder!r}", words
    if headers.acquired in ("T1", "T2") and headers.acquired.lower() != weight:
        return None, f"{shown}, but its acquisition contrast is {headers.acquired}", words
    if headers.scanning == {"GR"} and weight == "t2":
        return None, f"{shown}, but it is a gradient echo (T2*)", words
    te = headers.te_ms if "GR" not in headers.scanning else None
    if te and ((weight == "t1" and te > _LONGEST_T1_TE) or (weight == "t2" and te < _SHORTEST_T2_TE)):
        return None, f"{shown}, but its echo time is {te:g} ms", words
    return weight, shown, words


def _weight_without_words(headers: SeriesHeaders) -> tuple[str | None, str, None]:
    if headers.acquired in ("T1", "T2"):
        return headers.acquired.lower(), f"acquisition contrast {headers.acquired}", None
    te, tr = headers.te_ms, headers.tr_ms
    if headers.scanning != {"SE"} or not te or not tr:
        return None, "no word for T1 or T2, and not a spin echo with TE and TR", None
    timing = f"no words; spin echo with TE {te:g}, TR {tr:g} ms"
    if te <= _T1_TE and tr <= _T1_TR:
        return "t1", f"{timing}: T1", None
    if te >= _T2_TE and tr >= _T2_TR:
        return "t2", f"{timing}: T2", None
    return None, f"{timing}: neither T1 nor T2", None


def _with_contrast(
    headers: SeriesHeaders, why: str, source: SeriesWords | None, texts: list[SeriesWords]
) -> Judgement:
    folder = read_words(headers.folder)
    speaking = [words for words in (source, folder) if words is not None]
    said = {words.contrast for words in speaking} - {None}
    unclear = next((words.unclear for words in speaking if words.unclear), "")
    tags = headers.after_contrast
    if len(said) > 1:
        return Judgement(None, f"{why}; names say both before and after contrast")
    if said and tags is not None and tags not in said:
        return Judgement(None, f"{why}; name and contrast agent tags contradict each other")
    if said == {False}:
        return Judgement("t1", f"{why} before contrast")
    if said == {True}:
        return Judgement("ce_t1", f"{why} with contrast")
    if tags:
        return Judgement("ce_t1", f"{why}, contrast agent recorded")
    if unclear:
        return Judgement(None, f"{why}, and {unclear}")
    if tags is None and any(words.fat_suppressed for words in texts):
        return Judgement(None, f"{why} with fat suppression, and nothing says whether contrast was given")
    return Judgement("t1", why)
