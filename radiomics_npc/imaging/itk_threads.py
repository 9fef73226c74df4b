"""One ITK thread: many processes share the cores, and sums in another order change last digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import SimpleITK as sitk

__all__ = ["one_itk_thread"]


@contextmanager
def one_itk_thread() -> Iterator[None]:
    """ITK filters made within the block use one thread.

    Examples
    --------
    >>> with one_itk_thread():
    ...     sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    1
    """
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)
