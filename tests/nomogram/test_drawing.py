"""The figure: nothing covers anything, a worked patient is read rightly, a cohort leaves nothing behind."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.distributions import distributions
from radiomics_npc.nomogram.label_places import estimated_room, staggered_ticks
from radiomics_npc.nomogram.layout import layout
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.style import save_figure
from radiomics_npc.nomogram.worked_patient import patient_marks, typical_patient
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.settings import NomogramSettings
from radiomics_npc.storage import write_table
from radiomics_npc.study_figures import draw_nomogram
from radiomics_npc.survival.design import Term
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.model_file import save_model
from radiomics_npc.survival.models.prognostic import PrognosticModel


@pytest.fixture(scope="module")
def crowded(factor):
    """Twelve variables: long names, axes of nearly no length, many levels at one place."""
    kinds = {
        "Keratinizing squamous cell carcinoma": 0, "Differentiated non-keratinizing": 0.1,
        "Undifferentiated non-keratinizing carcinoma": 0.12, "Basaloid squamous": 0.5,
        "Not otherwise specified, biopsy taken in another hospital": 0.51,
    }  # fmt: skip
    treatments = {
        "Radiotherapy alone": 0.4, "Concurrent chemoradiotherapy": 0.2, "INDUCTION WWWW": 0.18,
        "Costs $5 to $9": 0.21, "Palliative intent": 0.9,
    }  # fmt: skip
    hospitals = {f"Hospital {name}": k / 70 for k, name in enumerate("ABCDEFGH")}
    feature = "ce_t1__wavelet-HLH__glcm__InverseDifferenceMomentNormalized"
    terms = [
        Term("age", "linear", (0.01,), range=(18.0, 79.0)),
        factor("T", {"T1": 0, "T2": 0.05, "T3": 0.06, "T4": 0.2}),
        factor("N", {"N0": 0, "N1": 0.001, "N2": 0.002, "N3": 0.03}),
        factor("pathology", kinds),
        factor("treatment", treatments),
        Term(feature, "linear", (0.002,), range=(0.91, 0.997)),
        Term("sex", "linear", (0.001,), range=(0.0, 1.0)),
        Term("t1__morphology__volume_cm3", "linear", (0.0003,), range=(0.5, 144.0)),
        factor("center", hospitals),
        Term("rad_score", "linear", (1.0,), range=(-1.2, 2.1)),
        factor("ebv_dna", {"negative": 0, "positive": 0.6}),
    ]
    last = Term("ebv_copies", "linear", (0.00001,), range=(0.0, 98000.0))
    skewed = dataclasses.replace(last, coefficients=(0.0004,))  # all others are short beside it
    return [
        Nomogram((*terms, one), (12.0, 36.0, 60.0), (0.01, 0.05, 0.09), simulated=True)
        for one in (last, skewed)
    ]


def _patients(nomogram, n=200):
    rng = np.random.default_rng(5)
    columns = {}
    for term in nomogram.terms:
        if term.kind == "factor":
            columns[term.name] = rng.choice(list(term.levels), n)
        elif term.kind != "interaction":
            columns[term.name] = rng.uniform(*term.range, n)
    return pd.DataFrame(columns, index=[f"secret-{i}" for i in range(n)])


def _assert_apart(figure):
    """No two texts overlap, all are inside, and no leader crosses a text: measured by the renderer."""
    figure.set_dpi(200)
    figure.canvas.draw()
    axes = figure.axes[0]
    texts = [text for text in axes.texts if text.get_text()]
    boxes = np.array([text.get_window_extent().extents for text in texts])
    assert (boxes[:, 0] >= figure.bbox.x0).all()
    assert (boxes[:, 1] >= figure.bbox.y0).all()
    assert (boxes[:, 2] <= figure.bbox.x1).all()
    assert (boxes[:, 3] <= figure.bbox.y1).all()
    low, high = (
        np.maximum(boxes[:, None, :2], boxes[None, :, :2]),
        np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]),
    )
    both = np.argwhere(np.triu((high - low > 0.5).all(axis=2), 1))
    assert not len(both), [(texts[i].get_text(), texts[j].get_text()) for i, j in both]
    leaders = [line for line in axes.lines if line.get_color() == "#767676"]
    for line in leaders:
        (x0, y0), (_, y1) = axes.transData.transform(np.column_stack(line.get_data()))
        crossed = (boxes[:, 0] < x0 - 0.5) & (x0 + 0.5 < boxes[:, 2]) & (boxes[:, 1] < max(y0, y1) - 1)
        crossed &= min(y0, y1) + 1 < boxes[:, 3]
        assert not crossed.any(), texts[int(np.argmax(crossed))].get_text()
    return len(leaders)


@pytest.mark.parametrize("skewed", [0, 1])
def test_no_label_covers_another(crowded, skewed):
    nomogram = crowded[skewed]
    figure = nomogram.draw()
    assert _assert_apart(figure) > 0
    shown = " ".join(text.get_text() for text in figure.axes[0].texts)
    for name in (
        "Hospital C",
        "N2",
        "Basaloid squamous",
        "Costs $5 to $9",
        "Undifferentiated non-keratinizing",
    ):
        assert name in shown


def test_no_label_covers_another_with_patient_and_cohort(crowded):
    X = _patients(crowded[0])
    figure = crowded[0].draw(patient=typical_patient(crowded[0], X), cohort=X, caption="A sentence. " * 20)
    _assert_apart(figure)


@pytest.mark.parametrize("n", [2, 5, 9, 14])
def test_levels_are_never_left_out_nor_covered(n):
    """Random places and names: every level has a label, none covers another, no leader crosses one."""
    rng, room = np.random.default_rng(n), estimated_room()
    for _ in range(25):
        places = np.sort(rng.choice([rng.random(n), rng.random(n) * 0.05, rng.beta(0.2, 0.2, n)]))
        names = ["x" * int(k) + str(i) for i, k in enumerate(rng.integers(1, 20, n))]
        ticks = staggered_ticks(places.tolist(), names, room)
        labels = [t for t in ticks if t.text]
        assert sorted(name for t in labels for name in t.text.split(", ")) == sorted(names)
        for i, a in enumerate(labels):
            (low, high), side = room.box(a), a.lane == "above"
            for b in labels[i + 1 :]:
                left, right = room.box(b)
                if (a.depth, side) == (b.depth, b.lane == "above"):
                    assert right <= low + 1e-9 or high <= left + 1e-9
                elif side == (b.lane == "above") and n < 9:  # of more, some leaders go behind a label
                    deeper, (start, end) = (a, (left, right)) if a.depth > b.depth else (b, (low, high))
                    assert not start < deeper.x < end


@pytest.fixture(scope="module")
def crossed(gbsg):
    X, y = gbsg
    X = X[["age", "grade", "size", "hormon"]]
    model = CoxModel(min_category=1, interactions=[("age", "grade"), ("size", "hormon")]).fit(X, y)
    return Nomogram.from_model(model, [36, 60], quantiles=[0.5]), X


def test_marks_are_what_is_predicted(crossed):
    nomogram, X = crossed
    rows = layout(nomogram)
    for patient in ("3", "77", "500"):
        read, points = (
            nomogram.predict(X.loc[[patient]]).iloc[0],
            nomogram.points_of(X.loc[[patient]]).iloc[0],
        )
        marks = patient_marks(nomogram, rows, X.loc[patient])
        shown = {
            (row.kind, row.title): mark for row, mark in zip(rows, marks, strict=True) if mark is not None
        }
        variables = [mark for (kind, _), mark in shown.items() if kind == "variable"]
        assert len(variables) == 2  # one for each pair that interacts
        assert sum(100 * mark.x for mark in variables) == pytest.approx(read["total_points"], abs=1e-9)
        assert shown[("total", "Total points")].points == f"{read['total_points']:.1f}"
        assert shown[("total", "Total points")].x == pytest.approx(
            points["total_points"] / nomogram.scale.largest_total
        )
        title = "5-year recurrence-free survival"
        assert shown[("survival", title)].value == f"{read['survival_60_months']:.3f}"
        assert f"Age (years) if Grade = {X.loc[patient, 'grade']}" in {title for _, title in shown}


def test_mark_stands_at_the_value_on_its_axis(crossed):
    """Between two ticks of the axis for the patient's settings, by the share of the way between them."""
    nomogram, X = crossed
    rows = layout(nomogram)
    patient = X.loc["3"]
    for row, mark in zip(rows, patient_marks(nomogram, rows, patient), strict=True):
        if row.name == "age" and mark is not None:
            axis = next(a for a in nomogram.scale.axes if a.name == "age" and a.settings == row.settings)
            assert 100 * mark.x == pytest.approx(
                np.interp(patient["age"], axis.values, axis.points), abs=1e-9
            )
            return
    raise AssertionError("the patient has no mark")


