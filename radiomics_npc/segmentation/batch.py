"""Masks of a whole cohort: finished ones found again by content, edited ones never written over.

torch is imported when the first patient needs it: what was predicted before can be read without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.failures import FAILURE_COLUMNS, failure_row
from radiomics_npc.errors import MaskError
from radiomics_npc.imaging.reading import read_image
from radiomics_npc.imaging.volume import Volume
from radiomics_npc.optional import require_torch
from radiomics_npc.progress import track
from radiomics_npc.segmentation.mask_files import (
    SCORES,
    folder_name,
    is_done,
    is_edited,
    mask_key,
    mask_path,
    read_record,
    variation_paths,
    write_prediction,
)
from radiomics_npc.segmentation.quality import FLAGS
from radiomics_npc.settings import SEQUENCES, SegmentationSettings, Sequence

if TYPE_CHECKING:
    from radiomics_npc.segmentation.prediction import Segmenter

__all__ = ["PredictedMasks", "predict_masks"]

TABLE_COLUMNS: Final = [
    "patient_id", "sequence", "volume_cm3", "confidence", "member_agreement", "sequence_agreement", "flags",
    "device", "seconds",
]  # fmt: skip
_EMPTY: Final = MaskError(FLAGS["empty"].sentence, FLAGS["empty"].remedy)


@dataclass(frozen=True, eq=False)
class PredictedMasks:
    """A cohort with predicted masks.

    Parameters
    ----------
    cohort : Cohort
        Its cases have the predicted masks; none where a prediction failed or is empty.
    table : DataFrame
        One row a predicted mask: ``patient_id``, ``sequence``, ``volume_cm3``, ``confidence``,
        ``member_agreement``, ``sequence_agreement``, ``flags`` (separated by semicolons), ``device``,
        ``seconds`` (of the patient; as it was when the mask was made).
    failures : DataFrame
        One row a mask that could not be made, or an image that the others were predicted without, with
        stage, error, message and remedy.
    variations : tuple of Cohort
        The same with the masks varied along their uncertainty; an edited mask is the same in all.
    reused : int
        Patients whose masks were there already.
    trained_on_simulated_heads_only : bool
        The networks know no others.
    """

    cohort: Cohort
    table: pd.DataFrame
    failures: pd.DataFrame
    variations: tuple[Cohort, ...] = ()
    reused: int = 0
    trained_on_simulated_heads_only: bool = False

    def to_frame(self) -> pd.DataFrame:
        """The table; simulated patients, and networks that know no others, if so."""
        said = {
            "trained_on_simulated_heads_only": self.trained_on_simulated_heads_only,
            "simulated": self.cohort.simulated,
        }
        return self.table.assign(**{column: True for column, true in said.items() if true})

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)

    def __repr__(self) -> str:
        masks, patients = len(self.table), self.table["patient_id"].nunique()
        return f"<PredictedMasks: {masks} masks of {patients} patients, {len(self.failures)} failed>"


@dataclass(frozen=True)
class _Done:
    """What became of one patient."""

    case: Case
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    variations: tuple[Case, ...] = ()
    reused: bool = False

    @property
    def label(self) -> str:
        """Shown by the progress bar."""
        return self.case.patient_id


def predict_masks(
    cohort: Cohort,
    out: Path | str,
    *,
    settings: SegmentationSettings | None = None,
    sequences: Items[str] | None = None,
    segmenter: Segmenter | None = None,
    progress: bool = True,
) -> PredictedMasks:
    """Predict the primary tumor of every patient.

    Parameters
    ----------
    cohort : Cohort
        All images of a patient are looked at, also those of sequences that have a mask.
    out : path
        Gets ``NNN/ROI-{T1,T2,CE-T1}.nii.gz`` on the grid of each image, and beside each a ``.json`` that
        says which model made it from what.
    settings : SegmentationSettings, optional
        Model, device, flips, for whom (``when``), probabilities, variations along the uncertainty.
    sequences : sequence of str, optional
        Those that shall have masks; by default the cohort's.
    segmenter : Segmenter, optional
        A model in memory, instead of that of the settings.
    progress : bool
        Show how far it is.

    Returns
    -------
    PredictedMasks
        A mask made before of the same images by the same model with the same options is taken as it is;
        so is one that was edited or drawn by hand in ``out``, until its file is deleted.

    Raises
    ------
    ConfigError
        torch is not installed, or the device is not there.
    ModelFileError
        The model is absent, damaged or altered. Faults of a patient raise nothing: they are listed.

    Examples
    --------
    >>> predict_masks(Cohort(cases=(), sequences=("t1",)), Path("masks"))
    <PredictedMasks: 0 masks of 0 patients, 0 failed>
    """
    settings = settings or SegmentationSettings()
    wanted = tuple(sequences if sequences is not None else cohort.sequences)
    if segmenter is None and any(_needed(case, wanted, settings) for case in cohort.cases):
        segmenter = _load(settings)
    work = _each(cohort, Path(out), settings, wanted, segmenter)
    done = list(track(work, "segment", len(cohort))) if progress else list(work)
    rows = [row for one in done for row in one.rows]
    failures = [row for one in done for row in one.failures]
    variations = (
        replace(cohort, cases=tuple(one.variations[k] if one.variations else one.case for one in done))
        for k in range(settings.uncertainty)
    )
    return PredictedMasks(
        replace(cohort, cases=tuple(one.case for one in done)),
        pd.DataFrame(rows, columns=TABLE_COLUMNS),
        pd.DataFrame(failures, columns=FAILURE_COLUMNS),
        tuple(variations),
        sum(one.reused for one in done),
        segmenter is not None and segmenter.simulated,
    )


def _load(settings: SegmentationSettings) -> Segmenter:
    require_torch()
    from radiomics_npc.segmentation.prediction import load_segmenter

    return load_segmenter(settings.model, settings.device)


def _needed(case: Case, wanted: Items[str], settings: SegmentationSettings) -> list[Sequence]:
    """Sequences of a patient that shall have a predicted mask."""
    there = [name for name in SEQUENCES if name in wanted and name in case.images]
    return [name for name in there if settings.when == "always" or case.images[name].mask is None]


def _each(
    cohort: Cohort, out: Path, settings: SegmentationSettings, wanted: Items[str], segmenter: Segmenter | None
) -> Iterator[_Done]:
    for case in cohort.cases:
        needed = _needed(case, wanted, settings)
        if not needed:
            yield _Done(case)
            continue
        assert segmenter is not None
        folder = out / folder_name(case.patient_id)
        try:
            yield _predict_case(case, needed, folder, settings, segmenter)
        except Exception as error:  # noqa: BLE001 - a fault of one patient must not stop the others
            without = replace(case, images=_with_masks(case, dict.fromkeys(needed)))
            yield _Done(without, failures=_failures(case, needed, error))


def _predict_case(
    case: Case, needed: list[Sequence], folder: Path, settings: SegmentationSettings, segmenter: Segmenter
) -> _Done:
    key = mask_key(case, settings, segmenter)
    edited = [name for name in needed if is_edited(mask_path(folder, name))]
    records = {name: read_record(mask_path(folder, name)) or {} for name in needed}
    done = [name for name in needed if name in edited or is_done(folder, name, key, settings)]

    def left(seen: list[Sequence]) -> list[Sequence]:
        """Masks to be made where these sequences can be seen: also those made when fewer could be."""
        old = [n for n in done if n in edited or records[n].get("sequences") == seen]
        return [name for name in needed if name in seen and name not in old]

    readable = [name for name in SEQUENCES if name in case.images]
    failures: list[dict[str, str]] = []
    if left(readable):
        images, failures = _read(case)
        readable = list(images)
    if open_ := left(readable):
        made = segmenter.predict(images, flips=settings.flips, samples=settings.uncertainty)
        for name in open_:
            records[name] = write_prediction(made, name, folder, key, settings, segmenter)
    there = [name for name in needed if name in edited or name in readable]
    rows = [_row(case, name, records[name], name in edited) for name in there]
    # the slices of one sequence may miss a tumor that another shows
    empty = [row["sequence"] for row in rows if row.get("volume_cm3") == 0]
    masks = {n: mask_path(folder, n) if n in there and n not in empty else None for n in needed}
    with_masks = replace(case, images=_with_masks(case, masks))
    varied = _varied(case, masks, edited, settings.uncertainty)
    failures += _failures(case, empty, _EMPTY)
    return _Done(with_masks, rows, failures, varied, reused=bool(rows) and not open_)


def _varied(
    case: Case, masks: Mapping[Sequence, Path | None], edited: list[Sequence], count: int
) -> tuple[Case, ...]:
    """The patient with each variation of his masks; an edited one is the same in all."""
    return tuple(
        replace(case, images=_with_masks(case, {
            name: path if path is None or name in edited else variation_paths(path, count)[k]
            for name, path in masks.items()
        }))
        for k in range(count)
    )  # fmt: skip


def _read(case: Case) -> tuple[dict[Sequence, Volume], list[dict[str, str]]]:
    """Images that can be looked at, and a failure for each of the others: any one will do."""
    from radiomics_npc.segmentation.network_grid import check_image

    images: dict[Sequence, Volume] = {}
    failures: list[dict[str, str]] = []
    for name in (name for name in SEQUENCES if name in case.images):
        try:
            volume = read_image(case.images[name].image, case.images[name].series)
            check_image(name, volume)
            images[name] = volume
        except Exception as error:  # noqa: BLE001 - a fault of one image must not cost the others
            failures += _failures(case, [name], error)
    return images, failures


def _failures(case: Case, names: Items[str], error: Exception) -> list[dict[str, str]]:
    return [failure_row(case.patient_id, name, "predict", error) for name in names]


def _row(case: Case, name: str, record: dict[str, Any], edited: bool) -> dict[str, Any]:
    row = {"patient_id": case.patient_id, "sequence": name}
    if edited:
        # what was said of the prediction is not true of what somebody made of it
        return row | {"flags": "edited"}
    scores = {score: record[score] if record[score] is not None else float("nan") for score in SCORES}
    kept = {name: record[name] for name in ("volume_cm3", "device", "seconds")}
    return row | scores | kept | {"flags": "; ".join(record["flags"])}


def _with_masks(case: Case, masks: Mapping[Any, Path | None]) -> dict[str, ImageFiles]:
    return {
        name: replace(files, mask=masks[name], label=None) if name in masks else files
        for name, files in case.images.items()
    }
