"""One way to show progress: a bar in a terminal or notebook, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["track"]

T = TypeVar("T")


def track(items: Iterable[T], title: str, total: int, *, every_s: float = 10.0) -> Iterator[T]:
    """Pass ``items`` on while showing how far they are and the time left.

    Parameters
    ----------
    items : iterable
        Finished pieces of work, in any order. A piece with an attribute
        ``label`` (patient and sequence) has it shown.
    title : str
        Name of the stage.
    total : int
        How many there will be.
    every_s : float
        Seconds between two lines when the output is not a terminal.

    Yields
    ------
    The items, unchanged.
    """
    if total == 0:
        yield from items
        return
    if sys.stderr.isatty():
        yield from _bar(items, title, total)
    else:
        yield from _lines(items, title, total, every_s)


def _bar(items: Iterable[T], title: str, total: int) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )  # fmt: skip

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn(), TextColumn("{task.fields[label]}"))  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, label="")
        for item in items:
            progress.update(task, advance=1, label=str(getattr(item, "label", "")))
            yield item


def _lines(items: Iterable[T], title: str, total: int, every_s: float) -> Iterator[T]:
    start = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        now = time.monotonic()
        if done == total or now - last >= every_s:
            left = (now - start) / done * (total - done)
            label = str(getattr(item, "label", ""))
            print(f"{title}: {done}/{total} {label} ({left:.0f} s left)", file=sys.stderr, flush=True)
            last = now
        yield item
