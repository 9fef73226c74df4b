"""A cohort in the words of the published data set: its Tables 1 to 4, with the published figures beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.failures import FAILURE_COLUMNS
from radiomics_npc.dataset.image_tables import acquisition_cells, scanner_cells, size_cells
from radiomics_npc.dataset.metadata import Metadata, Source, as_cohort, read_metadata
from radiomics_npc.dataset.morphology import Morphology, measure_morphology
from radiomics_npc.dataset.page import Section, page_html, pairs_html
from radiomics_npc.dataset.published import published_notes, published_source
from radiomics_npc.dataset.side_by_side import Cell, cells_frame, paired_rows, wide_table
from radiomics_npc.dataset.stage_table import stage_cells
from radiomics_npc.report.tables import html_table
from radiomics_npc.report.word import add_caption, add_note, add_table, new_document, orient, write_document
from radiomics_npc.storage import write_table, write_text

__all__ = ["Description", "describe"]

_TITLES: Final = {
    1: "Acquisition parameters, median (minimum to maximum)",
    2: "Tumor size, median (minimum to maximum)",
    3: "Scanners",
    4: "Patients by stage group",
}
_MARK: Final = "†: values outside the published range, or a level that the published group does not have"


@dataclass(frozen=True, eq=False)
class Description:
    """Tables 1 to 4 of a cohort, side by side with the published ones.

    Parameters
    ----------
    cells : tuple of Cell
        Every figure, with the published one.
    notes : mapping of int to sequence of str
        What is to be said of each table.
    failures : DataFrame
        Series and masks that could not be read: patient_id, sequence, stage, error, message, remedy.
    simulated : bool
        Patients that never lived: every title says so.
    """

    cells: tuple[Cell, ...]
    notes: Mapping[int, Sequence[str]]
    failures: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=FAILURE_COLUMNS))
    simulated: bool = False

    @property
    def tables(self) -> dict[int, pd.DataFrame]:
        """By number, as printed; a dagger marks what lies outside the published range."""
        return {number: wide_table(self._of(number)) for number in _TITLES}

    def to_frame(self) -> pd.DataFrame:
        """One row a figure; columns as :class:`radiomics_npc.dataset.side_by_side.Cell` has fields."""
        table = cells_frame(self.cells)
        return table.assign(simulated=True) if self.simulated else table

    def title(self, number: int) -> str:
        """Title of a table; of simulated patients it says so."""
        return _TITLES[number] + (", simulated patients" if self.simulated else "")

    def _of(self, number: int) -> list[Cell]:
        return [cell for cell in self.cells if cell.table == number]

    def _said(self, number: int) -> list[str]:
        """All notes of a table: where marks are set, what is missing, the cohort's, the published ones."""
        marked = [cell for cell in self._of(number) if cell.outside]
        where = [f"{_place(cell)}: {cell.outside} of {_all(cell)}" for cell in marked]
        mark = [f"{_MARK} ({'; '.join(where)})."] if where else []
        lacking = [f"{_place(cell)}: {cell.missing}" for cell in self._of(number) if cell.missing]
        rest = " Percentages are of patients of whom the value is known." if number == 4 else ""
        missing = [f"This cohort, missing values: {'; '.join(lacking)}.{rest}"] if lacking else []
        return [*mark, *missing, *self.notes[number], *published_notes(number)]

    def write(self, folder: Path | str) -> list[Path]:
        """Write ``table_1.csv`` to ``table_4.csv``, ``figures.csv`` (every figure), a page and a Word file.

        Parameters
        ----------
        folder : path
            Made if absent.

        Returns
        -------
        list of Path
            What was written; ``failures.csv`` is among it, if something could not be read.
        """
        folder = Path(folder)
        paths = [folder / f"table_{number}.csv" for number in _TITLES]
        for path, table in zip(paths, self.tables.values(), strict=True):
            write_table(path, table.assign(Simulated="yes") if self.simulated else table)
        write_table(folder / "figures.csv", self.to_frame())
        write_text(folder / "description.html", self._page())
        write_document(folder / "description.docx", self._document())
        paths += [folder / name for name in ("figures.csv", "description.html", "description.docx")]
        failed = folder / "failures.csv"
        failed.unlink(missing_ok=True)
        if len(self.failures):
            write_table(failed, self.failures)
            paths.append(failed)
        return paths

    @property
    def _heading(self) -> str:
        return f"{'Simulated cohort' if self.simulated else 'Cohort'} beside the published data set"

    def _page(self) -> str:
        sections = [
            Section(
                f"table-{number}", f"Table {number}. {self.title(number)}",
                pairs_html(self._of(number), f"Table {number}"), self._said(number), sheet=number == 4,
                link=_TITLES[number].partition(',')[0],
            )
            for number in _TITLES
        ]  # fmt: skip
        if len(self.failures):
            shown = self.failures[["patient_id", "sequence", "stage", "message", "remedy"]]
            body = html_table(shown.rename(columns={"patient_id": "Patient"}), most=200)
            sections.append(Section("failures", "What could not be read", body))
        lead = [f"Published figures: {published_source()}"]
        return page_html(self._heading, lead, sections, simulated=self.simulated)

    def _document(self) -> Any:
        document = new_document(self._heading)
        document.add_paragraph(self._heading, style="Title")
        document.add_paragraph(f"Published figures: {published_source()}")
        for number in _TITLES:
            orient(document, landscape=number == 4)
            add_caption(document, self.title(number), number)
            cells = self._of(number)
            add_table(document, wide_table(cells) if number == 3 else paired_rows(cells), self.title(number))
            add_note(document, " ".join(self._said(number)))
        return document

    def _repr_html_(self) -> str:
        return "".join(
            html_table(table, f"Table {number}. {self.title(number)}")
            for number, table in self.tables.items()
        )

    def __repr__(self) -> str:
        patients = next(c.this_cohort for c in self.cells if c.table == 3)
        who = "simulated " if self.simulated else ""
        return f"<Description of {patients} {who}patients, {len(self.failures)} failures>"