def test_a_number_that_is_set_elsewhere_gets_an_axis_of_its_own(gbsg):
    X, y = gbsg
    X = X[["age", "size"]]
    nomogram = Nomogram.from_model(
        CoxModel(interactions=[("age", "size")]).fit(X, y), [60], interact={"size": [10, 40]}
    )
    figure = nomogram.draw(patient={"age": 50, "size": 27}, cohort=X)
    titles = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert "if Size = 10" in titles
    assert "if Size = 27" in titles
    assert "if Size = 27" not in " ".join(row.title for row in layout(nomogram))
    _assert_apart(figure)


def test_distributions_are_those_of_the_patients(crossed, gbsg):
    _, X = crossed
    simple = Nomogram.from_model(CoxModel(min_category=1).fit(X, gbsg[1]))
    rows = layout(simple)
    found, n = distributions(simple, rows, X)
    by_name = {row.name or row.kind: over for row, over in zip(rows, found, strict=True)}
    assert n == 686
    counts = X["grade"].value_counts().sort_index()
    boxes = by_name["grade"]
    assert boxes.boxes
    order = np.argsort(simple.scale.axis("grade").points)
    np.testing.assert_allclose(boxes.height, (counts / counts.max()).to_numpy()[order], rtol=0, atol=1e-12)
    assert by_name["hormon"].boxes
    age = by_name["age"]
    assert not age.boxes
    density = np.repeat(age.x, np.round(1000 * age.height).astype(int))
    points = simple.points_of(X)
    assert density.mean() == pytest.approx(points["age"].mean() / 100, abs=0.01)
    total = by_name["total"]
    density = np.repeat(total.x, np.round(1000 * total.height).astype(int))
    assert density.mean() == pytest.approx(
        points["total_points"].mean() / simple.scale.largest_total, abs=0.01
    )
    assert by_name["points"] is None
    assert by_name["survival"] is None


