"""What identifies in the headers of a patient's files, and where it still occurs: in a text, in bytes."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Final

__all__ = ["Identities", "name_identities", "text_identities"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words of names and institutions that say nothing of whom, or that images, or we, write into headers.
_COMMON: Final = _words(
    """
    original primary derived secondary axial sagittal coronal head neck brain face nasopharynx skull other
    none unknown monochrome monochrome1 monochrome2 palette color closed planar open point nonplanar mixed
    volume sampled distorted resampled magnitude phase real imaginary binary fractional manual automatic
    semiautomatic organ tumor tumour lesion region roi structure set image images series study scan exam
    mask contour contours segment segmentation medical systems system healthcare siemens philips toshiba
    canon hitachi united imaging general electric health mri magnetic resonance radiology oncology
    radiotherapy radiation department dept division hospital university center centre cancer clinic
    clinics institute college school people peoples affiliated first second third fourth fifth national
    provincial municipal city province county north south east west central new the and for of at street
    road avenue building floor room china anonymous anonymized anonymised deidentified removed test
    patient phantom doctor prof professor miss madam name birth address phone contrast head^neck simulated
    cohort data science sciences academy technology foundation service services private dicom annex basic
    application confidentiality profile clean descriptors option retain longitudinal temporal information
    modified dates device identity safe characteristics never
    """
)
#: Two letters that names of regions have for other reasons.
_SIDES: Final = _words("lt rt le ri ln gt ct mr nd np ax al dr mr ms jr sr md ii iv vi")
#: Encodings that DICOM and hospital systems write; ISO 2022 forms are these with escapes between.
_ENCODINGS: Final = (
    "utf-8", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "iso2022_jp", "latin-1", "cp1251",
)  # fmt: skip
_WIDE: Final = ("utf-16-le", "utf-16-be")
_LEAST: Final = 4  # characters (ASCII), or bytes (other), that can be looked for in bytes at all
_DIGITS: Final = 6


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip(" \0")


def _is_telling(word: str) -> bool:
    return word not in _COMMON and len(word) > (1 if not word.isascii() else 2)


def _is_found_anywhere(value: str) -> bool:
    """Ids and names in other scripts are looked for within words, too; names in letters are not."""
    if not value.isascii():
        return len(value) > 1
    return len(value) >= _LEAST and any(c.isdigit() for c in value)


@dataclass(frozen=True)
class Identities:
    """Identifying values of a patient, in small letters.

    Parameters
    ----------
    words : frozenset of str
        Parts of names; found as whole words.
    values : frozenset of str
        Names, ids, addresses as a whole; found anywhere.
    dates : frozenset of str
        ``YYYYMMDD``.
    texts : frozenset of str
        Whole free texts, of private attributes, too: must not be found, but a name of a region
        is not identifying for being repeated in one.
    raw : frozenset of bytes
        Names and ids as they were encoded.
    short : frozenset of str
        Parts of names of two letters (Li, Wu): too short for anything but names of regions.
    """

    words: frozenset[str] = field(default=frozenset(), repr=False)
    values: frozenset[str] = field(default=frozenset(), repr=False)
    dates: frozenset[str] = field(default=frozenset(), repr=False)
    texts: frozenset[str] = field(default=frozenset(), repr=False)
    raw: frozenset[bytes] = field(default=frozenset(), repr=False)
    short: frozenset[str] = field(default=frozenset(), repr=False)

    def __or__(self, other: Identities) -> Identities:
        return Identities(*(getattr(self, f.name) | getattr(other, f.name) for f in fields(self)))

    def without(self, said: str) -> Identities:
        """Leave out what the pseudonym itself, or a shifted date, says."""
        said = _plain(said)

        def is_said(value: str | bytes) -> bool:
            return isinstance(value, str) and len(value) >= _LEAST and value in said

        return Identities(
            *(frozenset(v for v in getattr(self, f.name) if not is_said(v)) for f in fields(self))
        )

    def allowing(self, said: list[str]) -> Identities:
        """Leave out free texts that say no more than what is kept, such as a region's name."""
        kept = [_plain(text) for text in said]
        return replace(self, texts=frozenset(t for t in self.texts if not any(t in text for text in kept)))

    @cached_property
    def _word_pattern(self) -> re.Pattern[str]:
        whole = {v for v in self.values if len(v) >= _LEAST and v.isascii() and not re.search(r"\d", v)}
        words = sorted(self.words | whole, key=len, reverse=True)
        return re.compile(
            "|".join(rf"(?<![a-z]){re.escape(w)}(?![a-z])" if w.isascii() else re.escape(w) for w in words)
            or r"(?!)"
        )

    def occur_in(self, text: str, *, named_by_people: bool = False) -> bool:
        """Whether a text that is to be kept says who it is about.

        Parameters
        ----------
        text : str
        named_by_people : bool
            Names of two letters count, too: in the name of a region they are no abbreviation of a machine.

        Examples
        --------
        >>> found = name_identities("Zhang^San")
        >>> found.occur_in("GTVp ZHANG"), found.occur_in("GTVp_san"), found.occur_in("sandwich")
        (True, True, False)
        """
        text = _plain(text)
        words = set(re.split(r"[\W_]+", text))
        if self._word_pattern.search(text.replace("_", " ")):
            return True
        if named_by_people and self.short & set(re.findall(r"[a-z]+", text)):
            return True
        short = {v for v in self.values if len(v) < _LEAST}
        if text in short or words & short:
            return True
        if any(v in text for v in self.values if _is_found_anywhere(v)):
            return True
        digits = re.sub(r"[-./年月日]", "", text)
        return any(d in digits for d in self.dates)

    @cached_property
    def _needles(self) -> list[tuple[bytes, bool]]:
        """What to look for in bytes, and whether it must stand alone."""
        found: dict[bytes, bool] = {}
        for text in self.words:
            if len(text) >= _LEAST or not text.isascii():
                self._encode(text, text.isascii(), found)
        for text in self.values | self.texts:
            # a number that is no longer than a count or a time in ms cannot be told from one
            if len(text) >= (_DIGITS if text.replace(".", "").isdigit() else _LEAST) or not text.isascii():
                self._encode(text, text.isalnum() and text.isascii(), found)
        for day in self.dates:
            year, month, last = day[:4], day[4:6], day[6:]
            for form in (day, f"{year}-{month}-{last}", f"{year}.{month}.{last}", f"{year}/{month}/{last}",
                         f"{last}.{month}.{year}", f"{last}/{month}/{year}", f"{month}/{last}/{year}",
                         f"{year}年{int(month)}月{int(last)}日"):  # fmt: skip
                self._encode(form, True, found)
        for raw in self.raw:
            if len(raw) >= _DIGITS:
                found.setdefault(raw.lower(), True)
        return sorted(found.items())

    @staticmethod
    def _encode(text: str, alone: bool, found: dict[bytes, bool]) -> None:
        for encoding in (("utf-8",) if text.isascii() else _ENCODINGS) + _WIDE:
            try:
                data = text.encode(encoding).lower()
            except UnicodeEncodeError:
                continue
            if len(data) < _LEAST:
                continue
            found[data] = found.get(data, True) and alone and encoding not in _WIDE

    def find_in(self, data: bytes, *, long_only: bool = False) -> int | None:
        """Look for any of them in the bytes of a file.

        Parameters
        ----------
        data : bytes
        long_only : bool
            Only what has 8 bytes or more, in encodings of one byte a letter: for compressed pixels,
            where shorter ones occur by chance.

        Returns
        -------
        int or None
            Where the first one begins.

        Examples
        --------
        >>> found = name_identities("Zhang^San=张^三")
        >>> found.find_in(b"....ZHANG...."), found.find_in("xx张三".encode("gb18030"))
        (4, 2)
        >>> found.find_in(b"a changzhangout") is None
        True
        """
        data = data.lower()
        for needle, alone in self._needles:
            if long_only and (len(needle) < 8 or b"\0" in needle):
                continue
            start = data.find(needle)
            while start >= 0:
                if not alone or _stands_alone(data, start, start + len(needle)):
                    return start
                start = data.find(needle, start + 1)
        return None


