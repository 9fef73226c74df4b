"""The published data set from Zenodo: downloaded, checked, unpacked, and counted.

This is the one place of the package that asks a network, and it does so only when it is called.
"""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.dataset.transfer import fetch_file, matches, readable_size, show_bytes
from radiomics_npc.dataset.unpacking import Archive
from radiomics_npc.dataset.web_client import Client
from radiomics_npc.dataset.zenodo import Record, RecordFile, parse_record, record_number
from radiomics_npc.errors import CohortError, DownloadError
from radiomics_npc.storage import write_json

__all__ = ["Downloaded", "DownloadedFile", "download"]

ZENODO: Final = "https://zenodo.org/api/records/"
RECORD: Final = "13131827"  # primary_data.zip; 10900202 has data.zip
_RECORD_FILE: Final = "record.json"
_NOTE: Final = ".unpacked.json"
_UNPACKED: Final = 2.0  # how much larger MRI usually is than its archive
_SPARE: Final = 200_000_000


@dataclass(frozen=True)
class DownloadedFile:
    """A file of the record, and how it came to be here: downloaded, or already there."""

    file: str
    bytes: int
    checksum: str
    state: str
    folder: str = ""
    patients: int | None = None


@dataclass(frozen=True, eq=False)
class Downloaded:
    """What is here of a record.

    Attributes
    ----------
    out : Path
    record : Record
    files : tuple of DownloadedFile
    cohort : Path or None
        The folder for ``cohort.path`` of a study: the one with most patients in the published layout.
    patients : int
        How many are in it.
    """

    out: Path
    record: Record
    files: tuple[DownloadedFile, ...]
    cohort: Path | None
    patients: int

    @property
    def summary(self) -> str:
        """Patients found, license and citation, in three lines."""
        found = "No patients in the published layout were found"
        if self.cohort is not None:
            where = self.cohort.relative_to(self.out).as_posix()
            found = f"{self.patients} patients in the published layout: {where}"
        return f"{found}\nLicense: {self.record.license}\nCite: {self.record.citation}"

    def to_frame(self) -> pd.DataFrame:
        """One row a file: file, bytes, checksum, state, folder, patients."""
        table = pd.DataFrame([asdict(file) for file in self.files])
        return table.astype({"patients": "Int64"})

    def _repr_html_(self) -> str:
        lines = "<br>".join(html.escape(line) for line in self.summary.split("\n"))
        return f"<p>{lines}</p>{self.to_frame().to_html(index=False)}"


def download(
    out: Path | str,
    record: str | int = RECORD,
    *,
    files: Sequence[str] | None = None,
    unpack: bool = True,
    base_url: str = ZENODO,
    patience_s: float = 120.0,
    timeout_s: float = 60.0,
) -> Downloaded:
    """Download a record of Zenodo, check it, and unpack its archives.

    A call that was interrupted is continued by the next one. What is here, checked and
    unpacked already is left alone, and then no network is asked.

    Parameters
    ----------
    out : path
        A folder. Files keep their names; ``primary_data.zip`` is unpacked to ``primary_data``.
    record : str or int
        Number, DOI or address of the record.
    files : sequence of str, optional
        Names of the files wanted; by default all.
    unpack : bool
        Whether to unpack ZIP archives; they are kept.
    base_url : str
        Where records are asked for. Only ``https``, unless this names another host by ``http``.
    patience_s : float
        How long to try without a single new byte.
    timeout_s : float
        Silence after which a connection counts as lost.

    Returns
    -------
    Downloaded

    Raises
    ------
    DownloadError
        The record or a file does not exist or is refused; there is too little room on the disk;
        nothing came for ``patience_s``; a checksum is wrong twice; an archive must not be unpacked;
        or a file in ``out`` is in the way.

    Examples
    --------
    >>> download("npc", "10.1038/s41597-024-1")
    Traceback (most recent call last):
    ...
    radiomics_npc.errors.DownloadError: '10.1038/s41597-024-1' is no record of Zenodo. Give its DOI, ...
    """
    out, number = Path(out).absolute(), record_number(record)
    client = Client(base_url, timeout_s)
    try:
        out.mkdir(parents=True, exist_ok=True)
        found = _record(out, number, client, patience_s)
        wanted = _wanted(found, files)
        fetched = _bring(out, wanted, client, unpack, patience_s)
    except OSError as error:
        raise DownloadError(
            f"{out.name} cannot be written to ({error.strerror})", "Name another folder, or make room."
        ) from error
    states = dict.fromkeys(fetched, "downloaded")
    rows = [_describe(out, file, states.get(file.name, "already there")) for file in wanted]
    best = max((row for row in rows if row.patients), key=lambda row: row.patients or 0, default=None)
    return Downloaded(
        out=out,
        record=found,
        files=tuple(rows),
        cohort=None if best is None else _patients(out / best.folder)[0],
        patients=0 if best is None else int(best.patients or 0),
    )


