"""What commands print: a table, cut where it grows too long to read."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["show"]


def show(table: pd.DataFrame, title: str, limit: int = 40) -> None:
    """Print the first rows of a table.

    Parameters
    ----------
    table : DataFrame
        The index is not shown.
    title : str
    limit : int
        Rows; how many more there are is said.

    Examples
    --------
    >>> import pandas as pd
    >>> show(pd.DataFrame({"model": ["a", "b"], "c": [0.5, 0.75]}), "Scores", limit=1)
    Scores
    ┏━━━━━━━┳━━━━━━━┓
    ┃ model ┃ c     ┃
    ┡━━━━━━━╇━━━━━━━┩
    │ a     │ 0.500 │
    └───────┴───────┘
    ... and 1 more
    """
    from rich.console import Console
    from rich.table import Table

    # a wide table in a log must not be cut at 80 columns
    console = Console(width=None if sys.stdout.isatty() else 160)
    grid = Table(title=title, title_justify="left")
    for column in table.columns:
        grid.add_column(str(column), overflow="fold")
    for row in table.head(limit).itertuples(index=False):
        grid.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    console.print(grid)
    if len(table) > limit:
        console.print(f"... and {len(table) - limit} more")
