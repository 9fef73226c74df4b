"""What stands for identities: keyed hashes of patient ids and UIDs, shifted dates, and their secret.

Whoever has the secret can find a known patient again; without it nothing here can be turned around or
guessed from a list of ids, for every value is an HMAC-SHA256 of it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import pandas as pd
from pydicom._uid_dict import UID_dictionary

from radiomics_npc.errors import ConfigError
from radiomics_npc.storage import write_bytes

__all__ = [
    "SECRET_VARIABLE",
    "Pseudonyms",
    "is_standard_uid",
    "owner_only",
    "read_patient_ids",
    "read_secret",
    "shift_date",
]

SECRET_VARIABLE: Final = "RADIOMICS_NPC_SECRET"
_LEAST_BYTES: Final = 16
_MOST_DAYS: Final = 3650
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_CONTEXT_UIDS = re.compile(r"1\.2\.840\.10008\.6\.1\.\d{1,4}")


def read_secret(file: Path | None, default: Path) -> tuple[bytes, Path | None, bool]:
    """Find the secret, or make one.

    Parameters
    ----------
    file : Path, optional
        Its file; made if it does not exist. Without it the environment variable
        ``RADIOMICS_NPC_SECRET`` is taken, then ``default``.
    default : Path
        Where it lies, or is made, when nothing else is given.

    Returns
    -------
    secret : bytes
    file : Path or None
        Where it lies; None if it came from the environment.
    made : bool
        Whether it is new.

    Raises
    ------
    ConfigError
        It has fewer than 16 bytes, or is a folder.
    """
    if file is None and (text := os.environ.get(SECRET_VARIABLE, "").strip()):
        return _long_enough(text.encode(), f"the environment variable {SECRET_VARIABLE}"), None, False
    file = default if file is None else Path(file)
    if file.is_dir():
        raise ConfigError(f"the secret {file.name} is a folder", "Name a file.")
    if file.is_file():
        return _long_enough(file.read_bytes().strip(), f"the secret in {file.name}"), file, False
    secret = secrets.token_hex(32).encode()
    with owner_only():
        write_bytes(file, secret + b"\n")
    return secret, file, True


@contextmanager
def owner_only() -> Iterator[None]:
    """Files that are made within are readable by their owner alone, from the first byte on."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _long_enough(secret: bytes, what: str) -> bytes:
    if len(secret) < _LEAST_BYTES:
        raise ConfigError(
            f"{what} has {len(secret)} bytes, fewer than {_LEAST_BYTES}",
            "Take a file that does not exist: a sound secret is made there.",
        )
    return secret


def read_patient_ids(file: Path) -> dict[str, str]:
    """Read the table of pseudonyms: columns ``patient_id`` and ``pseudonym``.

    Raises
    ------
    ConfigError
        A column is missing; an id or pseudonym is empty or occurs twice; a pseudonym holds
        other characters than letters, digits, ``-`` and ``_``, or holds the id itself.
    """
    if not file.is_file():
        raise ConfigError(f"{file.name} does not exist", "Give a CSV with columns patient_id and pseudonym.")
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name} is no CSV file in UTF-8", "Save it as CSV UTF-8.") from error
    if not {"patient_id", "pseudonym"} <= set(table.columns):
        raise ConfigError(f"{file.name} lacks the columns patient_id and pseudonym", "Name them so.")
    table = table[["patient_id", "pseudonym"]].apply(lambda column: column.str.strip())
    for column in table:
        rows = table.index[table[column].str.casefold().duplicated() | (table[column] == "")]
        if len(rows):
            raise ConfigError(
                f"{file.name}: {column} is empty or occurs twice in line {rows[0] + 2}",
                "Give every patient one pseudonym of its own.",
            )
    for row, (old, new) in enumerate(zip(table["patient_id"], table["pseudonym"], strict=True)):
        if not _CODE.fullmatch(new):
            raise ConfigError(
                f"{file.name}: the pseudonym in line {row + 2} holds other characters than A-Z, 0-9, - and _",
                "It becomes the name of a folder: choose another.",
            )
        if new.casefold() == old.casefold() or (len(old) >= 4 and old.casefold() in new.casefold()):
            raise ConfigError(
                f"{file.name}: the pseudonym in line {row + 2} holds the patient's id", "Choose another."
            )
    return {_normal(old): new for old, new in zip(table["patient_id"], table["pseudonym"], strict=True)}


def _normal(patient: str) -> str:
    return patient.strip().casefold()


def is_standard_uid(uid: str) -> bool:
    """Whether a UID is one of the standard's own (classes, transfer syntaxes, code systems, atlases).

    Examples
    --------
    >>> is_standard_uid("1.2.840.10008.1.2.1"), is_standard_uid("1.2.840.10008.9.20240131.1")
    (True, False)
    """
    return uid in UID_dictionary or _CONTEXT_UIDS.fullmatch(uid) is not None


def shift_date(text: str, days: int) -> str | None:
    """Move a date (DA) or date with time (DT) by whole days; None if it is no whole date.

    Examples
    --------
    >>> shift_date("20240301", -1), shift_date("20240301101500.5+0800", -1), shift_date("2024", -1)
    ('20240229', '20240229101500.5', None)
    """
    found = re.fullmatch(r"(\d{4})([-./]?)(\d{2})\2(\d{2})(\d{2,6}(?:\.\d{1,6})?)?([+-]\d{4})?", text.strip())
    if found is None:
        return None
    try:
        moved = date(int(found[1]), int(found[3]), int(found[4])) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}{found[5] or ''}"


@dataclass(frozen=True)
class Pseudonyms:
    """New values for identities, the same for the same secret.

    Parameters
    ----------
    secret : bytes
    table : dict, optional
        Pseudonyms that the user gives, by patient id.

    Examples
    --------
    >>> one, other = Pseudonyms(b"a secret of ours"), Pseudonyms(b"a secret of yours")
    >>> one.uid("1.2.3") == one.uid("1.2.3"), one.uid("1.2.3") == other.uid("1.2.3")
    (True, False)
    >>> one.uid("1.2.840.10008.1.2.1")
    '1.2.840.10008.1.2.1'
    >>> one.patient(" AB12 ") == one.patient("ab12")
    True
    """

    secret: bytes = field(repr=False)
    table: dict[str, str] | None = field(default=None, repr=False)

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{kind}\0{value}".encode(), hashlib.sha256).digest()

    def uid(self, uid: str) -> str:
        """Return the UID that stands for another: a UUID under 2.25 (PS3.5 B.2); standard ones stay."""
        uid = uid.strip().rstrip("\0")
        if not uid or is_standard_uid(uid):
            return uid
        return f"2.25.{uuid.UUID(bytes=self._digest('uid', uid)[:16], version=4).int}"

    def patient(self, patient: str) -> str | None:
        """Return the pseudonym of a patient; None if the user's table has none."""
        if self.table is not None:
            return self.table.get(_normal(patient))
        code = base64.b32encode(self._digest("patient", _normal(patient))).decode()
        return f"P-{code[:12]}"

    def days(self, patient: str) -> int:
        """Return by how many days a patient's dates are moved: 1 to 3650 into the past."""
        return -1 - int.from_bytes(self._digest("days", _normal(patient))[:8], "big") % _MOST_DAYS
