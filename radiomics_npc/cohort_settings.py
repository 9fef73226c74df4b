"""What a study can be told of its patients: files, clinical table, outcome."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "SEQUENCES", "ClinicalSettings", "CohortSettings", "EbvSettings", "EndpointSettings", "EventStatus",
    "ExtraColumn", "OutcomeSettings", "Sequence", "Settings",
]  # fmt: skip

Sequence = Literal["t1", "t2", "ce_t1"]
SEQUENCES: tuple[Sequence, ...] = ("t1", "t2", "ce_t1")


class Settings(BaseModel):
    """Base: frozen, unknown keys forbidden, everything described in configs/study.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ExtraColumn(Settings):
    """A clinical column beyond the standard ones."""

    column: str
    kind: Literal["number", "factor"] = "factor"


class EbvSettings(Settings):
    """EBV-DNA given as an amount: its unit, what the assay can see, and what counts as positive."""

    unit: Literal["copies/ml", "copies/ul", "iu/ml"] | None = None
    detection_limit: float | None = Field(default=None, gt=0)
    below_limit: Literal["half", "root2"] = "half"
    positive_from: float | None = Field(default=None, gt=0)


class ClinicalSettings(Settings):
    """The clinical table: which file, which columns, how values are read."""

    file: Path | None = None
    sheet: str | int = 0
    columns: dict[str, str] = Field(default_factory=dict)
    values: dict[str, dict[str, str | None]] = Field(default_factory=dict)
    missing: list[str] = Field(default_factory=list)
    extra: dict[str, ExtraColumn] = Field(default_factory=dict)
    ebv: EbvSettings = Field(default_factory=EbvSettings)
    keep: dict[str, list[str]] = Field(default_factory=dict)


class EventStatus(Settings):
    """The column beside a progression date that says whether it is an event, and its words."""

    column: str
    coding: dict[str, Literal[0, 1]]


class EndpointSettings(Settings):
    """A further endpoint: its own two columns, or dates that count as its event and that compete with it."""

    name: str | None = None
    time: str | None = None
    unit: Literal["days", "months", "years"] | None = None
    event: str | None = None
    coding: Literal["0/1", "1/2", "0/1/2"] | dict[str, Literal[0, 1, 2]] | None = None
    events: list[str] = Field(default_factory=list)
    competing: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_way(self) -> EndpointSettings:
        by_columns = self.time is not None or self.event is not None
        if by_columns == bool(self.events):
            raise ValueError("give either time and event, or events (date columns)")
        if by_columns and (None in (self.time, self.event) or self.competing):
            raise ValueError("time and event belong together; competing names date columns (or code it 2)")
        if set(self.events) & set(self.competing):
            raise ValueError("a date column cannot be both among events and competing")
        return self


class OutcomeSettings(Settings):
    """Time and event: either two columns, or dates from which both are made."""

    name: str = "progression-free survival"
    time: str | None = None
    unit: Literal["days", "months", "years"] | None = None
    event: str | None = None
    coding: Literal["0/1", "1/2"] | dict[str, Literal[0, 1]] | None = None
    start: str | None = None
    progression: list[str] = Field(default_factory=list)
    confirmed_by: dict[str, EventStatus] = Field(default_factory=dict)
    last_seen: str | None = None
    date_format: str = "%Y-%m-%d"
    censor_at_months: float | None = Field(default=60.0, gt=0)
    time_zero: Literal["keep", "exclude", "move"] = "keep"
    time_zero_months: float = Field(default=0.5, gt=0)
    negative_time: Literal["error", "exclude"] = "error"
    endpoints: dict[str, EndpointSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_way(self) -> OutcomeSettings:
        by_columns = self.time is not None or self.event is not None
        by_dates = self.start is not None
        if by_columns == by_dates:
            raise ValueError("give either time, unit, event and coding, or start, progression and last_seen")
        if by_columns and None in (self.time, self.unit, self.event, self.coding):
            raise ValueError("time, unit, event and coding belong together: none is guessed")
        if by_dates and (not self.progression or self.last_seen is None):
            raise ValueError("start needs progression (date columns) and last_seen")
        dates = {column for e in self.endpoints.values() for column in (*e.events, *e.competing)}
        if not set(self.confirmed_by) <= {*self.progression, *dates}:
            raise ValueError("confirmed_by names a date column that is not among progression or endpoints")
        for name, endpoint in self.endpoints.items():
            if endpoint.events and not by_dates:
                raise ValueError(f"endpoint {name} is made from dates: that needs start and last_seen")
            if endpoint.time is not None and None in (
                endpoint.unit or self.unit,
                endpoint.coding or self.coding,
            ):
                raise ValueError(f"endpoint {name} needs unit and coding: none is guessed")
        return self


class CohortSettings(Settings):
    """Where the patients are and how to read them."""

    layout: Literal["published", "dicom", "nnunet", "bids", "hanseg", "segrap", "manifest", "clinical"] = (
        "published"
    )
    path: Path | None = None
    sequences: list[Sequence] = Field(default_factory=lambda: list(SEQUENCES))
    sequence_names: dict[Sequence, list[str]] = Field(default_factory=dict)
    regions: dict[str, list[int | str]] = Field(default_factory=dict)
    optional_regions: list[str] = Field(default_factory=list)
    on_mismatch: Literal["error", "resample"] = "error"
    clinical: ClinicalSettings | None = Field(default_factory=ClinicalSettings)
    outcome: OutcomeSettings | None = None

    @model_validator(mode="after")
    def _paths(self) -> CohortSettings:
        if self.layout != "clinical" and self.path is None:
            raise ValueError(f"layout {self.layout} needs path (the folder, or the manifest CSV)")
        if self.layout == "clinical" and (self.clinical is None or self.clinical.file is None):
            raise ValueError("layout clinical needs clinical.file")
        if len(set(self.sequences)) != len(self.sequences) or not self.sequences:
            raise ValueError("sequences: name each of t1, t2, ce_t1 at most once, and at least one")
        for name, labels in self.regions.items():
            if not re.fullmatch(r"[a-z][a-z0-9]*", name):
                raise ValueError(f"regions: {name!r} is no name (small letters and digits, as gtvp)")
            if not labels:
                raise ValueError(f"regions: {name} needs the values or names it is made of, as [1, GTVnd]")
        if unknown := sorted(set(self.optional_regions) - set(self.regions)):
            raise ValueError(f"optional_regions: {', '.join(unknown)} is not among regions")
        return self
