"""What identifies in the headers of a patient's files, and where it still occurs: in a text, in bytes."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Final

from radiomics_npc.dataset.written_dates import says_date

__all__ = ["DIGITS", "LEAST", "Identities", "plain"]

#: Encodings that DICOM and hospital systems write; ISO 2022 forms are these with escapes between.
_ENCODINGS: Final = (
    "utf-8", "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "iso2022_jp", "latin-1", "cp1251",
)  # fmt: skip
_WIDE: Final = ("utf-16-le", "utf-16-be")
LEAST: Final = 4  # characters (ASCII), or bytes (other), that can be looked for in bytes at all
DIGITS: Final = 6


def plain(text: str) -> str:
    """Return a text as it is compared: small letters, no width, no padding."""
    return unicodedata.normalize("NFKC", text).casefold().strip(" \0")


def _is_found_anywhere(value: str) -> bool:
    """Ids and names in other scripts are looked for within words, too; names in letters are not."""
    if not value.isascii():
        return len(value) > 1
    return len(value) >= LEAST and any(c.isdigit() for c in value)


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

    @classmethod
    def of(cls, many: Iterable[Identities]) -> Identities:
        """Put several together."""
        many = list(many)
        return cls(*(frozenset().union(*(getattr(one, f.name) for one in many)) for f in fields(cls)))

    def without(self, said: str) -> Identities:
        """Leave out what the pseudonym itself, or a shifted date, says."""
        said = plain(said)

        def is_said(value: str | bytes) -> bool:
            return isinstance(value, str) and len(value) >= LEAST and value in said

        return Identities(
            *(frozenset(v for v in getattr(self, f.name) if not is_said(v)) for f in fields(self))
        )

    def allowing(self, said: list[str]) -> Identities:
        """Leave out free texts that say no more than what is kept, such as a region's name."""
        kept = [plain(text) for text in said]
        return replace(self, texts=frozenset(t for t in self.texts if not any(t in text for text in kept)))

    @cached_property
    def _word_pattern(self) -> re.Pattern[str]:
        whole = {v for v in self.values if len(v) >= LEAST and v.isascii() and not re.search(r"\d", v)}
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
        >>> from radiomics_npc.dataset.identity_reading import name_identities
        >>> found = name_identities("Zhang^San")
        >>> found.occur_in("GTVp ZHANG"), found.occur_in("GTVp_san"), found.occur_in("sandwich")
        (True, True, False)
        """
        if named_by_people and self._is_named_in(text):
            return True
        text = plain(text)
        words = set(re.split(r"[\W_]+", text))
        if self._word_pattern.search(text.replace("_", " ")):
            return True
        if text in self._least or words & self._least:
            return True
        joined = re.sub(r"[\W_]+", "", text)
        if any(v in text or (long and v in joined) for v, long in self._anywhere):
            return True
        return any(day in joined for day in self.dates) or says_date(text, self.dates)

    def _is_named_in(self, text: str) -> bool:
        """Whether a name of two letters is in it, or one with initials behind it: ZhangXW."""
        pieces = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", unicodedata.normalize("NFKC", text))
        long = tuple(w for w in self.words if len(w) > LEAST and w.isascii())
        return any(
            piece.casefold() in self.short | self.words or (long and piece.casefold().startswith(long))
            for piece in pieces
        )

    def say_number(self, number: float) -> bool:
        """Whether a number is one of the ids or dates.

        Examples
        --------
        >>> found = Identities(values=frozenset({"20883151"}), dates=frozenset({"19610417"}))
        >>> found.say_number(19610417.0), found.say_number(0.43)
        (True, False)
        """
        if not math.isfinite(number) or number != int(number):
            return False
        digits = str(abs(int(number)))
        return len(digits) >= DIGITS and (digits in self.values or digits in self.dates)

    @cached_property
    def _least(self) -> frozenset[str]:
        return frozenset(v for v in self.values if len(v) < LEAST)

    @cached_property
    def _anywhere(self) -> list[tuple[str, bool]]:
        """Values that are looked for within words, and whether punctuation between may be left out."""
        return [(v, len(v) >= DIGITS) for v in self.values if _is_found_anywhere(v)]

    @cached_property
    def _needles(self) -> list[tuple[bytes, bool]]:
        """What to look for in bytes, and whether it must stand alone."""
        found: dict[bytes, bool] = {}
        for text in self.words:
            if len(text) >= LEAST or not text.isascii():
                self._encode(text, text.isascii(), found)
        for text in self.values | self.texts:
            # a number that is no longer than a count or a time in ms cannot be told from one
            if len(text) >= (DIGITS if text.replace(".", "").isdigit() else LEAST) or not text.isascii():
                self._encode(text, text.isalnum() and text.isascii(), found)
        for day in self.dates:
            year, month, last = day[:4], day[4:6], day[6:]
            for form in (day, f"{year}-{month}-{last}", f"{year}.{month}.{last}", f"{year}/{month}/{last}",
                         f"{last}.{month}.{year}", f"{last}/{month}/{year}", f"{month}/{last}/{year}",
                         f"{year}年{int(month)}月{int(last)}日"):  # fmt: skip
                self._encode(form, True, found)
        for raw in self.raw:
            if len(raw) >= DIGITS:
                found.setdefault(raw.lower(), True)
        return sorted(found.items())

    @staticmethod
    def _encode(text: str, alone: bool, found: dict[bytes, bool]) -> None:
        for encoding in (("utf-8",) if text.isascii() else _ENCODINGS) + _WIDE:
            try:
                data = text.encode(encoding).lower()
            except UnicodeEncodeError:
                continue
            if len(data) < LEAST:
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
        >>> from radiomics_npc.dataset.identity_reading import name_identities
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
