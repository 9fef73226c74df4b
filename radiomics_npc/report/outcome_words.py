"""The outcome of a report in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["outcome_of"]


def outcome_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome's name and horizon, by default progression-free survival at 60 months.

    Examples
    --------
    >>> outcome_of({"outcome": {"name": "overall survival"}})["horizon_months"]
    60.0
    """
    return {"name": "progression-free survival", "horizon_months": 60.0} | dict(content.get("outcome") or {})
