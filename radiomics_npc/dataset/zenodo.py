"""A record of Zenodo: what it holds, under which license, and how it is cited."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from radiomics_npc.dataset.unpacking import safe_parts
from radiomics_npc.errors import DownloadError

__all__ = ["Record", "RecordFile", "parse_record", "record_number"]

_LICENSES: Final = {
    "cc-by-4.0": "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
    "cc0-1.0": "CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/)",
}
_ODD: Final = "Download the files in a browser, and put them into the folder."


@dataclass(frozen=True)
class RecordFile:
    """A file of a record: its name, address, bytes, and checksum as ``md5:...``."""

    name: str
    url: str
    size: int
    checksum: str


@dataclass(frozen=True)
class Record:
    """What a record says of itself."""

    number: str
    doi: str
    title: str
    creators: tuple[str, ...]
    year: str
    license: str
    files: tuple[RecordFile, ...]

    @property
    def citation(self) -> str:
        """How the record is cited."""
        names = "; ".join(self.creators) or "Authors not stated"
        year = f" ({self.year})" if self.year else ""
        return f"{names}{year}. {self.title.rstrip('.')}. Zenodo. https://doi.org/{self.doi}"

    def to_dict(self) -> dict[str, Any]:
        """Plain content for JSON; :meth:`from_dict` reads it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Record:
        """Read what :meth:`to_dict` gave.

        Raises
        ------
        DownloadError
            It is something else.
        """
        try:
            files = tuple(RecordFile(**file) for file in content["files"])
            return cls(**{**content, "files": files, "creators": tuple(content["creators"])})
        except (TypeError, KeyError) as error:
            raise DownloadError("record.json is damaged", "Delete it and call again.") from error


def record_number(record: str | int) -> str:
    """Number of a record from its DOI, its address, or itself.

    Raises
    ------
    DownloadError
        It is none of these.

    Examples
    --------
    >>> record_number("10.5281/zenodo.13131827"), record_number("https://zenodo.org/records/10900202")
    ('13131827', '10900202')
    """
    text = str(record).strip().rstrip("/")
    if match := re.fullmatch(r"(?:.*zenodo\.|.*/records?/)?(\d+)", text):
        return match[1]
    raise DownloadError(f"{text!r} is no record of Zenodo", "Give its DOI, as 10.5281/zenodo.13131827.")


def parse_record(content: Any, number: str) -> Record:
    """Take from a record's JSON what is needed.

    Parameters
    ----------
    content : dict
        As ``https://zenodo.org/api/records/NUMBER`` gives it.
    number : str

    Returns
    -------
    Record

    Raises
    ------
    DownloadError
        It holds no files, or a file without name, address, size or checksum.

    Examples
    --------
    >>> record = parse_record({"doi": "10.5281/zenodo.1", "metadata": {
    ...     "title": "Images", "publication_date": "2024-07-30", "license": {"id": "cc-by-4.0"},
    ...     "creators": [{"name": "Li, Yin"}]}, "files": [{
    ...     "key": "a.zip", "size": 3, "checksum": "md5:900150983cd24fb0d6963f7d28e17f72",
    ...     "links": {"self": "https://zenodo.org/api/records/1/files/a.zip/content"}}]}, "1")
    >>> record.citation
    'Li, Yin (2024). Images. Zenodo. https://doi.org/10.5281/zenodo.1'
    """
    if not isinstance(content, dict):
        raise DownloadError("the server's answer is no record", "Check the number of the record.")
    metadata = content.get("metadata") if isinstance(content.get("metadata"), dict) else {}
    assert isinstance(metadata, dict)
    files = content.get("files")
    if not isinstance(files, list) or not files:
        raise DownloadError(
            f"record {number} offers no files", "It may be restricted: ask its authors for access."
        )
    read = tuple(_file(file) for file in files)
    if len({file.name.casefold() for file in read}) < len(read):
        raise DownloadError(f"record {number} has two files of one name", _ODD)
    creators = metadata.get("creators") or []
    return Record(
        number=number,
        doi=str(content.get("doi") or metadata.get("doi") or f"10.5281/zenodo.{number}"),
        title=str(metadata.get("title") or f"Record {number}"),
        creators=tuple(str(c["name"]) for c in creators if isinstance(c, dict) and c.get("name")),
        year=str(metadata.get("publication_date") or "")[:4],
        license=_license(metadata.get("license")),
        files=tuple(sorted(read, key=lambda file: file.name)),
    )


def _license(said: Any) -> str:
    name = said.get("id") if isinstance(said, dict) else said
    return _LICENSES.get(str(name).lower(), str(name)) if name else "not stated in the record"


def _file(content: Any) -> RecordFile:
    try:
        links = content["links"]
        # "self" is the content here; in other answers of the server it describes the file
        url = links.get("content") or links.get("download") or links["self"]
        file = RecordFile(str(content["key"]), str(url), int(content["size"]), str(content["checksum"]))
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise DownloadError("the record lacks a file's name, address, size or checksum", _ODD) from error
    algorithm, _, digest = file.checksum.partition(":")
    if algorithm not in hashlib.algorithms_guaranteed or not re.fullmatch(r"[0-9a-fA-F]{32,128}", digest):
        raise DownloadError(f"the record gives no checksum of {file.name!r} that can be checked", _ODD)
    if safe_parts(file.name) != (file.name,) or file.name.startswith(".") or file.size < 0:
        raise DownloadError("the record gives a file's name or size that cannot be", _ODD)
    return file
