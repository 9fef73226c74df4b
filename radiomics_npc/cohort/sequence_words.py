"""What the name of a series says: its weighting, whether contrast was given, and what rules it out."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from radiomics_npc.cohort.sequence_vocabulary import (
    AFTER,
    BEFORE,
    EXCLUDED,
    FAT,
    NEGATION,
    PHRASES,
    T1_KINDS,
    TECHNIQUE,
    TREATMENT,
)

__all__ = ["SeriesWords", "plain_text", "read_words"]

#: Pieces that words without spaces are made of, longest first: AXT1FSE, CET1WI, 3DFLAIR. Beside a weighting
#: also short ones and single letters: T1C, T1W, sT1W (Philips).
_BESIDE = sorted(
    {*TECHNIQUE, *EXCLUDED, *AFTER, *BEFORE, *T1_KINDS, *FAT, "t1", "t2", "w", "c", "s"},
    key=lambda p: (-len(p), p),
)
_PIECES = [
    piece for piece in _BESIDE if len(piece) > 2 or piece in ("ax", "fs", "se", "2d", "3d", "gd", "km")
]
_TOKEN = re.compile(r"[a-z0-9]+|[+*]|-(?=c(?![a-z0-9]))|(?<![a-z0-9])-(?=gd)")
_GIVEN, _NOT, _TREATED = ("|".join(sorted(words)) for words in (AFTER, NEGATION, TREATMENT))


@dataclass(frozen=True)
class SeriesWords:
    """What one text says.

    Parameters
    ----------
    text : str
        As it stands in the header.
    weights : frozenset of {"t1", "t2"}
    excluded : str
        Why it is none of the three sequences; empty if nothing speaks against it.
    contrast : bool, optional
        True: after contrast; False: before it; None: not said.
    unclear : str
        A word that may or may not mean contrast.
    fat_suppressed : bool
    """

    text: str
    weights: frozenset[str] = frozenset()
    excluded: str = ""
    contrast: bool | None = None
    unclear: str = ""
    fat_suppressed: bool = False


@lru_cache(maxsize=4096)
def read_words(text: str) -> SeriesWords:
    """Read a series description, protocol name or folder name.

    Parameters
    ----------
    text : str

    Returns
    -------
    SeriesWords

    Examples
    --------
    >>> words = read_words("CE-T1WI")
    >>> sorted(words.weights), words.contrast
    (['t1'], True)
    >>> read_words("t2_tirm_tra_dark-fluid").excluded
    'inversion recovery (STIR or TIRM)'
    >>> read_words("AX T1 POST RT").unclear
    "'post' may mean contrast, treatment or posterior"
    """
    said = _phrase(_tokens(text))
    words = set(said.split())
    weights = words & {"t1", "t2"}
    if not weights and words & T1_KINDS:
        weights = {"t1"}
    with_contrast, without, unclear = _contrast(said)
    if with_contrast and without:
        unclear = "it names both before and after contrast"
    return SeriesWords(
        text,
        frozenset(weights),
        _exclusion(said, words, weights),
        None if with_contrast == without else with_contrast,
        unclear,
        bool(words & FAT),
    )


def plain_text(text: str) -> str:
    """Return text in small letters, full-width forms made narrow."""
    return unicodedata.normalize("NFKC", text).casefold()


def _tokens(text: str) -> list[str]:
    text = plain_text(text)
    for phrase in sorted(PHRASES, key=len, reverse=True):
        text = text.replace(phrase, f" {PHRASES[phrase]} ")
    text = unicodedata.normalize("NFKD", text)
    text = "".join(c for c in text if not unicodedata.combining(c)).replace("_", " ")
    text = re.sub(r"\b3[ -]?pl(ane)?s?\b", " plane3 ", text)
    text = re.sub(r"\bw/o", " without ", text)
    text = re.sub(r"\bw/", " with ", text)
    return [piece for token in _TOKEN.findall(text) for piece in _pieces(token)]


@lru_cache(maxsize=4096)
def _pieces(token: str) -> tuple[str, ...]:
    """Take a run of letters apart where all of it is known: cet1wi -> ce, t1, wi."""
    if token in EXCLUDED or token in AFTER or token in BEFORE or re.fullmatch(r"set\d", token):
        return (token,)
    pieces = _split(token, "t1" in token or "t2" in token) or (token,)
    # T1C is T1 with contrast; a C that stands alone may be anything
    return tuple("contrast" if p == "c" and "t1" in pieces[:i] else p for i, p in enumerate(pieces))


@lru_cache(maxsize=4096)
def _split(token: str, weighted: bool) -> tuple[str, ...] | None:
    if not token:
        return ()
    for piece in _BESIDE if weighted else _PIECES:
        if token.startswith(piece):
            rest = _split(token[len(piece) :], weighted)
            if rest is not None:
                return (piece, *rest)
    return None


def _phrase(tokens: list[str]) -> str:
    """Tokens as one text between spaces, with what belongs together made one word."""
    said = f" {' '.join(tokens)} "
    for pattern, replacement in (
        (r" fat (sat|sup|suppressed|suppression|saturated|saturation)(?= )", " fs"),
        (r" in phase(?= )", " inphase"),
        (r" (out|opp|opposed)( of)? phase(?= )", " opposed"),
        (r" c (spine|sp|spin|wirbelsaule)(?= )", " spine"),
        (r" field map(?= )", " fieldmap"),
        (r" dark fluid(?= )", " flair"),
        (r" t2 (w |wi |weighted )?(\*|star)", " t2star"),
        # vertebrae
        (r" t1 (- )?t\d+(?= )", " spine"),
    ):
        said = re.sub(pattern, replacement, said)
    return said


def _exclusion(said: str, words: set[str], weights: set[str]) -> str:
    for word in said.split():
        if word in EXCLUDED:
            return EXCLUDED[word]
        if re.fullmatch(r"b\d{2,4}[a-z]?|b0", word):
            return "diffusion"
        if "scout" in word or word.startswith(("localiz", "localis")):
            return "localizer"
    if "flair" in words and weights != {"t1"}:
        return "fluid suppressed (FLAIR)"
    if "t2" in weights and words & {"ffe", "gre", "flash", "fl2d", "fl3d", "fgre"}:
        return "susceptibility or T2*"
    if words & {"opp", "opposed", "oop", "outphase", "outofphase", "fatfrac", "pdff"} or (
        words & {"dixon", "mdixon", "ideal", "flex"} and words & {"f", "fat", "op", "out"}
    ):
        return "fat or opposed-phase image of a Dixon series"
    if len(weights) > 1:
        return "it names both T1 and T2"
    return ""


def _contrast(said: str) -> tuple[bool, bool, str]:
    """Whether the words say after contrast, before contrast, and which word may mean either."""
    if re.search(r" (w|with)( and)? (wo|without)(?= )", said):
        return True, True, ""
    denied = rf" ({_NOT}|-)( iv)? ({_GIVEN})(?= )"
    treated = rf" post ({_TREATED})(?= )"
    plus = rf" (\+ (c|{_GIVEN})|c \+)(?= )"
    before = bool(re.search(denied, said))
    unclear = "'post' may mean contrast, treatment or posterior" if re.search(treated, said) else ""
    said = re.sub(denied, "", said)
    said = re.sub(rf" (pre|post) ({_TREATED})(?= )", "", said)
    said = re.sub(plus, " contrast", said)
    words = said.split()
    after = not AFTER.isdisjoint(words) or "post" in words
    if "c" in words:
        unclear = "'-C' may mean with or without contrast" if " - c " in said else "'C' may mean contrast"
    elif not after and words[-1:] in (["+"], ["with"]):
        unclear = f"{words[-1]!r} may mean contrast"
    elif not after and not {"delay", "delayed", "late"}.isdisjoint(words):
        unclear = "'delayed' may mean after contrast"
    return after, before or not BEFORE.isdisjoint(words), unclear