def _place(cell: Cell) -> str:
    level = "" if cell.missing else cell.level  # what is missing is missing of all levels
    return ", ".join(part for part in (cell.variable, level, cell.group) if part)


def _all(cell: Cell) -> int:
    return max(cell.known, cell.outside)


def describe(
    source: Source,
    *,
    metadata: Metadata | None = None,
    morphology: Morphology | None = None,
    jobs: int = 0,
    progress: bool = True,
) -> Description:
    """Put a cohort beside the published data set.

    Parameters
    ----------
    source : Cohort, settings, path or dict
        What :func:`radiomics_npc.cohort.reading.read_cohort` takes: a folder in the published layout, a
        study file and so on. Follow-up is known only where the study says which columns hold it.
    metadata, morphology : optional
        If they have been read already.
    jobs : int
        Processes; 0 takes all cores.
    progress : bool
        Show how far it is.

    Returns
    -------
    Description

    Raises
    ------
    CohortError, ConfigError
        There is no such cohort.

    Notes
    -----
    Li Y et al., arXiv:2404.03253, Tables 1 to 4; where Table 4 contradicts itself, it is given as printed
    and said. A value is marked where it lies outside the published minimum and maximum by more than their
    rounding.

    Examples
    --------
    >>> from radiomics_npc.cohort.cases import Case
    >>> clinical = pd.DataFrame({"stage": ["III"], "T": ["T3"]}, index=["001"])
    >>> found = describe(Cohort((Case("001"),), clinical), jobs=1)
    >>> found.tables[4].query("Level == 'T3'")[["III, this cohort", "III, published"]].to_numpy().tolist()
    [['1 (100.0%)', '97 (69.3%)']]
    """
    cohort = as_cohort(source)
    metadata = metadata or read_metadata(cohort, jobs=jobs, progress=progress)
    morphology = morphology or measure_morphology(cohort, jobs=jobs, progress=progress)
    sequences = _sequences(cohort)
    scanners = _scanners(cohort, metadata.table)
    staged, said = stage_cells(cohort)
    cells = (
        *acquisition_cells(metadata.table, sequences), *size_cells(morphology.table, sequences),
        *scanner_cells(scanners), *staged,
    )  # fmt: skip
    unknown = ["This cohort: percentages are of patients whose scanner is known."] * bool(
        scanners.isna().any()
    )
    notes = {1: _remarks(metadata.table), 2: [], 3: unknown, 4: [*_left_out(cohort), *said]}
    failures = pd.concat([metadata.failures, morphology.failures], ignore_index=True)
    return Description(cells, notes, failures, cohort.simulated)


def _sequences(cohort: Cohort) -> list[str]:
    """The published sequences and those of the cohort; a clinical cohort has none of its own."""
    return list(cohort.sequences) or ["t1", "t2", "ce_t1"]


def _scanners(cohort: Cohort, metadata: pd.DataFrame) -> pd.Series:
    """Scanner of every patient: of the first series that says it, else of the clinical table."""
    known = metadata.dropna(subset=["scanner_device_name"]).groupby("patient_id")["scanner_device_name"]
    found = known.first().reindex(cohort.patient_ids).astype(object)
    if cohort.clinical is not None and "scanner" in cohort.clinical:
        found = found.fillna(cohort.clinical["scanner"].astype(object).reindex(found.index))
    return found


def _left_out(cohort: Cohort) -> list[str]:
    """Whom the study left out before anything was counted, and why."""
    here = set(cohort.patient_ids)
    reasons = Counter(why for who, why in cohort.excluded if who not in here)
    return [f"This cohort: {count} left out ({why})." for why, count in reasons.items()]


def _remarks(metadata: pd.DataFrame) -> list[str]:
    differing = int(metadata["remarks"].fillna("").str.contains("their positions").sum())
    notes = []
    if differing:
        notes.append(
            f"This cohort: in {differing} of {len(metadata)} series the header says another spacing between"
            " slices than their positions; the measured one holds."
        )
    varying = int(metadata["remarks"].fillna("").str.contains("varies within").sum())
    if varying:
        notes.append(f"This cohort: in {varying} of {len(metadata)} series a parameter varies.")
    return notes
