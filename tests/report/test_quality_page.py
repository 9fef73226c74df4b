"""The page of contours: who comes first, where the outline lies, what it says, what it must not hold."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from PIL import Image

from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.report import quality_images as images_module
from radiomics_npc.report import quality_page as page_module
from radiomics_npc.report.montage import cohort_montage
from radiomics_npc.report.quality_images import PictureJob, outline_path, picture_case
from radiomics_npc.report.quality_page import write_quality_page

NASTY = "<script>alert('x')</script>\" onload=\"1"
SHAPE = (5, 200, 160)
SPACING = (0.75, 0.75, 5.0)  # which float32 headers hold exactly


def _files(folder: Path, *, corner=(90, 60), size=(20, 30), direction=None, empty=False) -> ImageFiles:
    """An image of noise with a bright box on slices 1 to 3, largest on slice 2, and its mask."""
    folder.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(SHAPE, np.uint8)
    (row, column), (rows, columns) = corner, size
    for k, less in ((1, 4), (2, 0), (3, 4)):
        mask[k, row : row + rows - less, column : column + columns - less] = 1
    image = np.random.default_rng(1).normal(100, 20, SHAPE) + np.arange(SHAPE[2]) / 4 + 200 * mask
    for name, array in (("image", image.astype(np.float32)), ("mask", mask * (not empty))):
        made = sitk.GetImageFromArray(array)
        made.SetSpacing(SPACING)
        if direction is not None:
            made.SetDirection(direction)
        sitk.WriteImage(made, str(folder / f"{name}.nii.gz"))
    return ImageFiles(folder / "image.nii.gz", folder / "mask.nii.gz")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Cohort:
    folder = tmp_path_factory.mktemp("images")
    good = _files(folder / "good")
    bad = _files(folder / "bad", empty=True)
    cases = (
        Case("001", {"t1": good, "t2": good}),
        Case("002", {"t1": good, "t2": good}),
        Case("003", {"t1": good, "t2": bad}),
        Case("004", {"t1": good}),
        Case(NASTY, {"t1": good, "t2": good}),
        Case("clinical only", {}),
    )
    return Cohort(cases, sequences=("t1", "t2"), simulated=True)


@pytest.fixture(scope="module")
def written(cohort, tmp_path_factory) -> tuple[str, dict[str, int]]:
    path = tmp_path_factory.mktemp("page") / "quality.html"
    findings = pd.DataFrame(
        [("warning", "002", "t1", "mask.nii", "implausible volume: 0.01 cm3", "Check the contour."),
         ("info", "001", "", "T", NASTY, ""), ("warning", "", "", "", "of nobody in particular", "")],
        columns=["severity", "patient_id", "sequence", "where", "problem", "remedy"],
    )  # fmt: skip
    failures = pd.DataFrame(
        [("003", "t2", "read", "MaskError", "mask.nii.gz is empty: nothing is drawn", "Draw it.")],
        columns=["patient_id", "sequence", "stage", "error", "message", "remedy"],
    )
    flags = pd.DataFrame(
        {"patient_id": [NASTY, "001"], "sequence": ["t2", "t1"], "flags": ["low_confidence; empty", "edited"]}
    )
    found = write_quality_page(
        cohort, path, title=NASTY, failures=failures, findings=findings, flags=flags, jobs=1
    )
    return path.read_text(encoding="utf-8"), found


def test_those_who_want_a_look_come_first(written):
    page, found = written
    assert found == {"patients": 5, "failed": 2, "flagged": 2}
    order = [page.index(f">{name}</h3>") for name in ("003", "004", "002", "001")]
    assert order == sorted(order)
    assert [int(n) for n in re.findall(r"<h2 [^>]*>[^<]*: (\d+)</h2>", page)] == [2, 2, 1]
    assert page.count("<article") == 5
    assert "clinical only" not in page


def test_failures_flags_and_findings_are_said_once_each(written):
    page, _ = written
    text = re.sub(r"base64,[^\"]+", "", page)
    assert text.count("implausible volume") == 1
    assert text.count("there is no image of this sequence") == 2  # under the picture, and as a failure
    assert text.count("is empty: nothing is drawn") == 2
    assert "the mean probability inside the mask is below" in text
    assert "of nobody in particular" not in text


def test_hostile_names_are_escaped_and_nothing_comes_from_outside(written):
    page, _ = written
    assert "<script" not in page
    assert 'onload="1' not in page
    assert "&lt;script&gt;" in page
    links = re.findall(r"""(?:src|href|action|data)\s*=\s*["']([^"']*)""", page)
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)
    assert not re.search(r"@import|url\(|https?:", page)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'(?:href="#|aria-labelledby=")([^"]+)"', page):
        assert target in ids


def test_html_is_balanced(written):
    class Balance(HTMLParser):
        stack: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "br"}:
                self.stack.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag

    Balance().feed(written[0])
    assert Balance.stack == []


def test_simulated_patients_are_announced(written):
    assert "SIMULATED PATIENTS" in written[0]


def test_the_outline_lies_where_the_tumor_is(cohort):
    """The bright box of the picture is the outlined one, in millimeters."""
    part = picture_case(PictureJob(cohort.cases[0], ("t1",), pixels=400)).slices[0]
    assert part.place == "slice 3 of 5"
    assert part.left == "R"
    assert part.volume_cm3 == pytest.approx((20 * 30 + 2 * 16 * 26) * 0.75 * 0.75 * 5 / 1000, rel=1e-12)
    picture = np.asarray(Image.open(io.BytesIO(part.jpeg)), float)
    height, width = picture.shape
    x, _, w, h = part.box_mm
    assert (w / width, h / height) == pytest.approx(part.scale_mm, rel=1e-12)
    rows, columns = np.nonzero(picture > 160)  # the box is twice as bright as the noise
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == _ends(part.outline)
    # the tumor is in the middle of the field
    middle = x + (columns.min() + columns.max() + 1) / 2 * part.scale_mm[0]
    assert middle == pytest.approx(part.field_mm / 2, abs=1e-9)