def _bring(
    out: Path, wanted: list[RecordFile], client: Client, unpack: bool, patience_s: float
) -> frozenset[str]:
    """Download and unpack what is not here yet; return the names of what was downloaded."""
    waiting = [file for file in wanted if not _is_unpacked(out, file)]
    missing = [file for file in waiting if not _is_here(out, file)]
    _require_space(out, _needed(out, waiting, missing, unpack))
    for file in missing:
        _fetch(client, file, out, patience_s)
    for file in waiting if unpack else []:
        if _is_archive(file):
            _unpack(out / file.name, file)
    return frozenset(file.name for file in missing)


def _record(out: Path, number: str, client: Client, patience_s: float) -> Record:
    """The record as it was read before, or as the server gives it: a number's files never change."""
    kept = out / _RECORD_FILE
    if kept.is_file():
        try:
            content = json.loads(kept.read_text(encoding="utf-8"))
        except ValueError:
            content = {}
        record = Record.from_dict(content)
        if record.number != number:
            raise DownloadError(
                f"{out.name} holds record {record.number}, not {number}", "Name another folder."
            )
        return record
    record = parse_record(client.read_json(number, min(patience_s, 30.0)), number)
    for file in record.files:
        client.require_allowed(file.url)
    write_json(kept, record.to_dict())
    return record


def _wanted(record: Record, files: Sequence[str] | None) -> list[RecordFile]:
    if files is None:
        return list(record.files)
    known = {file.name: file for file in record.files}
    if unknown := [name for name in files if name not in known]:
        raise DownloadError(
            f"record {record.number} has no file {', '.join(unknown)}", f"It has {', '.join(known)}."
        )
    return [known[name] for name in dict.fromkeys(files)]


def _is_archive(file: RecordFile) -> bool:
    return file.name.lower().endswith(".zip")


def _folder(archive: Path) -> Path:
    return archive.with_name(archive.name[: -len(".zip")])


def _is_unpacked(out: Path, file: RecordFile) -> bool:
    """Whether an archive's folder is here. It appeared as a whole, with a note of what it was made from."""
    if not _is_archive(file):
        return False
    folder = _folder(out / file.name)
    try:
        note = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        note = {}
    if isinstance(note, dict) and note.get("checksum") == file.checksum:
        return True
    if folder.exists():
        raise DownloadError(
            f"{folder.name} is in the way: it is not what {file.name} unpacks to", "Rename it, or move it."
        )
    return False


def _is_here(out: Path, file: RecordFile) -> bool:
    path = out / file.name
    if not path.exists():
        return False
    if path.is_file() and matches(path, file.size, file.checksum):
        return True
    raise DownloadError(
        f"{file.name} is in the way: it is not the file of the record", "Rename it, or move it."
    )


def _needed(out: Path, waiting: list[RecordFile], missing: list[RecordFile], unpack: bool) -> float:
    """Bytes still to come, and what the archives will unpack to: known for those here, guessed for others."""
    needed = 0.0
    for file in waiting:
        if file in missing:
            part = out / f"{file.name}.part"
            needed += file.size - (min(part.stat().st_size, file.size) if part.exists() else 0)
        if unpack and _is_archive(file):
            needed += _UNPACKED * file.size if file in missing else Archive(out / file.name).size
    return needed


def _require_space(folder: Path, needed: float) -> None:
    free = shutil.disk_usage(folder).free
    if needed and free < needed + _SPARE:
        raise DownloadError(
            f"too little room: about {readable_size(needed)} are needed, {readable_size(free)} are free",
            "Make room, or name a folder on another disk.",
        )


def _fetch(client: Client, file: RecordFile, out: Path, patience_s: float) -> None:
    target = out / file.name
    part = out / f"{file.name}.part"
    rest = file.size - (part.stat().st_size if part.exists() else 0)
    pieces = fetch_file(
        client, file.url, target, size=file.size, checksum=file.checksum, patience_s=patience_s
    )
    show_bytes(pieces, f"Download {file.name}, MB", rest)


def _unpack(path: Path, file: RecordFile) -> None:
    archive = Archive(path)
    _require_space(path.parent, archive.size)
    note = json.dumps({"archive": file.name, "checksum": file.checksum})
    show_bytes(archive.unpack(_folder(path), _NOTE, note), f"Unpack {file.name}, MB", archive.size)


def _describe(out: Path, file: RecordFile, state: str) -> DownloadedFile:
    folder = _folder(out / file.name) if _is_archive(file) else None
    if folder is None or not folder.is_dir():
        return DownloadedFile(file.name, file.size, file.checksum, state)
    return DownloadedFile(file.name, file.size, file.checksum, state, folder.name, _patients(folder)[1])


def _patients(folder: Path) -> tuple[Path, int]:
    """Where the published layout begins, and how many patients it holds; an archive may have its own root."""
    while True:
        try:
            return folder, len(read_cohort({"layout": "published", "path": str(folder), "clinical": None}))
        except CohortError:
            inside = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__"))]
            if len(inside) != 1:
                return folder, 0
            folder = inside[0]
