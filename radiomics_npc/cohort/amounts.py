"""Amounts of EBV-DNA as laboratories write them: ``<400``, ``1.2e4``, ``4.1 log``, ``未检出``."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["Amount", "HeaderUnit", "parse_amount", "parse_header"]

Kind = Literal["copies", "iu"]

_SUPERSCRIPTS: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER: Final = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_UNIT: Final = re.compile(
    r"(?P<kind>copies|copy|cps|cp|geq|拷贝数?|iu|国际单位)\s*(?:/|per|每|·|\s)\s*(?P<volume>ml|毫升|[uμ]l|微升|l|升)"
    r"(?![a-z])(?:\s*\^?-1)?",
)
_PER_ML: Final = {"ml": 1.0, "毫升": 1.0, "ul": 1e3, "μl": 1e3, "微升": 1e3, "l": 1e-3, "升": 1e-3}
_LOG: Final = re.compile(r"\(?(?<![a-z])(?:log_?(?:10)?|lg)(?![a-z0-9])\)?")
_BELOW: Final = re.compile(r"<=|<|≤|小于|低于|less than|below")
_ABOVE: Final = re.compile(r">=|>|≥|大于|高于|more than|above|greater than")
_NOT_DETECTED: Final = frozenset({
    "notdetected", "targetnotdetected", "undetected", "undetectable", "nondetected", "nondetectable", "nd",
    "tnd", "bdl", "negative", "neg", "未检出", "未检测到", "低于检测限", "低于检测下限", "低于最低检测限",
    "阴性", "detectionlimit", "lod", "lloq", "检测限", "检测下限", "最低检测限",
})  # fmt: skip
_DETECTED: Final = frozenset({"positive", "pos", "detected", "阳性", "检出", "+"})
_SCIENTIFIC: Final = re.compile(r"(?P<base>\d+(?:[.,]\d+)?)e(?P<power>[+-]?\d{1,2})")
_TIMES_POWER: Final = re.compile(r"(?:(?P<base>\d+(?:[.,]\d+)?)[x×*·])?10\^\(?(?P<power>[+-]?\d{1,2})\)?")
_GROUPED: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?: \d{3})+(?:\.\d+)?")
_POINT_GROUPS: Final = re.compile(r"\d{1,3}(?:\.\d{3}){2,}")
_PLAIN: Final = re.compile(r"(?P<number>\d+(?:[.,]\d+)?)(?P<wan>万)?")
_ONE_GROUP: Final = re.compile(r"[1-9]\d{0,2}\.\d{3}")
_MOST_LOG: Final = 15.0


@dataclass(frozen=True)
class Amount:
    """What one cell says.

    Parameters
    ----------
    value : float, optional
        In the unit of the cell or of its column; None where only "detected" or "not detected" stands.
    bound : {"", "<", ">"}
        The amount is below or above the value (without a value: below or above what can be detected).
    kind : {"copies", "iu"}, optional
        Unit of the cell, already turned to one per ml; None where the cell names none.
    doubtful : bool
        ``12.345`` may be twelve or twelve thousand.
    """

    value: float | None
    bound: Literal["", "<", ">"] = ""
    kind: Kind | None = None
    doubtful: bool = False


@dataclass(frozen=True)
class HeaderUnit:
    """What a header says of its numbers: unit, factor to one per ml, log10 or not; ``name`` is the rest."""

    kind: Kind | None = None
    factor: float = 1.0
    log: bool = False
    name: str = ""


def _plain(text: str) -> str:
    """Superscripts as ^n, full-width signs as plain ones, small letters."""
    powered = _POWER.sub(lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
    return unicodedata.normalize("NFKC", powered).casefold().replace("µ", "μ").strip()


def _unit(text: str) -> tuple[Kind | None, float, str]:
    """Kind, factor to one per ml, and the text without the unit."""
    match = _UNIT.search(text)
    if match is None:
        return None, 1.0, text
    kind: Kind = "iu" if match["kind"] in ("iu", "国际单位") else "copies"
    return kind, _PER_ML[match["volume"]], text[: match.start()] + text[match.end() :]


def parse_header(header: str) -> HeaderUnit:
    """Unit that a header names.

    Examples
    --------
    >>> parse_header("EBV-DNA copies/mL")
    HeaderUnit(kind='copies', factor=1.0, log=False, name='ebv-dna ')
    >>> parse_header("EBV DNA (×10³ copies/µL)").factor, parse_header("EBV-DNA log10 IU/ml").log
    (1000000.0, True)
    """
    text = _plain(header)
    kind, factor, rest = _unit(text)
    if kind is None:
        return HeaderUnit(name=header)
    log = _LOG.search(rest) is not None
    rest = _LOG.sub("", rest)
    if power := re.search(r"[x×*]?\s*10\^(\d)", rest):
        factor *= 10.0 ** int(power[1])
        rest = rest.replace(power[0], "")
    if re.search(r"\d\W*$", rest):  # "103 copies/ml": a power that lost its place, or something else
        return HeaderUnit(name=header)
    return HeaderUnit(kind, factor, log, rest)


def parse_amount(text: str, *, log: bool = False) -> Amount | None:
    """Read one cell.

    Parameters
    ----------
    text : str
    log : bool
        Plain numbers of this column are logarithms to base 10.

    Returns
    -------
    Amount, or None where the text is no amount.

    Examples
    --------
    >>> [parse_amount(t).value for t in ("12,000", "1,2E+04", "1.2×10⁴", "1.2万", "4 log", "10^6")]
    [12000.0, 12000.0, 12000.0, 12000.0, 10000.0, 1000000.0]
    >>> parse_amount("<400 copies/ml"), parse_amount("未检出").bound, parse_amount("many")
    (Amount(value=400.0, bound='<', kind='copies', doubtful=False), '<', None)
    """
    plain = _plain(text)
    kind, factor, rest = _unit(plain)
    in_log = _LOG.search(rest) is not None
    rest = _LOG.sub("", rest).strip()
    bound: Literal["", "<", ">"] = "<" if _BELOW.search(rest) else ">" if _ABOVE.search(rest) else ""
    number = _ABOVE.sub("", _BELOW.sub("", rest)).strip()
    words = re.sub(r"[\s.\-_]", "", rest)
    bare = re.sub(r"[\s.\-_]", "", number)
    if words in _NOT_DETECTED or (bound == "<" and bare in _NOT_DETECTED):
        return Amount(None, "<", kind)
    if words in _DETECTED:
        return Amount(None, ">", kind)
    value, doubtful = _number(number, log=log or in_log)
    if value is None:
        return None
    if (log or in_log) and not _is_power(number):
        if value > _MOST_LOG:
            return None
        return Amount(10.0**value * factor, bound, kind)
    return Amount(None, "<", kind) if value == 0 else Amount(value * factor, bound, kind, doubtful)


def _is_power(number: str) -> bool:
    return "e" in number or "^" in number


def _number(text: str, *, log: bool) -> tuple[float | None, bool]:
    """The number, and whether it may be another one."""
    close = text.replace(" ", "")
    for pattern in (_SCIENTIFIC, _TIMES_POWER):
        if match := pattern.fullmatch(close):
            return float((match["base"] or "1").replace(",", ".")) * 10.0 ** int(match["power"]), False
    if not log and _GROUPED.fullmatch(text):
        return float(re.sub("[, ]", "", text)), False
    if not log and _POINT_GROUPS.fullmatch(close):
        return float(close.replace(".", "")), False
    if match := _PLAIN.fullmatch(close):
        value = float(match["number"].replace(",", ".")) * (1e4 if match["wan"] else 1.0)
        return value, not log and _ONE_GROUP.fullmatch(close) is not None
    return None, False