def _ends(path: str) -> tuple[int, int, int, int]:
    points = [
        (int(a), int(b), kind, int(n)) for a, b, kind, n in re.findall(r"M(\d+) (\d+)([hv])(\d+)", path)
    ]
    xs = [x + (n if kind == "h" else 0) for x, _, kind, n in points] + [x for x, *_ in points]
    ys = [y + (n if kind == "v" else 0) for _, y, kind, n in points] + [y for _, y, *_ in points]
    return min(xs), max(xs), min(ys), max(ys)


def test_images_are_turned_upright(tmp_path, monkeypatch):
    """The same patient stored with columns running to the right, or rows and columns exchanged."""
    monkeypatch.setattr(images_module, "_QUALITY", 97)
    plain = picture_case(PictureJob(Case("a", {"t1": _files(tmp_path / "a")}), ("t1",))).slices[0]
    flipped = _files(tmp_path / "b", direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1))
    mirrored = picture_case(PictureJob(Case("b", {"t1": flipped}), ("t1",))).slices[0]
    image = np.asarray(Image.open(io.BytesIO(plain.jpeg)), int)
    other = np.asarray(Image.open(io.BytesIO(mirrored.jpeg)), int)
    assert other.shape == image.shape
    assert np.corrcoef(other.ravel(), image[:, ::-1].ravel())[0, 1] > 0.995  # what JPEG loses
    assert np.corrcoef(other.ravel(), image.ravel())[0, 1] < 0.9
    turned = _files(tmp_path / "c", direction=(0, 1, 0, 1, 0, 0, 0, 0, 1))
    exchanged = picture_case(PictureJob(Case("c", {"t1": turned}), ("t1",))).slices[0]
    assert exchanged.box_mm[2:] == pytest.approx(plain.box_mm[3:1:-1])
    coronal = _files(tmp_path / "d", direction=(1, 0, 0, 0, 0, 1, 0, -1, 0))
    assert picture_case(PictureJob(Case("d", {"t1": coronal}), ("t1",))).slices[0].place.startswith("coronal")


def test_a_large_tumor_gets_a_wider_field_that_is_stated(tmp_path):
    case = Case("big", {"t1": _files(tmp_path, corner=(20, 10), size=(150, 140))})
    part = picture_case(PictureJob(case, ("t1",))).slices[0]
    assert part.field_mm == 140
    write_quality_page(Cohort((case,), sequences=("t1",)), tmp_path / "q.html", jobs=1)
    assert "field 140 mm" in (tmp_path / "q.html").read_text(encoding="utf-8")


def test_masks_drawn_by_hand_are_shown_beside_the_measured_ones(cohort, tmp_path):
    drawn = Cohort((Case("001", {"t1": _files(tmp_path / "d", corner=(95, 65))}),), sequences=("t1",))
    one = Cohort(cohort.cases[:1], sequences=("t1",))
    write_quality_page(one, tmp_path / "q.html", drawn=drawn, jobs=1)
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert page.count('<path class="d"') == page.count('<path class="o"') == 1
    assert "drawn by hand" in page


def test_the_montage_shows_the_same_cut_and_names_nobody(cohort):
    figure = cohort_montage(cohort, ["001", "002"], most=1)
    shown = figure.axes[0].images[0]
    part = picture_case(PictureJob(cohort.cases[0], ("t1",))).slices[0]
    assert shown.get_extent()[1:3] == pytest.approx(part.box_mm[2:])
    assert [axes.get_title() for axes in figure.axes] == ["T1", "T2"]
    assert cohort_montage(cohort, []) is None


def test_outlines_have_holes_and_parts():
    mask = np.zeros((5, 6), bool)
    mask[1:4, 1:4] = True
    mask[2, 2] = False
    mask[0, 5] = True
    edges = sum(int(n) for n in re.findall(r"[hv](\d+)", outline_path(mask)))
    assert edges == 12 + 4 + 4
    assert outline_path(np.zeros((3, 3), bool)) == ""


def test_pictures_shrink_until_the_page_is_small_enough(cohort, tmp_path, monkeypatch):
    one = Cohort(cohort.cases[:2], sequences=("t1", "t2"))
    write_quality_page(one, tmp_path / "large.html", jobs=1)
    large = (tmp_path / "large.html").stat().st_size
    monkeypatch.setattr(page_module, "MOST_BYTES", large - 8_000)
    write_quality_page(one, tmp_path / "small.html", jobs=1)
    page = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert len(page) <= large - 8_000
    assert page.count("data:image/jpeg") == 4
    first = base64.b64decode(re.findall(r"base64,([^\"]+)", page)[0])
    assert min(Image.open(io.BytesIO(first)).size) >= 72


def test_three_hundred_patients_fit(cohort):
    """By the largest pictures that 900 of them may have: MR noise, the worst there is for JPEG."""
    part = picture_case(PictureJob(cohort.cases[0], ("t1",), pixels=page_module._pixels(900))).slices[0]
    each = len(part.jpeg) * 4 / 3 + len(part.outline) + 900
    assert 900 * each < page_module.MOST_BYTES * 1.6  # the rest is shrunk after measuring


def test_the_same_bytes_every_time(cohort, tmp_path):
    one = Cohort(cohort.cases[:2], sequences=("t1", "t2"))
    for name, jobs in (("a", 1), ("b", 1)):
        write_quality_page(one, tmp_path / name, jobs=jobs)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert str(tmp_path) not in (tmp_path / "a").read_text(encoding="utf-8")
