"""Time and event, once validated, then trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from radiomics_npc.errors import CohortError

__all__ = ["Outcome"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Right-censored survival of a cohort.

    Parameters
    ----------
    time_months : array of float, shape (n,)
        Follow-up in months, not negative.
    event : array of bool, shape (n,)
        True where the event was seen at ``time_months``, False where censored.
    patient_id : index of str, shape (n,), optional
        By default "0", "1", ...
    name : str
        The endpoint, as shown in figures.
    simulated : bool
        Patients that never lived: models fitted to them, and all that is shown of them, say so.
    source : index of str, shape (n,), optional
        In a bootstrap sample the patient each row is a copy of, so that folds keep copies
        together; None where every row is a patient of its own.

    Raises
    ------
    CohortError
        Lengths differ, a time is negative or not finite, an event is not 0/1,
        or an identifier occurs twice.

    Examples
    --------
    >>> y = Outcome([12.0, 70.0], [1, 1], ["001", "002"])
    >>> y.censor_at(60).to_frame()
                time_months  event
    patient_id
    001                12.0   True
    002                60.0  False
    """

    time_months: NDArray[np.float64]
    event: NDArray[np.bool_]
    patient_id: Any = None
    name: str = "progression-free survival"
    simulated: bool = False
    source: Any = None

    def __post_init__(self) -> None:
        time = np.asarray(self.time_months, dtype=float)
        raw = np.asarray(self.event)
        if time.ndim != 1 or raw.shape != time.shape:
            raise CohortError(f"time and event differ in shape: {time.shape} and {raw.shape}")
        if not np.isfinite(time).all() or (time < 0).any():
            bad = int((~np.isfinite(time) | (time < 0)).sum())
            raise CohortError(f"{bad} follow-up times are missing or negative", "Run the check to list them.")
        if not np.isin(raw, (0, 1)).all():
            raise CohortError(
                "event holds other values than 0 and 1",
                "R codes censored/event as 1/2: state the coding in the study (coding: 1/2).",
            )
        ids = range(len(time)) if self.patient_id is None else self.patient_id
        index = pd.Index([str(i) for i in ids], name="patient_id")
        if len(index) != len(time) or index.has_duplicates:
            raise CohortError("patient identifiers must be unique, one for each outcome")
        object.__setattr__(self, "time_months", time)
        object.__setattr__(self, "event", raw.astype(bool))
        object.__setattr__(self, "patient_id", index)
        if self.source is not None:
            if len(self.source) != len(time):
                raise CohortError("source must name one patient for each outcome")
            object.__setattr__(self, "source", pd.Index([str(i) for i in self.source]))

    @classmethod
    def from_frame(cls, table: pd.DataFrame, *, time: str = "time_months", event: str = "event") -> Outcome:
        """Take two columns of a table indexed by patient_id; times in months, events 0/1."""
        return cls(table[time].to_numpy(), table[event].to_numpy(), table.index)

    def __len__(self) -> int:
        return len(self.time_months)

    def take(self, rows: NDArray[Any] | Sequence[int]) -> Outcome:
        """Patients by position or boolean mask.

        Repeats (a bootstrap sample) get new identifiers, and ``source`` keeps the old ones.
        """
        rows = np.asarray(rows)
        rows = rows if rows.size else rows.astype(int)  # an empty list is an array of float
        ids = self.patient_id[rows]
        source = None if self.source is None else self.source[rows]
        if ids.has_duplicates:
            source = ids if source is None else source
            ids = pd.RangeIndex(len(ids)).astype(str)
        return Outcome(self.time_months[rows], self.event[rows], ids, self.name, self.simulated, source)

    def loc(self, patient_id: Sequence[str] | pd.Index[str]) -> Outcome:
        """Patients by identifier, in the order given."""
        rows = self.patient_id.get_indexer(pd.Index(patient_id))
        if (rows < 0).any():
            raise CohortError(f"{int((rows < 0).sum())} patients have no outcome")
        return self.take(rows)

    def censor_at(self, months: float) -> Outcome:
        """Administrative censoring: later times become ``months``, without event."""
        late = self.time_months > months
        time = np.where(late, months, self.time_months)
        return replace(self, time_months=time, event=self.event & ~late)

    def to_frame(self) -> pd.DataFrame:
        """Table with columns time_months and event, by patient_id."""
        return pd.DataFrame({"time_months": self.time_months, "event": self.event}, index=self.patient_id)

    def to_structured(self) -> NDArray[Any]:
        """The structured array (event, time) that scikit-survival wants."""
        pairs = zip(self.event, self.time_months, strict=True)
        return np.array(list(pairs), dtype=[("event", bool), ("time", float)])

    def _repr_html_(self) -> str:
        return f"<p>{self._summary()}</p>"

    def __repr__(self) -> str:
        return f"<Outcome {self._summary()}>"

    def _summary(self) -> str:
        patients = f"{len(self)}{' simulated' if self.simulated else ''} patients"
        return f"{self.name}: {patients}, {int(self.event.sum())} events"
