"""The manifest that a folder would be read by, for editing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from radiomics_npc.cohort.cases import Case, ImageFiles, Label
from radiomics_npc.cohort.findings import Finding
from radiomics_npc.cohort.labels import format_label
from radiomics_npc.cohort.layouts import find_cases, guess_layout
from radiomics_npc.cohort.manifest import ALL_DRAWN, MANIFEST_COLUMNS
from radiomics_npc.cohort.regions import split_name
from radiomics_npc.config import validated
from radiomics_npc.errors import CohortError
from radiomics_npc.settings import SEQUENCES, CohortSettings
from radiomics_npc.storage import write_table

__all__ = ["WrittenManifest", "write_manifest"]

_ALWAYS = ("patient_id", "sequence", "image", "mask", "label", "center")


@dataclass(frozen=True, eq=False)
class WrittenManifest:
    """A manifest that was written.

    Parameters
    ----------
    path : Path
    layout : str
        The layout that the files were found by.
    table : DataFrame
        One row an image: the columns of a manifest, and ``note`` with the doubts about it.
    findings : tuple of Finding
        All that was seen, also what concerns no single line.
    """

    path: Path
    layout: str
    table: pd.DataFrame
    findings: tuple[Finding, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What was seen that stands in no line of the table."""
        return [
            " ".join(filter(None, (_where(f), f"{f.problem}.", f.remedy)))
            for f in self.findings
            if not f.patient_id or not (self.table["patient_id"] == f.patient_id).any()
        ]

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=False))

    def __repr__(self) -> str:
        doubts = int((self.table["note"] != "").sum())
        return (
            f"<WrittenManifest: {len(self.table)} images of {self.table['patient_id'].nunique()} patients,"
            f" layout {self.layout}, {doubts} with a note>"
        )


def write_manifest(
    root: Path | str,
    out: Path | str,
    *,
    layout: str | None = None,
    sequences: Sequence[str] = SEQUENCES,
    names: Mapping[str, Sequence[str]] | None = None,
    regions: Mapping[str, Sequence[Label]] | None = None,
    optional_regions: Sequence[str] = (),
) -> WrittenManifest:
    """Write the manifest that a folder would be read by, so that it can be edited and used instead.

    Parameters
    ----------
    root : Path
        Folder with the images, or a manifest to be written again.
    out : Path
        A ``.csv`` (UTF-8 with BOM, opens in Excel). Paths in it are relative to its folder.
    layout : str, optional
        As ``cohort.layout``; guessed if it is not given.
    sequences, names, regions, optional_regions
        As ``cohort.sequences``, ``cohort.sequence_names``, ``cohort.regions``, ``cohort.optional_regions``.

    Returns
    -------
    WrittenManifest

    Raises
    ------
    CohortError
        Nothing is found, or the layout is not told by the folder.
    ConfigError
        A setting is wrong.

    Examples
    --------
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for name in ("001/T1WI/1.dcm", "001/ROI-T1.nii"):
    ...     (root / name).parent.mkdir(parents=True, exist_ok=True)
    ...     (root / name).touch()
    >>> made = write_manifest(root, root / "manifest.csv", sequences=["t1"])
    >>> made, made.table.loc[0, "mask"]
    (<WrittenManifest: 1 images of 1 patients, layout published, 0 with a note>, '001/ROI-T1.nii')
    """
    root, out = Path(root).absolute(), Path(out).absolute()
    given: dict[str, Any] = {
        "layout": layout or guess_layout(root), "path": root, "sequences": list(sequences),
        "sequence_names": {name: list(own) for name, own in (names or {}).items()},
        "regions": {name: list(parts) for name, parts in (regions or {}).items()},
        "optional_regions": list(optional_regions),
    }  # fmt: skip
    settings = validated(CohortSettings, given, "manifest", "configs/study.yaml")
    if settings.layout == "clinical":
        raise CohortError("layout clinical has no images", "Name another layout, or none.")
    if out == root:
        raise CohortError(f"{out.name} is the manifest that is read", "Name another file to be written.")
    cases, findings = find_cases(settings)
    findings += _missing(cases, settings)
    rows = [
        _row(case, name, files, out.parent, bool(settings.regions), findings)
        for case in cases
        for name, files in case.images.items()
    ]
    if not rows:
        raise CohortError(
            f"{root.name} holds no image of {', '.join(settings.sequences)} in layout {settings.layout}",
            "Check layout, sequences and how series are called (cohort.sequence_names).",
        )
    table = pd.DataFrame(rows, columns=[*MANIFEST_COLUMNS, "note"])
    table = table[[name for name in table if name in (*_ALWAYS, "note") or (table[name] != "").any()]]
    write_table(out, table)
    return WrittenManifest(out, settings.layout, table, tuple(findings))


def _row(
    case: Case, name: str, files: ImageFiles, base: Path, regions: bool, findings: Sequence[Finding]
) -> dict[str, str]:
    sequence, region = split_name(name)
    # an empty label would be that of the study's region
    all_drawn = regions and files.mask is not None and files.label is None
    about = [f for f in findings if f.patient_id == case.patient_id and f.sequence in ("", sequence, name)]
    notes = [" ".join(filter(None, (f"{f.problem}.", f.remedy))) for f in about]
    notes += ["no mask was found."] if files.mask is None and not files.optional else []
    notes += ["" if files.image.exists() else f"{files.image.name} does not exist."]
    return {
        "patient_id": case.patient_id,
        "sequence": sequence,
        "region": region,
        "image": _relative(files.image, base),
        "mask": _relative(files.mask, base),
        "label": ALL_DRAWN if all_drawn else format_label(files.label),
        "center": case.center,
        "series_uid": files.series or "",
        "reference": _relative(files.reference, base),
        "reference_label": format_label(files.reference_label),
        "note": " ".join(filter(None, notes)),
    }


def _relative(path: Path | None, base: Path) -> str:
    """A path as the manifest holds it; one on another drive stays whole, or it would not be found."""
    if path is None:
        return ""
    try:
        return Path(os.path.relpath(path, base)).as_posix()
    except ValueError:
        return path.as_posix()


def _missing(cases: Sequence[Case], settings: CohortSettings) -> list[Finding]:
    """How many patients lack each sequence: they have no line."""
    found = []
    for sequence in settings.sequences:
        lacking = sum(sequence not in {split_name(name)[0] for name in case.images} for case in cases)
        if lacking:
            problem = (
                f"{lacking} of {len(cases)} patients have no image of {sequence}: there is no line for it"
            )
            found.append(Finding.info(problem, "Add the lines, or name only the sequences that there are."))
    return found


def _where(finding: Finding) -> str:
    parts = [part for part in (finding.patient_id, finding.sequence, finding.where) if part]
    return f"{' '.join(parts)}:" if parts else ""
