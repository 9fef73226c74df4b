"""Pictures of a study that are drawn while it runs: outlines on images, and the nomogram."""

from __future__ import annotations

from typing import Any

from radiomics_npc.cohort.cases import Cohort
from radiomics_npc.cohort.findings import CheckReport
from radiomics_npc.contours import PredictedContours
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.style import save_figure
from radiomics_npc.nomogram.worked_patient import typical_patient
from radiomics_npc.report.montage import cohort_montage
from radiomics_npc.report.quality_page import write_quality_page
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.settings import NomogramSettings, StudySettings
from radiomics_npc.storage import read_table
from radiomics_npc.survival.models.model_file import load_model

__all__ = ["draw_montage", "draw_nomogram", "draw_quality"]

_MADE_UP = "The patient is made up of medians and most frequent levels: no real one."


def draw_montage(cohort: Cohort, features: FeatureTable, run: RunFolder, drawn: Cohort | None = None) -> None:
    """Picture of sample patients, drawn while the images are at hand: the report is made without them.

    Parameters
    ----------
    cohort : Cohort
        With the masks that were measured.
    features : FeatureTable
        Patients with a failure are not shown.
    run : RunFolder
    drawn : Cohort, optional
        With the masks drawn by hand, where those measured were predicted.
    """
    sound = features.to_frame().index.difference(list(features.failures["patient_id"]))
    figure = cohort_montage(cohort, list(sound), drawn=drawn)
    if figure is not None:
        save_figure(figure, run.figures / "montage.png")


def draw_quality(
    cohort: Cohort,
    features: FeatureTable,
    report: CheckReport,
    settings: StudySettings,
    run: RunFolder,
    contours: PredictedContours | None = None,
) -> None:
    """Write quality.html, on which every contour can be looked at, unless the study turns it off.

    Parameters
    ----------
    cohort : Cohort
        With the masks that were measured.
    features : FeatureTable
        What failed is said on the page.
    report : CheckReport
        What the check noticed is said, too.
    settings : StudySettings
    run : RunFolder
    contours : PredictedContours, optional
        Flags of predicted masks, and those drawn by hand.
    """
    page = run.path / "quality.html"
    if not settings.quality_page:
        page.unlink(missing_ok=True)
        run.record(quality=None)
        return
    with run.stage("quality"):
        found = write_quality_page(
            cohort, page, title=settings.name, failures=features.failures, findings=report.to_frame(),
            flags=None if contours is None else contours.table,
            drawn=None if contours is None else contours.drawn, jobs=settings.jobs,
        )  # fmt: skip
        run.record(quality=found)


def draw_nomogram(wanted: NomogramSettings, run: RunFolder) -> bool:
    """Write nomogram.html, the figure and its tables, and the figure with a worked example.

    Parameters
    ----------
    wanted : NomogramSettings
    run : RunFolder

    Returns
    -------
    bool
        False if nothing in the model changes the risk: the log says so.
    """
    model = load_model(run.models / wanted.model)
    for old in run.figures.glob("nomogram_example.*"):
        old.unlink()
    try:
        nomogram = Nomogram.from_model(model, horizons=wanted.horizons_months, quantiles=wanted.quantiles)
        nomogram.write(run.path)
        _draw_example(nomogram, model, run)
    except (CohortError, HorizonError) as error:
        run.log(f"no nomogram of {wanted.model}: {error}")
        return False
    return True


def _draw_example(nomogram: Nomogram, model: Any, run: RunFolder) -> None:
    """The nomogram with the analyzed patients over its axes and a patient who is made up of their medians."""
    table = read_table(run.tables / "design_matrix.parquet").set_index("patient_id")
    cohort = model.design(table)
    figure = nomogram.draw(patient=typical_patient(nomogram, cohort), cohort=cohort, caption=_MADE_UP)
    for kind in ("svg", "pdf", "png"):
        save_figure(figure, run.figures / f"nomogram_example.{kind}")
