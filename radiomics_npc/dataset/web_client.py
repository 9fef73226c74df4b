"""One server asked over HTTP: encrypted only, with patience, and no address that the user did not name."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import IO, Any, Final, NoReturn
from urllib.parse import urlsplit

from radiomics_npc._version import __version__
from radiomics_npc.errors import DownloadError

__all__ = ["Client", "Patience", "RangeError", "TransientError", "read_piece"]

_MOST_JSON: Final = 20 << 20
_PAUSES_S: Final = (1.0, 60.0)  # the first wait after a failure, and the longest
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class TransientError(Exception):
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
            raise TransientError(f"no connection ({error.reason})") from error
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(f"no connection ({type(error).__name__})") from error
        return response

    def read_json(self, path: str, patience_s: float) -> Any:
        """Read a JSON document below ``base_url``."""
        waiting = Patience(patience_s)
        while True:
            try:
                with self.open(self.base_url + path, {"Accept": "application/json"}) as response:
                    text = read_piece(response, _MOST_JSON)
                return json.loads(text)
            except TransientError as error:
                waiting.wait(error)
            except ValueError as error:
                raise DownloadError(
                    "the server's answer is no record (no JSON)",
                    "Open the record in a browser: a login page or a proxy may stand in between.",
                ) from error


def _raise_status(error: urllib.error.HTTPError) -> NoReturn:
    if error.code in _TRY_AGAIN:
        asked = str(error.headers.get("Retry-After") or "")
        raise TransientError(f"the server answers {error.code}", float(asked) if asked.isdigit() else 0.0)
    if error.code == 416:
        raise RangeError("the server has no such part of the file")
    if error.code in (404, 410):
        raise DownloadError("the server has no such record or file", "Check the number of the record.")
    if error.code in (401, 403):
        raise DownloadError(
            f"the server refuses access ({error.code})", "The record may be restricted: ask its authors."
        )
    raise DownloadError(f"the server answers {error.code}", "Try again later, or download by hand.")


class RangeError(TransientError):
    """The part that is here does not continue; begin again."""


class Patience:
    """Waits between attempts, longer each time, until nothing has come for too long."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.rewarded()

    def rewarded(self) -> None:
        """Something came."""
        self._since, self._pause_s = time.monotonic(), _PAUSES_S[0]

    def wait(self, error: TransientError) -> None:
        """Wait, or give up with what went wrong last."""
        left = self.limit_s - (time.monotonic() - self._since)
        if left <= 0:
            raise DownloadError(
                f"nothing more came for {self.limit_s:g} s: {error}",
                "Check the network and call again: what is here is kept and continued.",
            ) from error
        time.sleep(min(max(self._pause_s, error.wait_s), left))
        self._pause_s = min(2 * self._pause_s, _PAUSES_S[1])


def read_piece(response: http.client.HTTPResponse, count: int) -> bytes:
    """Up to ``count`` bytes of an answer.

    Raises
    ------
    TransientError
        The connection broke.
    """
    try:
        return response.read(count)
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"the connection broke ({type(error).__name__})") from error
