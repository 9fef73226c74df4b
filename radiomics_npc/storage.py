"""Atomic writes, content keys, and the feature store.

Done work is found again by what it was made from (file contents, settings,
versions), never by a row number or a date, so a run can be killed at any
moment and started again.

Machines lent for training often have torch and numpy alone: pandas is imported
by what needs it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "TEMPORARY",
    "FeatureStore",
    "content_key",
    "file_digest",
    "frame_digest",
    "read_table",
    "write_atomic",
    "write_bytes",
    "write_json",
    "write_table",
    "write_text",
]

TEMPORARY = ".tmp-"  # how the name of a file begins that is not finished yet


@contextmanager
def write_atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path that takes the place of ``path`` when the block ends well.

    Parameters
    ----------
    path : Path
        The file to be written. Its folder is made if need be.

    Yields
    ------
    Path
        A temporary file in the same folder, with the same suffix. It is flushed
        to disk and renamed at the end, or removed if the block raises.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with write_atomic(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes the file private; give it the permissions any new file would have
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content``, all of it or nothing."""
    with write_atomic(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, all of it or nothing; the same bytes on every system."""
    write_bytes(path, text.encode())


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as readable JSON, all of it or nothing; NaN is refused."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_table(path: Path, table: pd.DataFrame, *, index: bool = False) -> None:
    """Write a table by the suffix of ``path``: ``.csv`` (UTF-8 with BOM, for Excel) or ``.parquet``."""
    with write_atomic(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, index=index)
        else:
            table.to_csv(temporary, index=index, encoding="utf-8-sig", lineterminator="\n")


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """Read what :func:`write_table` wrote; patient identifiers stay text."""
    import pandas as pd

    if path.suffix == ".parquet":
        return pd.read_parquet(path, **options)
    return pd.read_csv(
        path, encoding="utf-8-sig", dtype={"patient_id": str}, float_precision="round_trip", **options
    )


def content_key(*parts: Any) -> str:
    """Hash of anything that JSON can hold, independent of dictionary order.

    Examples
    --------
    >>> content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder in the order of their names."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def frame_digest(table: pd.DataFrame) -> str:
    """SHA-256 of a table: its index, column names, types and values.

    Examples
    --------
    >>> import pandas as pd
    >>> a = pd.DataFrame({"x": [1.0, 2.0]})
    >>> frame_digest(a) == frame_digest(a.copy()), frame_digest(a) == frame_digest(a[::-1])
    (True, False)
    """
    import pandas as pd

    types = [
        (str(c), str(t), list(t.categories), t.ordered)  # no two orders of levels are the same factor
        if isinstance(t, pd.CategoricalDtype)
        else (str(c), str(t))
        for c, t in table.dtypes.items()
    ]
    digest = hashlib.sha256(repr(types).encode())
    digest.update(pd.util.hash_pandas_object(table, index=True).to_numpy().tobytes())
    return digest.hexdigest()


class FeatureStore:
    """Results of finished cases, by content key. Failures are never stored.

    Parameters
    ----------
    root : Path
        A folder; made when first written to.

    Examples
    --------
    >>> import tempfile
    >>> store = FeatureStore(Path(tempfile.mkdtemp()))
    >>> store.get("ab12") is None
    True
    >>> store.put("ab12", {"values": {"x": 1.5}})
    >>> store.get("ab12")
    {'values': {'x': 1.5}}
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def _path(self, key: str) -> Path:
        return self.root / key[:2] / f"{key}.json"

    def get(self, key: str) -> dict[str, Any] | None:
        """Return the stored result, or None. A damaged entry counts as absent and is removed."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            path.unlink()
            return None
        return content

    def put(self, key: str, content: dict[str, Any]) -> None:
        """Store a finished result."""
        write_text(self._path(key), json.dumps(content, ensure_ascii=False))
