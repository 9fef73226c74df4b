"""A file over HTTP: resumed where it broke off, tried again, and checked by size and checksum."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from radiomics_npc.dataset.web_client import Client, Patience, RangeError, TransientError, read_piece
from radiomics_npc.errors import DownloadError
from radiomics_npc.progress import track
from radiomics_npc.storage import write_json

__all__ = ["fetch_file", "matches", "readable_size", "show_bytes"]

_CHUNK: Final = 1 << 20
_STEP: Final = 1 << 20


def readable_size(count: float) -> str:
    """Bytes in words.

    Examples
    --------
    >>> readable_size(812), readable_size(5_310_000_000)
    ('812 B', '5.3 GB')
    """
    for unit, bytes_ in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count:.0f} B"


def matches(path: Path, size: int, checksum: str) -> bool:
    """Whether a file has this size and this checksum (``md5:...``)."""
    if path.stat().st_size != size:
        return False
    algorithm, _, expected = checksum.partition(":")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest() == expected.lower()


def fetch_file(
    client: Client, url: str, target: Path, *, size: int, checksum: str, patience_s: float
) -> Iterator[int]:
    """Bring a file here; it takes its name when all of it is here and its checksum is right.

    Until then it is ``NAME.part``, which a later call continues.

    Parameters
    ----------
    client : Client
    url : str
    target : Path
    size : int
        Bytes, as the record says.
    checksum : str
        Algorithm and digest, as ``md5:0cc175b9c0f1b6a831c399e269772661``.
    patience_s : float
        How long to try without a single new byte.

    Yields
    ------
    int
        New bytes that came, for the progress shown.

    Raises
    ------
    DownloadError
        The server says no, nothing came for too long, or the checksum is wrong twice.
    """
    part, notes = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    for _ in range(2):
        _keep_only_same(part, notes, size, checksum)
        yield from _fill(client, url, part, notes, size, checksum, patience_s)
        if matches(part, size, checksum):
            part.replace(target)
            notes.unlink(missing_ok=True)
            return
        part.unlink()
        notes.unlink(missing_ok=True)
    raise DownloadError(
        f"{target.name} came twice with a wrong checksum", "Try again later, or from another network."
    )


def _keep_only_same(part: Path, notes: Path, size: int, checksum: str) -> None:
    """Drop what is here of another file."""
    if not part.exists():
        return
    try:
        said = json.loads(notes.read_text(encoding="utf-8"))
        same = (said["size"], said["checksum"]) == (size, checksum)
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same or part.stat().st_size > size:
        part.unlink()


def _fill(
    client: Client, url: str, part: Path, notes: Path, size: int, checksum: str, patience_s: float
) -> Iterator[int]:
    """Append until the file is whole. Only bytes beyond the furthest point so far count as new."""
    part.touch()
    furthest = part.stat().st_size
    waiting = Patience(patience_s)
    while part.stat().st_size < size:
        try:
            for have in _append(client, url, part, notes, size, checksum):
                if have > furthest:
                    yield have - furthest
                    furthest = have
                    waiting.rewarded()
            if part.stat().st_size < size:
                raise TransientError("the connection broke")
        except RangeError as error:
            part.write_bytes(b"")
            waiting.wait(error)
        except TransientError as error:
            waiting.wait(error)


def _append(client: Client, url: str, part: Path, notes: Path, size: int, checksum: str) -> Iterator[int]:
    """One connection: ask for the rest, and give the length after each piece."""
    have = part.stat().st_size
    headers = {}
    if have:
        headers["Range"] = f"bytes={have}-"
        # a file that changed meanwhile is sent from its beginning
        if tag := json.loads(notes.read_text(encoding="utf-8")).get("etag"):
            headers["If-Range"] = tag
    with client.open(url, headers) as response:
        if have and response.status == 206:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise RangeError("the server sent another part of the file")
        else:
            _require_size(response, size)
            have = 0
            tag = response.headers.get("ETag")
            strong = tag if tag and not tag.startswith("W/") else None
            write_json(notes, {"size": size, "checksum": checksum, "etag": strong})
        with part.open("r+b") as stream:
            stream.truncate(have)
            stream.seek(have)
            while have < size and (piece := read_piece(response, min(_CHUNK, size - have))):
                stream.write(piece)
                have += len(piece)
                yield have


def _require_size(response: http.client.HTTPResponse, size: int) -> None:
    """Refuse another file under this address, such as the login page of a network."""
    length = response.headers.get("Content-Length")
    if length is not None and length.isdigit() and int(length) != size:
        raise DownloadError(
            f"the server offers {readable_size(int(length))} where the record says {readable_size(size)}",
            "Open the address in a browser: a login page or a proxy may stand in between.",
        )


def show_bytes(pieces: Iterator[int], title: str, total: int) -> None:
    """Run through ``pieces`` (bytes), and show them as megabytes."""

    def steps() -> Iterator[int]:
        done = shown = 0
        for count in pieces:
            done += count
            while shown < min(done, total) // _STEP:
                shown += 1
                yield shown

    for _ in track(steps(), title, max(total, 0) // _STEP):
        pass
