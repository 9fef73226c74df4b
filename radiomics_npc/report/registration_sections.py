"""What a report says of masks that were moved from one sequence to the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from radiomics_npc.imaging.registration_quality import FLAGS
from radiomics_npc.nomogram.labels import sequence_label
from radiomics_npc.report.modelling_content import read_optional
from radiomics_npc.report.pieces import folded, paragraph, picture
from radiomics_npc.report.tables import html_table, number
from radiomics_npc.report.writing import listed, part_of, plural

__all__ = ["method_words", "read_registration", "registration", "registration_text"]

Content = Mapping[str, Any]
_METHODS = {
    "rigid": "rigid registration (Mattes mutual information, Powell's method from several starts)",
    "bspline": "rigid registration (Mattes mutual information, Powell's method from several starts) and a "
    "cubic B-spline with knots every 70 mm",
    "deu": "rigid registration by one-plus-one evolution (Mattes mutual information, initial radius 0.004, "
    "at most 300 iterations)",
}
_INTERPOLATIONS = {
    "nearest": "by nearest neighbor",
    "level_set": "by linear interpolation of the distance to their surface, at the same volume",
}
_HEADS = {
    "patient_id": "Patient", "sequence": "Sequence", "masks_from": "Mask of", "translation_mm": "Moved (mm)",
    "rotation_degrees": "Turned (degrees)", "mutual_information_before": "Information before",
    "mutual_information_after": "After", "body_dice_after": "Outline (Dice)",
    "return_mm": "Second search (mm)", "flags": "Conspicuous",
}  # fmt: skip


def read_registration(folder: Path, settings: Content, record: Content) -> dict[str, Any]:
    """Part ``registration`` of the content; empty where no mask was moved.

    Parameters
    ----------
    folder : Path
        A run folder.
    settings : mapping
        Of its study.yaml.
    record : mapping
        Its run.json.
    """
    table = read_optional(folder / "tables" / "registration.csv")
    if not settings.get("registration") or not record.get("registration") or table is None or table.empty:
        return {}
    picture_file = folder / "figures" / "registration.png"
    board = picture_file.read_bytes() if picture_file.exists() else None
    table = table.assign(flags=table["flags"].fillna("").astype(str))
    return {"registration": {**settings["registration"], "table": table, "picture": board}}


def method_words(part: Content) -> str:
    """How masks were moved, within a sentence.

    Examples
    --------
    >>> method_words({"method": "rigid", "interpolation": "nearest"})
    "rigid registration (Mattes mutual information, Powell's method from several starts), by nearest neighbor"
    """
    return f"{_METHODS[part['method']]}, {_INTERPOLATIONS[part['interpolation']]}"


def registration_text(content: Content) -> str:
    """What the methods section says; empty where no mask was moved.

    Examples
    --------
    >>> table = pd.DataFrame({"sequence": ["t2", "t2"], "flags": ["", "no_gain"]})
    >>> print(registration_text({"registration": {
    ...     "masks_from": "ce_t1", "method": "rigid", "interpolation": "nearest", "table": table}}))
    Where T2 images had no mask, that of CE-T1 was moved to their grid by rigid registration (Mattes ...
    """
    part = part_of(content, "registration")
    if not part:
        return ""
    flags = part["table"]["flags"]
    edited = int((flags == "edited").sum())
    names = listed(map(sequence_label, dict.fromkeys(part["table"]["sequence"])))
    words = (
        f"Where {names} images had no mask, that of {sequence_label(part['masks_from'])} was moved to their "
        f"grid by {method_words(part)}. Registrations were flagged by the information that the images share, "
        "the outlines of the body, and where a second search from nearby ended: "
        f"{int((flags != '').sum()) - edited} of {len(flags) - edited}. "
        "[Who reviewed the moved masks, and how many were corrected, has to be added here.]"
    )
    return words + (f" {plural(edited, 'further mask')} had been changed by hand." if edited else "")


def registration(content: Content, drawn: Mapping[str, Any]) -> str:
    """Section of the report: how masks were moved, what is conspicuous, checkerboards."""
    part = content["registration"]
    table: pd.DataFrame = part["table"]
    flagged = table[~table["flags"].isin(["", "edited"])]
    masks = plural(len(table), "mask") + (" were" if len(table) != 1 else " was")
    words = (
        f"{masks} not drawn where {'they are' if len(table) != 1 else 'it is'} measured, but moved from "
        f"{sequence_label(part['masks_from'])}: {method_words(part)}. Images were not resampled."
    )
    made = paragraph(words)
    said = f"{len(flagged)} are conspicuous" if len(flagged) != 1 else "One is conspicuous"
    made += paragraph(f"{said}. A registration without a flag can be wrong, too: look at every moved mask.")
    if len(flagged):
        kinds = Counter(code for cell in flagged["flags"] for code in str(cell).split("; "))
        rows = [
            (FLAGS[code].sentence, FLAGS[code].remedy, count)
            for code, count in kinds.most_common()
            if code in FLAGS
        ]
        made += html_table(pd.DataFrame(rows, columns=["Conspicuous", "What to do", "Masks"]))
        made += folded("Conspicuous masks", _rows(flagged), opened=len(flagged) < 20)
    words = (
        "Squares alternate between the two sequences, each in its own gray scale: edges that run through are "
        "where they fit. Left: where the headers put them; right: registered, with the moved mask."
    )
    made += picture("registration", part.get("picture"), words)
    note = "Information: mutual information in nats. Second search: how far from this one it ended."
    return made + folded("All moved masks", _rows(table) + paragraph(note, soft=True))


def _rows(table: pd.DataFrame) -> str:
    shown = table.copy()
    for name in ("sequence", "masks_from"):
        shown[name] = shown[name].map(sequence_label)
    shown["flags"] = [
        "; ".join(FLAGS[code].sentence if code in FLAGS else code for code in str(cell).split("; "))
        for cell in shown["flags"]
    ]
    for name in _HEADS:
        if pd.api.types.is_float_dtype(shown[name]):
            shown[name] = [number(float(value), 2) for value in shown[name]]
    return html_table(shown[list(_HEADS)].rename(columns=_HEADS), most=200)
