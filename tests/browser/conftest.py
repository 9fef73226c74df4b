"""A real browser, and the pages that the package writes.

Chromium is the one that is installed: nothing is downloaded. Each page is watched from its
opening to its end: it must say nothing to the console, raise nothing, and ask for no file but itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.findings import CheckReport, Finding
from radiomics_npc.dataset.agreement import compare_masks
from radiomics_npc.dataset.describe import describe
from radiomics_npc.dataset.evaluate import evaluate_folders
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.page import nomogram_page
from radiomics_npc.report.checklist_page import checklists_html
from radiomics_npc.report.checklists import fill_checklists
from radiomics_npc.report.html import report_html
from radiomics_npc.report.quality_page import write_quality_page
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.groups import RiskGroups
from tests.report import conftest as report_content

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP, PHONE = (1400, 900), (390, 844)
NASTY = report_content.NASTY

gbsg = report_content.gbsg
model = report_content.model
curves = report_content.curves
whole_content = report_content.whole_content


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium a module: its event loop must not outlive the module, or nothing else could have one."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pages are not opened in a browser"
    )
    if CHROMIUM is None:
        pytest.skip("no chromium is installed: pages are not opened in a browser")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"], timeout=120_000
        )
        yield started
        started.close()


@dataclass
class Watch:
    """What a page said, raised and asked for."""

    own: str
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def over(self, page: Any) -> None:
        page.on("console", lambda message: self.told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.told.append(f"raised: {error}"))
        page.on("request", lambda request: self.asked.append(request.url.split("#")[0]))


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Callable[..., Any]]:
    """Opens a page by name in a window of its own; afterwards none may have said or asked for anything."""
    windows, watches = [], []

    def opens(name: str, *, size: tuple[int, int] = DESKTOP, **options: Any) -> Any:
        window = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        window.set_default_timeout(60_000)
        windows.append(window)
        page, watch = window.new_page(), Watch(pages[name].as_uri())
        watch.over(page)
        watches.append(watch)
        page.goto(watch.own)
        return page

    yield opens
    for window in windows:
        window.close()
    for watch in watches:
        assert watch.told == []
        assert set(watch.asked) == {watch.own}


@pytest.fixture
def unwatched(browser: Any, pages: dict[str, Path]) -> Iterator[Callable[[str], tuple[Any, Watch]]]:
    """The same for what a page must refuse: returns what it said, and does not judge it."""
    window = browser.new_context()

    def opens(name: str) -> tuple[Any, Watch]:
        page, watch = window.new_page(), Watch(pages[name].as_uri())
        watch.over(page)
        page.goto(watch.own)
        return page, watch

    yield opens
    window.close()


@pytest.fixture(scope="session")
def cox(gbsg) -> CoxModel:
    """A factor, two numbers and a spline."""
    X, y = gbsg
    return CoxModel(min_category=1, splines={"lognodes": 3}).fit(X[["age", "size", "grade", "lognodes"]], y)


@pytest.fixture(scope="session")
def nomogram(gbsg, cox) -> Nomogram:
    """With risk groups, two horizons and the median."""

    class Grouped:
        cox_, groups_ = cox, RiskGroups("tertiles").fit(cox.predict_risk(gbsg[0]))

    return Nomogram.from_model(Grouped(), [36, 60], quantiles=[0.5])


def _image(folder: Path, *, empty: bool = False) -> ImageFiles:
    mask = np.zeros((3, 64, 64), np.uint8)
    mask[1, 20:40, 25:45] = not empty
    image = np.random.default_rng(1).normal(100, 20, mask.shape).astype(np.float32) + 100 * mask
    for name, array in (("image", image), ("mask", mask)):
        made = sitk.GetImageFromArray(array)
        made.SetSpacing((0.75, 0.75, 5.0))
        folder.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(made, str(folder / f"{name}.nii.gz"))
    return ImageFiles(folder / "image.nii.gz", folder / "mask.nii.gz")


def _quality(folder: Path) -> Path:
    good, bad = _image(folder / "good"), _image(folder / "bad", empty=True)
    cases = [Case(name, {"t1": good, "t2": good, "ce_t1": good}) for name in ("001", "002", NASTY)]
    cases.append(Case("004", {"t1": good, "t2": bad}))
    findings = pd.DataFrame(
        [("warning", "002", "t1", "mask.nii", "implausible volume: 0.01 cm3", "Check the contour."),
         ("info", "001", "", "T", NASTY, "")],
        columns=["severity", "patient_id", "sequence", "where", "problem", "remedy"],
    )  # fmt: skip
    cohort = Cohort(tuple(cases), sequences=("t1", "t2", "ce_t1"), simulated=True)
    write_quality_page(cohort, folder / "quality.html", findings=findings, jobs=1)
    return folder / "quality.html"


def _check(folder: Path) -> Path:
    long = "ROI-" + "with-a-long-name-" * 4 + "T2.nii"
    found = [
        Finding.error("mask is empty: nothing is drawn", "Draw it again.", "007", "t2", long),
        Finding.warning("implausible volume: 0.01 cm3", "Check the contour.", "012", "t1", "ROI-T1.nii"),
        Finding.info(f"T3 (2) read as T3 in 2 patients {NASTY}", where="T"),
    ]
    return CheckReport(found).write(folder)[1]


def _data_set(folder: Path) -> dict[str, Path]:
    """A cohort beside the published one, and two raters: with what is missing, failed and unmatched."""
    cases = [Case(f"{k:03d}", {"t1": _image(folder / f"{k}", empty=k == 4)}) for k in range(1, 5)]
    clinical = pd.DataFrame(
        {"stage": ["I", "IVA", "IVC", None], "T": ["T1", "T4", "T2", "T3"], "N": ["N0", "N1", "N3", "N1"],
         "M": ["M0"] * 4, "sex": ["male", None, "female", "male"], "pathology": [NASTY] * 4,
         "age": [15.0, 50.0, 40.0, 60.0]},
        index=[case.patient_id for case in cases],
    )  # fmt: skip
    cohort = Cohort(tuple(cases), clinical, sequences=("t1",), simulated=True)
    described = describe(cohort, jobs=1, progress=False).write(folder / "description")
    other = [Case(c.patient_id, {"t1": _image(folder / f"other {c.patient_id}")}) for c in cases[1:]]
    raters = [Cohort(tuple(who), sequences=("t1",), simulated=True) for who in (cases, other)]
    agreed = compare_masks(*raters, names=(NASTY, "rater 2"), jobs=1, progress=False)
    paths = [*described, *agreed.write(folder / "agreement")]
    return {path.stem: path for path in paths if path.suffix == ".html"}


def _evaluation(folder: Path) -> Path:
    """Three methods on four cases: one prediction missing, one damaged, one without reference."""
    methods = {"A method with a long name": "a", NASTY: "b", "C": "c"}
    for shift, name in enumerate(("reference", *methods.values())):
        for case in range(5 if name == "c" else 4):
            array = np.zeros((4, 40, 40), dtype=np.uint8)
            array[1:3, 10:30, 8 + shift : 22 + shift - case], array[2, 4:8, 30 : 32 + shift] = 1, 2
            (folder / name).mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / name / f"{case}.nii"))
    (folder / "c" / "0.nii").unlink()
    (folder / "c" / "1.nii").write_bytes(b"")
    (folder / "reference" / "dataset.json").write_text(
        '{"simulated": true, "labels": {"GTVp": 1, "GTVnd": 2}}'
    )
    found = evaluate_folders(
        {name: folder / part for name, part in methods.items()}, folder / "reference", jobs=1, progress=False,
        resamples=50,
    )  # fmt: skip
    return found.write(folder.parent / "evaluated")[-1]


@pytest.fixture(scope="session")
def pages(nomogram, whole_content, tmp_path_factory) -> dict[str, Path]:
    """Every page that a study writes, by name."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {
        "nomogram": nomogram_page(nomogram),
        "report": report_html(whole_content),
        "checklists": checklists_html(fill_checklists(whole_content), whole_content),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    made = {name: folder / f"{name}.html" for name in texts}
    made |= {"evaluation": _evaluation(folder / "masks")}
    return made | _data_set(folder) | {"quality": _quality(folder), "check": _check(folder)}
