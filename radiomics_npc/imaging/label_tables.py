"""What the values of a label map are called, where a table beside it says so.

Of ITK-SNAP (label descriptions), 3D Slicer (color tables), nnU-Net (``dataset.json``) and BIDS
(``*_dseg.tsv``).
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.labels import Region

__all__ = ["find_table", "read_table_names"]

_MAP_SUFFIX = re.compile(r"(?:[._-]seg)?\.(?:nii|nii\.gz|nrrd|nhdr|mha|mhd)$", re.IGNORECASE)
#: 0 255 0 0 1 1 1 "Tumor": value, color, opacity, two switches, name
_ITK_SNAP = re.compile(r'^\s*(\d+)\s+\d+\s+\d+\s+\d+\s+[\d.eE+-]+\s+[01]\s+[01]\s+"(.*)"\s*$')
#: 1 GTVp 255 0 0 255: value, name, color; Slicer writes _ for the spaces of a name
_SLICER = re.compile(r"^\s*(\d+)\s+(.+?)\s+\d+\s+\d+\s+\d+\s+\d+\s*$")
_LARGEST_BYTES = 1 << 20


def _pairs(pattern: re.Pattern[str], text: str) -> list[Region]:
    found = [pattern.match(line) for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [Region((int(m[1]),), (m[2],)) for m in found if m]


def _itk_snap(text: str) -> list[Region]:
    return _pairs(_ITK_SNAP, text)


def _slicer(text: str) -> list[Region]:
    return _pairs(_SLICER, text)


def _bids(text: str) -> list[Region]:
    rows = csv.DictReader(io.StringIO(text), delimiter="\t")
    if rows.fieldnames is None or not {"index", "name"} <= set(rows.fieldnames):
        return []
    named = [(row["index"], row["name"], row.get("abbreviation")) for row in rows]
    return [Region((int(i),), tuple(filter(None, names))) for i, *names in named if i and i.strip().isdigit()]


def _nnunet(text: str) -> list[Region]:
    """Names of ``labels`` to their values: version 2, where a region may have several; or version 1."""
    try:
        content = json.loads(text)
    except ValueError:
        return []
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, dict):
        return []
    found = []
    for key, value in labels.items():
        name, values = (value, key) if isinstance(value, str) else (key, value)
        numbers = values if isinstance(values, list) else [values]
        if numbers and all(str(number).isdigit() for number in numbers):
            found.append(Region(tuple(int(number) for number in numbers), (name,)))
    return found


_READERS: Final[dict[str, Callable[[str], list[Region]]]] = {
    ".label": _itk_snap,
    ".txt": _itk_snap,
    ".ctbl": _slicer,
    ".tsv": _bids,
    ".json": _nnunet,
}


def _candidates(mask: Path) -> Iterator[Path]:
    """Where the table of a label map may lie, the likeliest first."""
    stem = _MAP_SUFFIX.sub("", mask.name)
    for name in dict.fromkeys((mask.name, stem, f"{stem}-label")):
        yield from (mask.with_name(name + suffix) for suffix in (".label", ".txt", ".ctbl", ".tsv"))
        yield from (
            mask.with_name(f"{name}{end}") for end in ("_ColorTable.ctbl", "_labels.txt", "_label.txt")
        )
    beside = sorted(p for p in mask.parent.iterdir() if p.is_file() and not p.name.startswith("."))
    for suffix in (".label", ".ctbl", ".txt"):
        # one of another name holds for all maps of the folder, unless it bears the name of one of them
        tables = [p for p in beside if p.suffix.lower() == suffix and not _is_of_another(p, mask, beside)]
        tables = [p for p in tables if _read(p)]
        if len(tables) == 1:
            yield tables[0]
    yield from (folder / "dataset.json" for folder in (mask.parent, mask.parent.parent))


def _is_of_another(table: Path, mask: Path, beside: list[Path]) -> bool:
    stems = [_MAP_SUFFIX.sub("", p.name) for p in beside if _MAP_SUFFIX.search(p.name) and p != mask]
    return any(table.name.startswith(stem) for stem in stems)


def _read(table: Path) -> list[Region]:
    if table.stat().st_size > _LARGEST_BYTES:
        return []
    text = table.read_bytes().decode("utf-8-sig", "replace")
    found = _READERS[table.suffix.lower()](text)
    return [region for region in found if region.values != (0,)]


def find_table(mask: Path) -> Path | None:
    """Find the table that names the values of a label map.

    Parameters
    ----------
    mask : Path
        NIfTI, NRRD or MetaImage file.

    Returns
    -------
    Path or None
        A file with the map's own name (``T1.label``, ``T1.txt``, ``T1.ctbl``, ``T1-label_ColorTable.ctbl``,
        ``T1.tsv``); else the one ITK-SNAP or Slicer table of the folder; else nnU-Net's
        ``dataset.json`` there or one folder up.
    """
    return next((path for path in _candidates(mask) if path.is_file() and _read(path)), None)


def read_table_names(mask: Path) -> list[Region]:
    """Names of the values of a label map, as the table beside it gives them.

    Parameters
    ----------
    mask : Path

    Returns
    -------
    list of Region
        None where there is no table.

    Raises
    ------
    MaskError
        A table beside it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "T1.label").write_text('0 0 0 0 0 0 0 "Clear"\\n1 255 0 0 1 1 1 "GTVp"')
    >>> read_table_names(folder / "T1.nii.gz")
    [Region(values=(1,), names=('GTVp',), layer=0)]
    """
    try:
        table = find_table(mask)
        return [] if table is None else _read(table)
    except OSError as error:
        raise MaskError(
            f"the table of names beside {mask.name} cannot be read", "Check its permissions."
        ) from error
