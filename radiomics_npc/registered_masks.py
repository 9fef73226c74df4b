"""Masks of a study that were drawn on one sequence and moved to the others by registration.

Off by default. Where each sequence has its own contour, features come from each sequence's own grid and
contour: a mask carried over half a slice of 5.5 mm had a Dice coefficient of 0.62 with one drawn there, and
linear resampling of the image instead cut its in-plane texture by 15 to 51%. So a sequence with a mask of
its own keeps it here, no image is resampled, and a moved mask lies on the grid of the image that is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.failures import FAILURE_COLUMNS
from radiomics_npc.cohort.findings import CheckReport, Finding
from radiomics_npc.errors import ImageError
from radiomics_npc.imaging.reading import read_image, read_mask
from radiomics_npc.imaging.registration import move_image
from radiomics_npc.imaging.registration_quality import FLAGS
from radiomics_npc.imaging.registration_result import Registration
from radiomics_npc.nomogram.style import save_figure
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.registered_cases import MoveJob, move_case, needs_mask
from radiomics_npc.report.registration_figure import BoardPair, registration_figure
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.segmentation.mask_files import read_record
from radiomics_npc.settings import RegistrationSettings
from radiomics_npc.storage import content_key, file_digest, write_table

__all__ = ["RegisteredMasks", "register_cohort", "register_masks"]

_COLUMNS: Final = [
    "patient_id", "sequence", "masks_from", "mask", "method", "interpolation", "metric_before",
    "metric_after", "mutual_information_before", "mutual_information_after", "body_dice_before",
    "body_dice_after", "covered", "return_mm", "least_jacobian", "translation_mm", "rotation_degrees",
    "volume_before_cm3", "volume_cm3", "flags", "seconds",
]  # fmt: skip
#: Registrations on the picture, those with flags first.
_SHOWN: Final = 6


@dataclass(frozen=True, eq=False)
class RegisteredMasks:
    """A cohort with moved masks.

    Parameters
    ----------
    cohort : Cohort
        Sequences that had no mask have that of another one on their own grid; none where it failed.
    table : DataFrame
        One row a moved mask: patient_id, sequence, masks_from, mask (path), method, interpolation,
        metric_before, metric_after (nats), what :class:`RegistrationQuality` holds, translation_mm (of
        the middle of the image), rotation_degrees, volumes, flags (several separated by semicolons),
        seconds.
    failures : DataFrame
        As those of the features.
    """

    cohort: Cohort
    table: pd.DataFrame
    failures: pd.DataFrame

    def findings(self) -> list[Finding]:
        """Flags and failures as warnings of the check."""
        found = [
            Finding.warning(f"moved mask: {FLAGS[code].sentence}", FLAGS[code].remedy,
                            str(row.patient_id), str(row.sequence), Path(str(row.mask)).name)
            for row in self.table.itertuples()
            for code in str(row.flags).split("; ")
            if code in FLAGS
        ]  # fmt: skip
        found += [
            Finding.warning(f"no mask could be moved here: {row.message}", str(row.remedy),
                            str(row.patient_id), str(row.sequence))
            for row in self.failures.itertuples()
        ]  # fmt: skip
        return found

    def to_frame(self) -> pd.DataFrame:
        """One row a moved mask; says so if the patients are simulated."""
        return self.table.assign(simulated=True) if self.cohort.simulated else self.table

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, float_format="{:.3f}".format)


def register_masks(
    cohort: Cohort,
    out: Path | str,
    *,
    settings: RegistrationSettings | None = None,
    jobs: int = 0,
    random_state: int = 0,
) -> RegisteredMasks:
    """Give sequences without a mask that of another sequence of the same patient, moved along with it.

    Parameters
    ----------
    cohort : Cohort
    out : path
        Gets ``NNN/ROI-{T1,T2,CE-T1}.nii.gz`` on the grid of each image, and beside each a ``.json`` with
        the registration.
    settings : RegistrationSettings, optional
        Whose masks, how they are registered and moved.
    jobs : int
        Processes; 0 takes all cores.
    random_state : int
        Of the searches.

    Returns
    -------
    RegisteredMasks
        A mask made before from the same images, mask and settings is taken as it is; so is one that was
        edited or drawn by hand in ``out``, until its file is deleted. Faults of a patient raise nothing:
        they are listed.

    Examples
    --------
    >>> register_masks(Cohort(cases=(), sequences=("t1", "ce_t1")), Path("masks"), jobs=1).table.empty
    True
    """
    settings, out = settings or RegistrationSettings(), Path(out).absolute()
    wanted = [case for case in cohort.cases if needs_mask(case, settings)]
    work = [MoveJob(case, settings, out, cohort.on_mismatch, random_state) for case in wanted]
    done = {
        one.case.patient_id: one
        for one in track(map_cases(move_case, work, jobs=jobs), "register", len(work))
    }
    ordered = [done[case.patient_id] for case in wanted]  # as the cohort has them, however they came
    cases = tuple(done[c.patient_id].case if c.patient_id in done else c for c in cohort.cases)
    return RegisteredMasks(
        replace(cohort, cases=cases),
        pd.DataFrame([row for one in ordered for row in one.rows], columns=_COLUMNS),
        pd.DataFrame([row for one in ordered for row in one.failures], columns=FAILURE_COLUMNS),
    )


def register_cohort(
    cohort: Cohort,
    settings: RegistrationSettings,
    run: RunFolder,
    report: CheckReport,
    *,
    jobs: int = 0,
    random_state: int = 0,
) -> RegisteredMasks:
    """Move masks and write what a study keeps of it.

    Parameters
    ----------
    cohort, settings, jobs, random_state
        As in :func:`register_masks`.
    run : RunFolder
        Gets ``masks``, ``tables/registration.csv``, ``figures/registration.png``, ``failures.csv``, the
        flags in ``check.csv`` and ``check.html``, and an entry in ``run.json``.
    report : CheckReport
        Of the check.

    Returns
    -------
    RegisteredMasks
        Its table names masks within the run folder.
    """
    made = register_masks(cohort, run.path / "masks", settings=settings, jobs=jobs, random_state=random_state)
    if made.table.empty:
        run.forget_registration()  # what an earlier run moved
    CheckReport([*report.findings, *made.findings()], report.image_quality).write(run.path)
    shown = _draw(made, run)
    table = made.table.assign(mask=[_within(path, run.path) for path in made.table["mask"]])
    said = {
        **settings.model_dump(), "masks": len(table), "seconds": round(float(table["seconds"].sum()), 1),
        "figure": shown,
    }  # fmt: skip
    # the time differs between runs that give the same masks
    made = replace(made, table=table.drop(columns="seconds"))
    write_table(run.tables / "registration.csv", made.to_frame())
    write_table(run.path / "failures.csv", made.failures)
    run.record(registration=said if len(table) else None)
    return made


def _within(path: Path, folder: Path) -> str:
    return Path(path).relative_to(folder.absolute()).as_posix()


def _draw(made: RegisteredMasks, run: RunFolder) -> str | None:
    """The picture of the registrations, unless the same one is there; its key."""
    rows = made.table[made.table["flags"] != "edited"]
    flagged = rows["flags"] != ""
    rows = pd.concat([rows[flagged], rows[~flagged]]).head(_SHOWN)
    key = content_key([[file_digest(path) for path in rows["mask"]], list(rows["flags"]), _SHOWN])
    picture = run.figures / "registration.png"
    if (run.read_record().get("registration") or {}).get("figure") == key and picture.exists():
        return key
    picture.unlink(missing_ok=True)
    pairs = [_boards(made.cohort, dict(row)) for _, row in rows.iterrows()]
    if not pairs:
        return None
    save_figure(registration_figure(pairs, simulated=made.cohort.simulated), picture)
    return key


def _boards(cohort: Cohort, row: dict[str, Any]) -> BoardPair:
    """One registration on the slice that shows most of the mask."""
    images = next(case.images for case in cohort.cases if case.patient_id == row["patient_id"])
    fixed_files, moving_files = images[row["sequence"]], images[row["masks_from"]]
    record = read_record(row["mask"])
    if record is None:
        raise ImageError("the record of a moved mask is gone", "Run again.")
    registration = Registration.from_dict(record["registration"])
    fixed = read_image(fixed_files.image, fixed_files.series)
    moving = read_image(moving_files.image, moving_files.series)
    mask = read_mask(row["mask"]).array
    place = int(mask.sum(axis=(1, 2)).argmax())
    unmoved, moved = (
        move_image(moving, one, fixed).array[place] for one in (Registration("rigid"), registration)
    )
    return BoardPair(
        fixed.array[place], unmoved, moved, mask[place], (fixed.spacing_mm[1], fixed.spacing_mm[0]),
        row["masks_from"], row["sequence"], row["flags"],
    )  # fmt: skip
