"""Content of a report as plain data, for JSON and YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

__all__ = ["plain"]

_LEFT_OUT = object()


def plain(value: Any) -> Any:
    """Content as plain data for JSON: tables as columns and rows, figures left out, NaN as null.

    Examples
    --------
    >>> plain({"table": pd.DataFrame({"a": [1.0, float("nan")]}), "figure": object()})
    {'table': {'columns': ['a'], 'rows': [[1.0], [None]]}}
    """
    if isinstance(value, pd.DataFrame):
        rows = [[plain(cell) for cell in row] for row in value.itertuples(index=False, name=None)]
        return {"columns": [str(c) for c in value.columns], "rows": rows}
    if isinstance(value, Mapping):
        made = {str(k): plain(v) for k, v in value.items() if k != "figure"}
        return {k: v for k, v in made.items() if v is not _LEFT_OUT}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Path):
        return value.name
    return value if isinstance(value, str | int | bool) else _LEFT_OUT
