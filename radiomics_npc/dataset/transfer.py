"""A file over HTTP: resumed where it broke off, tried again, and checked by size and checksum."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NoReturn
from urllib.parse import urlsplit

from radiomics_npc._version import __version__
from radiomics_npc.errors import DownloadError
from radiomics_npc.storage import write_json

__all__ = ["Client", "fetch_file", "matches", "readable_size"]

_CHUNK: Final = 1 << 20
_MOST_JSON: Final = 20 << 20
_PAUSES_S: Final = (1.0, 60.0)  # the first wait after a failure, and the longest
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


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


class _TransientError(Exception):
    """What another attempt may mend."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where the first request could have gone."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self._client.require_allowed(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Client:
    """Asks one server.

    Parameters
    ----------
    base_url : str
        Where records are asked for. With ``https`` every link and redirect must be ``https``, too.
        ``http`` is for this machine, or for a mirror that the user names: then it is allowed to that
        host alone.
    timeout_s : float
        Silence after which a connection counts as lost.

    Raises
    ------
    DownloadError
        ``base_url`` is no web address.
    """

    def __init__(self, base_url: str, timeout_s: float = 60.0) -> None:
        self.base_url = base_url.rstrip("/") + "/"
        self.timeout_s = timeout_s
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DownloadError(f"{base_url!r} is no web address", "Give one that begins with https://.")
        self._plain = {parts.hostname} if parts.scheme == "http" else set()
        handlers: list[Any] = [_CheckedRedirects(self)]
        if parts.hostname in _LOCAL:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def require_allowed(self, url: str) -> None:
        """Refuse an address that is neither encrypted nor on the host the user named."""
        parts = urlsplit(url)
        if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in self._plain):
            return
        raise DownloadError(
            f"the server sends on to an address that is not encrypted ({parts.scheme or 'none'})",
            "Download the file by hand, and put it into the folder.",
        )

    def open(self, url: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        """Ask for ``url``.

        Raises
        ------
        DownloadError
            The server says no, or the address is not allowed.
        """
        self.require_allowed(url)
        wanted = {"User-Agent": f"radiomics-npc/{__version__}", "Accept-Encoding": "identity"}
        request = urllib.request.Request(url, headers={**wanted, **(headers or {})})
        try:
            response: http.client.HTTPResponse = self._opener.open(request, timeout=self.timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                _raise_status(error)
        except urllib.error.URLError as error:
            # the address is known to the user; what went wrong is a few words of the system
            raise _TransientError(f"no connection ({error.reason})") from error
        except (OSError, http.client.HTTPException) as error:
            raise _TransientError(f"no connection ({type(error).__name__})") from error
        return response

    def read_json(self, path: str, patience_s: float) -> Any:
        """Read a JSON document below ``base_url``."""
        waiting = _Patience(patience_s)
        while True:
            try:
                with self.open(self.base_url + path, {"Accept": "application/json"}) as response:
                    text = _read(response, _MOST_JSON)
                return json.loads(text)
            except _TransientError as error:
                waiting.wait(error)
            except ValueError as error:
                raise DownloadError(
                    "the server's answer is no record (no JSON)",
                    "Open the record in a browser: a login page or a proxy may stand in between.",
                ) from error


def _raise_status(error: urllib.error.HTTPError) -> NoReturn:
    if error.code in _TRY_AGAIN:
        asked = str(error.headers.get("Retry-After") or "")
        raise _TransientError(f"the server answers {error.code}", float(asked) if asked.isdigit() else 0.0)
    if error.code == 416:
        raise _RangeError("the server has no such part of the file")
    if error.code in (404, 410):
        raise DownloadError("the server has no such record or file", "Check the number of the record.")
    if error.code in (401, 403):
        raise DownloadError(
            f"the server refuses access ({error.code})", "The record may be restricted: ask its authors."
        )
    raise DownloadError(f"the server answers {error.code}", "Try again later, or download by hand.")


class _RangeError(_TransientError):
    """The part that is here does not continue; begin again."""


class _Patience:
    """Waits between attempts, longer each time, until nothing has come for too long."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.rewarded()

    def rewarded(self) -> None:
        """Something came."""
        self._since, self._pause_s = time.monotonic(), _PAUSES_S[0]

    def wait(self, error: _TransientError) -> None:
        left = self.limit_s - (time.monotonic() - self._since)
        if left <= 0:
            raise DownloadError(
                f"nothing more came for {self.limit_s:g} s: {error}",
                "Check the network and call again: what is here is kept and continued.",
            ) from error
        time.sleep(min(max(self._pause_s, error.wait_s), left))
        self._pause_s = min(2 * self._pause_s, _PAUSES_S[1])


def _read(response: http.client.HTTPResponse, count: int) -> bytes:
    try:
        return response.read(count)
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(f"the connection broke ({type(error).__name__})") from error


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
    waiting = _Patience(patience_s)
    while part.stat().st_size < size:
        try:
            for have in _append(client, url, part, notes, size, checksum):
                if have > furthest:
                    yield have - furthest
                    furthest = have
                    waiting.rewarded()
            if part.stat().st_size < size:
                raise _TransientError("the connection broke")
        except _RangeError as error:
            part.write_bytes(b"")
            waiting.wait(error)
        except _TransientError as error:
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
                raise _RangeError("the server sent another part of the file")
        else:
            _require_size(response, size)
            have = 0
            tag = response.headers.get("ETag")
            strong = tag if tag and not tag.startswith("W/") else None
            write_json(notes, {"size": size, "checksum": checksum, "etag": strong})
        with part.open("r+b") as stream:
            stream.truncate(have)
            stream.seek(have)
            while have < size and (piece := _read(response, min(_CHUNK, size - have))):
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