def test_patients_of_other_settings_do_not_stand_on_an_axis(crossed):
    nomogram, X = crossed
    young = X[X["grade"] == "2"]
    rows = layout(nomogram)
    found, _ = distributions(nomogram, rows, young)
    on = [
        row.settings[0][1]
        for row, over in zip(rows, found, strict=True)
        if row.name == "age" and over is not None
    ]
    assert on == ["2"]


def test_who_cannot_be_read_is_left_out_of_the_distribution(crossed):
    nomogram, X = crossed
    odd = X.astype({"age": float, "grade": object}).iloc[:50].copy()
    odd.loc[odd.index[0], "age"] = 99
    odd.loc[odd.index[1], "grade"] = None
    _, n = distributions(nomogram, layout(nomogram), odd)
    assert n == 48
    with pytest.raises(CohortError, match="no patient of the table"):
        nomogram.draw(cohort=odd.iloc[:2])


def test_nothing_of_the_cohort_is_kept(npc):
    X = _patients(npc)
    before = {f.name: getattr(npc, f.name) for f in dataclasses.fields(npc)}
    _ = npc.scale, npc.groups
    known = set(vars(npc))
    figure = npc.draw(patient=X.iloc[0], cohort=X)
    assert set(vars(npc)) == known
    assert {f.name: getattr(npc, f.name) for f in dataclasses.fields(npc)} == before
    drawn = [np.ravel(line.get_xdata()) for line in figure.axes[0].lines]
    assert max(len(x) for x in drawn) == 162  # a curve on a grid, not patients
    assert "secret" not in " ".join(text.get_text() for text in figure.axes[0].texts)