def _stands_alone(data: bytes, start: int, end: int) -> bool:
    """Letters beside letters, and digits within a number or UID, are part of something else."""
    before, after = data[max(0, start - 2) : start], data[end : end + 15]
    first, last = data[start : start + 1], data[end - 1 : end]
    if (first.isalpha() and before[-1:].isalpha()) or (last.isalpha() and after[:1].isalpha()):
        return False
    if first.isdigit() and re.search(rb"\d\.?$", before):
        return False
    # a date with a time of day after it is a date still
    return not (last.isdigit() and re.match(rb"\d|\.\d", after) and not re.match(rb"[0-2]\d[0-5]\d", after))


def name_identities(text: str, raw: bytes = b"") -> Identities:
    """Read a person's name: its groups, components and words, joined in both orders.

    Parameters
    ----------
    text : str
        As ``Family^Given^Middle=ideographic=phonetic``.
    raw : bytes
        The same as it was encoded.
    """
    words: set[str] = set()
    values: set[str] = {_plain(text)} if _is_telling(_plain(text)) else set()
    for group in re.split(r"[=\\]", text):
        parts = [p for p in re.split(r"[\s^,;/.()_-]+", _plain(group)) if p]
        words.update(p for p in parts if _is_telling(p) and not p.isdigit())
        if not any(_is_telling(p) for p in parts) and len("".join(parts)) < 2:
            continue
        for order in (parts, parts[::-1]):
            values.update(sign.join(order) for sign in ("", " ", "^", "_", ", "))
        if len(parts) > 2:
            values.update({"".join(parts[:2]), " ".join(parts[:2]), " ".join(parts[1::-1])})
        # a family name of one character is found where it stands alone
        values.update(p for p in parts if len(p) == 1 and not p.isascii())
    values = {v for v in values if _is_telling(v) or (len(v) == 1 and not v.isascii())}
    short = frozenset(w for w in re.findall(r"[a-z]+", _plain(text)) if len(w) == 2 and w not in _SIDES)
    return Identities(
        frozenset(words), frozenset(values), raw=_raw_parts(raw) if values else frozenset(), short=short
    )


