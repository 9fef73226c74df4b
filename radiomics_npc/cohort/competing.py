"""Time and cause, where one event can keep another from being seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError

__all__ = ["CompetingOutcome"]


@dataclass(frozen=True, eq=False)
class CompetingOutcome:
    """Right-censored survival with more than one kind of first event.

    Parameters
    ----------
    time_months : array of float, shape (n,)
        Follow-up in months, not negative.
    cause : array of int, shape (n,)
        0 censored, 1 the event of interest, 2 and more the competing ones.
    patient_id : index of str, shape (n,), optional
        By default "0", "1", ...
    names : tuple of str
        Of cause 1, 2, ...
    name : str
        The endpoint, as shown in figures.
    simulated : bool
        Patients that never lived.

    Raises
    ------
    CohortError
        As for :class:`Outcome`, or a cause that is not a whole number from 0 to ``len(names)``.

    Examples
    --------
    >>> y = CompetingOutcome([12.0, 30.0, 70.0], [1, 2, 0], ["001", "002", "003"])
    >>> y.cause_specific(1).event.tolist(), y.any_cause().event.tolist()
    ([True, False, False], [True, True, False])
    """

    time_months: NDArray[np.float64]
    cause: NDArray[np.intp]
    patient_id: Any = None
    names: tuple[str, ...] = ("event of interest", "competing event")
    name: str = "distant metastasis"
    simulated: bool = False

    def __post_init__(self) -> None:
        raw = np.asarray(self.cause, dtype=float)
        if not np.isin(raw, np.arange(len(self.names) + 1)).all():
            raise CohortError(
                f"cause holds other values than 0 (censored) to {len(self.names)}",
                "Give one name for each cause, and code them 1, 2, ... in that order.",
            )
        checked = Outcome(self.time_months, (raw > 0).astype(float), self.patient_id)
        object.__setattr__(self, "time_months", checked.time_months)
        object.__setattr__(self, "cause", raw.astype(np.intp))
        object.__setattr__(self, "patient_id", checked.patient_id)
        object.__setattr__(self, "names", tuple(self.names))

    def __len__(self) -> int:
        return len(self.time_months)

    def cause_specific(self, cause: int = 1) -> Outcome:
        """One cause as the event, all others censored when they happen.

        This is what a cause-specific Cox model is fitted to. A Kaplan-Meier curve
        of it is no probability: take the cumulative incidence.

        Raises
        ------
        CohortError
            There is no such cause.
        """
        self.require_cause(cause)
        return self._as_outcome(self.cause == cause)

    def any_cause(self) -> Outcome:
        """The first event, whatever its cause."""
        return self._as_outcome(self.cause > 0)

    def _as_outcome(self, event: NDArray[np.bool_]) -> Outcome:
        return Outcome(self.time_months, event, self.patient_id, self.name, self.simulated)

    def require_cause(self, cause: int) -> None:
        """Refuse a cause that is not among ``names``."""
        if cause not in range(1, len(self.names) + 1):
            raise CohortError(f"there is no cause {cause}", f"Causes are 1 to {len(self.names)}.")

    def take(self, rows: NDArray[Any] | Sequence[int]) -> CompetingOutcome:
        """Patients by position or boolean mask. Repeats (a bootstrap sample) get new identifiers."""
        kept = self.any_cause().take(rows)
        rows = np.asarray(rows)
        cause = self.cause[rows if rows.size else rows.astype(int)]
        return replace(self, time_months=kept.time_months, cause=cause, patient_id=kept.patient_id)

    def loc(self, patient_id: Sequence[str] | pd.Index[str]) -> CompetingOutcome:
        """Patients by identifier, in the order given."""
        rows = self.patient_id.get_indexer(pd.Index(patient_id))
        if (rows < 0).any():
            raise CohortError(f"{int((rows < 0).sum())} patients have no outcome")
        return self.take(rows)

    def censor_at(self, months: float) -> CompetingOutcome:
        """Administrative censoring: later times become ``months``, without event."""
        late = self.time_months > months
        time = np.where(late, months, self.time_months)
        return replace(self, time_months=time, cause=np.where(late, 0, self.cause))

    def to_frame(self) -> pd.DataFrame:
        """Table with columns time_months and cause, by patient_id."""
        return pd.DataFrame({"time_months": self.time_months, "cause": self.cause}, index=self.patient_id)

    def _repr_html_(self) -> str:
        return f"<p>{self._summary()}</p>"

    def __repr__(self) -> str:
        return f"<CompetingOutcome {self._summary()}>"

    def _summary(self) -> str:
        patients = f"{len(self)}{' simulated' if self.simulated else ''} patients"
        counts = [f"{int((self.cause == k).sum())} {name}" for k, name in enumerate(self.names, 1)]
        return f"{self.name}: {patients}, {', '.join(counts)}"