def test_a_patient_out_of_range_or_several_are_refused(npc):
    X = _patients(npc)
    with pytest.raises(CohortError, match="column age"):
        npc.draw(patient=X.iloc[0].to_dict() | {"age": 90})
    with pytest.raises(CohortError, match="one patient is drawn, the table has 2"):
        npc.draw(patient=X.iloc[:2])
    with pytest.raises(CohortError, match="lacks N"):
        npc.draw(patient=X.iloc[0].drop("N"))


def test_typical_patient_is_made_of_medians_and_modes(npc):
    X = _patients(npc)
    made = typical_patient(npc, X)
    assert made["age"] == float(f"{X['age'].median():.3g}")
    assert made["N"] == X["N"].mode()[0]
    assert not (X["rad_score"] == made["rad_score"]).any()
    assert npc.predict(pd.DataFrame([made])).notna().all(axis=None)


def test_text_stays_text_fonts_are_embedded_and_bytes_repeat(crossed, tmp_path):
    nomogram, X = crossed
    for name in ("a", "b"):
        figure = nomogram.draw(tmp_path / f"{name}.svg", patient=typical_patient(nomogram, X), cohort=X)
        for kind in ("pdf", "png"):
            save_figure(figure, tmp_path / f"{name}.{kind}")
    for kind in ("svg", "pdf", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    svg = (tmp_path / "a.svg").read_text()
    for words in ("if Grade = 2", "Total points", "Median", "Patient", "Shaded: how 686 patients"):
        assert words in svg
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf or b"/TrueType" in pdf
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf


def test_parts_are_told_apart_in_grey(npc):
    """Paper, shade, edge of the shade, mark and ink as rendered: five greys, each apart from its neighbor."""
    from radiomics_npc.nomogram import overlays

    X = _patients(npc)
    figure = npc.draw(patient=typical_patient(npc, X), cohort=X)
    figure.set_dpi(200)
    figure.canvas.draw()
    grey = np.asarray(figure.canvas.buffer_rgba())[..., :3] @ [0.299, 0.587, 0.114]
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (overlays._FILL, overlays._MARK)])
    fill, mark = rgb @ [0.299, 0.587, 0.114]
    for value in (255, fill, mark):
        assert (np.abs(grey - value) < 1.5).sum() > 100
    tones = [255, fill, mark, 26]
    assert min(np.abs(np.diff(tones))) > 40
    dashed = [line for line in figure.axes[0].lines if line.is_dashed()]
    assert len(dashed) == len(npc.terms) + 1  # up from each variable, down from the total


def test_a_study_draws_an_example_of_nobody(tmp_path):
    """nomogram_example.* shows the analyzed cohort and a patient who is made up, and says so."""
    rng = np.random.default_rng(11)
    ids = [f"secret-{i}" for i in range(160)]
    X = pd.DataFrame(
        {"age": rng.normal(55, 9, 160).round(1), "N": rng.choice(["N0", "N1", "N2"], 160)}, index=ids
    )
    X = X.rename_axis("patient_id").astype({"N": "category"})
    time = rng.exponential(80 / np.exp(0.04 * (X["age"] - 55) + 0.5 * X["N"].cat.codes))
    y = Outcome(np.minimum(time, 80), time < 80, X.index)
    run = RunFolder(tmp_path)
    save_model(
        PrognosticModel("clinical", "cox", clinical=["age", "N"]).fit(X, y),
        run.models / "clinical_cox",
        name="clinical_cox",
    )
    write_table(run.tables / "design_matrix.parquet", X.reset_index())
    assert draw_nomogram(NomogramSettings(model="clinical_cox"), run)
    made = {path.name for path in run.figures.iterdir()}
    assert made == {f"nomogram{part}.{kind}" for part in ("", "_example") for kind in ("svg", "pdf", "png")}
    svg = (run.figures / "nomogram_example.svg").read_text()
    assert "made up of medians and most frequent levels" in " ".join(svg.split())
    assert "Shaded: how 160 patients" in svg
    assert "secret" not in svg
    assert "Shaded" not in (run.figures / "nomogram.svg").read_text()