def text_identities(text: str, raw: bytes = b"", *, identifying: bool) -> Identities:
    """Read another text: an id or address as a whole and in words, a free text for ids within it.

    Parameters
    ----------
    text : str
    raw : bytes
    identifying : bool
        The attribute is there to identify (id, institution, address, station); else it is a free text.

    Examples
    --------
    >>> text_identities("seen by ward 7, tel 13800138000", identifying=False).occur_in("13800138000")
    True
    """
    plain = _plain(text)
    parts = [p for p in re.split(r"[\s,;:/\\^()=|]+", plain) if p]
    coded = {p.strip(".-") for p in parts if len(re.sub(r"\D", "", p)) >= _DIGITS - 1}
    if not identifying:
        whole = {plain} if len(plain) >= 8 and not set(parts) <= _COMMON else set()
        return Identities(values=frozenset(coded), texts=frozenset(whole))
    values = {v for v in {plain, *coded} if _is_telling(v) or (v.isdigit() and len(v) > 2)}
    words = {p for p in parts if len(p) >= _LEAST and _is_telling(p) and not p.replace(".", "").isdigit()}
    return Identities(frozenset(words), frozenset(values), raw=_raw_parts(raw) if values else frozenset())


def _raw_parts(raw: bytes) -> frozenset[bytes]:
    parts = {raw.strip(b" \0"), *re.split(rb"[\^=\\ ]+", raw.strip(b" \0"))}
    return frozenset(p for p in parts if len(p) >= _DIGITS and p.lower().decode("latin-1") not in _COMMON)
