"""Map over cases with processes of this machine, one thread each.

Texture extraction with the default BLAS and ITK threads is four to five times
slower on two cores than with one thread a process, so the thread counts are
set in the environment before a worker imports numpy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

__all__ = ["count_jobs", "map_cases", "single_threaded"]

A = TypeVar("A")
B = TypeVar("B")

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def count_jobs(jobs: int) -> int:
    """Number of worker processes: ``jobs``, or all cores this process may use when 0."""
    if jobs > 0:
        return jobs
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def single_threaded() -> Iterator[None]:
    """One thread for BLAS, OpenMP and ITK: in this process now, and in every process started inside."""
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def map_cases(
    function: Callable[[A], B], items: Iterable[A], *, jobs: int = 0, ordered: bool = False
) -> Iterator[B]:
    """Apply ``function`` to every item and give results as they come.

    Parameters
    ----------
    function : callable
        Must catch the errors of a case itself and return them as a result, so
        that one failed case never stops the others.
    items : iterable
        Small, picklable descriptions (paths, not images).
    jobs : int
        Worker processes; 0 takes all cores, 1 works in this process.
    ordered : bool
        Keep the order of ``items`` instead of the order of completion.

    Yields
    ------
    Results of ``function``.

    Examples
    --------
    >>> list(map_cases(abs, [-1, -2], jobs=1))
    [1, 2]
    """
    jobs = count_jobs(jobs)
    with single_threaded():
        if jobs == 1:
            yield from map(function, items)
            return
        from joblib import Parallel, delayed

        mode = "generator" if ordered else "generator_unordered"
        results: Any = Parallel(n_jobs=jobs, return_as=mode, backend="loky", batch_size=1)(
            delayed(function)(item) for item in items
        )
        yield from results
