"""Studies without drawn masks: predicted by a fake that knows the truth, measured, modelled, reported."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import yaml

from radiomics_npc import contour_models, contours, optional
from radiomics_npc.cli import main
from radiomics_npc.cohort.cases import Case, Cohort, ImageFiles
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.contour_comparison import mask_agreement
from radiomics_npc.errors import CohortError, ConfigError, ModelFileError
from radiomics_npc.features.table import FeatureTable
from radiomics_npc.fitting import Fitting
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.report.contour_content import read_contours
from radiomics_npc.report.contour_sections import contour_effects
from radiomics_npc.run_folder import RunFolder
from radiomics_npc.settings import SegmentationSettings
from radiomics_npc.storage import read_table, write_json, write_table
from radiomics_npc.study import Study
from radiomics_npc.survival.metrics.concordance import uno_c

PATIENTS = 40
SPACING = (1.2, 1.2, 4.0)
DARK = "007"  # the fake finds nothing there
PYRADIOMICS = {
    "imageType": {"Original": {}},
    "featureClass": {"firstorder": ["Mean", "Entropy", "Kurtosis"], "shape": ["MeshVolume", "Sphericity"]},
    "setting": {"binCount": 8, "label": 1},
}


def _write(volume: Volume, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(volume.to_sitk(), str(path))


def _patient(folder: Path, patient: str, size: float, seed: int) -> dict[str, str]:
    """A head with an ellipsoid in it."""
    random = np.random.default_rng(seed)
    z, y, x = np.ogrid[:9, :32, :32]
    head = np.broadcast_to(((y - 16) / 14) ** 2 + ((x - 16) / 12) ** 2 < 1, (9, 32, 32))
    tumor = ((z - 4) * 4 / 11) ** 2 + ((y - 16) * 1.2 / size) ** 2 + ((x - 17) * 1.2 / size) ** 2 < 1
    signal = np.where(tumor, 520.0 + 4 * size, np.where(head, 260.0, 0.0))
    _write(Volume(np.abs(signal + random.normal(0, 30, head.shape)).astype(np.int16), SPACING),
           folder / f"{patient}.nii.gz")  # fmt: skip
    _write(Mask(tumor, SPACING), folder / "drawn" / f"{patient}.nii.gz")
    return {"patient_id": patient, "sequence": "t1", "image": f"{patient}.nii.gz"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Simulated patients; the larger the tumor, the earlier the event. One manifest names no masks."""
    folder = tmp_path_factory.mktemp("simulated")
    random = np.random.default_rng(4)
    size = random.uniform(5, 10, PATIENTS)
    names = [f"{k:03d}" for k in range(PATIENTS)]
    rows = pd.DataFrame(
        [_patient(folder, who, s, k) for k, (who, s) in enumerate(zip(names, size, strict=True))]
    )
    rows.to_csv(folder / "bare.csv", index=False)
    rows.assign(mask=[f"drawn/{who}.nii.gz" for who in names]).to_csv(folder / "drawn.csv", index=False)
    months = random.exponential(25 * np.exp(-0.6 * (size - 7.5)))
    pd.DataFrame({
        "patient_id": names, "T": [f"T{k}" for k in random.integers(1, 5, PATIENTS)],
        "months": np.minimum(months, 45).round(2) + 0.1, "event": (months < 45).astype(int),
    }).to_csv(folder / "clinical.csv", index=False)  # fmt: skip
    write_json(folder / "dataset.json", {"simulated": True})
    (folder / "few.yaml").write_text(yaml.safe_dump(PYRADIOMICS))
    model = {"format": 1, "members": [{"file": "member-0.safetensors"}] * 2, "simulated": True}
    write_json(folder / "model" / "model.json", model)
    return folder


def settings_of(data: Path, run: Path, manifest: str = "bare.csv", **segmentation) -> dict:
    return {
        "name": "no contours", "jobs": 1, "output": str(run), "seed": 3,
        "cohort": {
            "layout": "manifest", "path": str(data / manifest), "sequences": ["t1"],
            "clinical": {"file": str(data / "clinical.csv")},
            "outcome": {"time": "months", "unit": "months", "event": "event", "coding": "0/1",
                        "censor_at_months": 40},
        },
        "segmentation": {"model": str(data / "model"), "device": "cpu", **segmentation},
        "features": {"settings": {"t1": str(data / "few.yaml")}},
        "models": {"fit": ["clinical_cox", "combined_cox"], "clinical": ["T"], "min_category": 5},
        "validation": {"folds": 2, "repeats": 2, "inner_folds": 2},
        "nomogram": {"model": "combined_cox", "horizons_months": [24]},
    }  # fmt: skip


class Fake:
    """Thresholds the image; the contour a voxel too wide on one side. Counts what it computes."""

    def __init__(self) -> None:
        self.computed = 0

    def __call__(self, cohort: Cohort, out: Path, settings: SegmentationSettings) -> SimpleNamespace:
        cases, rows, failures = [], [], []
        for case in cohort.cases:
            files = case.images["t1"]
            if files.mask is not None and settings.when == "missing":
                cases.append(case)
                continue
            if case.patient_id == DARK:
                failures.append(
                    [case.patient_id, "t1", "predict", "ImageError", "the image is dark", "Look."]
                )
                cases.append(replace(case, images={"t1": replace(files, mask=None)}))
                continue
            path = out / case.patient_id / "ROI-T1.nii.gz"
            array = self.predict(files, path)
            cases.append(replace(case, images={"t1": ImageFiles(files.image, path, 1)}))
            rows.append({"patient_id": case.patient_id, "sequence": "t1", "volume_cm3": array.sum() * 5.76e-3,
                         "confidence": 0.9, "member_agreement": 0.8, "sequence_agreement": np.nan,
                         "flags": "low_confidence; touches_border" if case.patient_id == "003" else "",
                         "device": "cpu", "seconds": np.random.default_rng().random()})  # fmt: skip
        made = replace(cohort, cases=tuple(cases))
        columns = ["patient_id", "sequence", "stage", "error", "message", "remedy"]
        varied = tuple(self.vary(made, out, k) for k in range(settings.uncertainty))
        return SimpleNamespace(cohort=made, table=pd.DataFrame(rows), variations=varied,
                               failures=pd.DataFrame(failures, columns=columns))  # fmt: skip

    def predict(self, files: ImageFiles, path: Path) -> np.ndarray:
        if not path.exists():
            self.computed += 1
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(files.image))) > 420
            _write(Mask(array | np.roll(array, 1, axis=2), SPACING), path)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0

    def vary(self, cohort: Cohort, out: Path, number: int) -> Cohort:
        cases = []
        for case in cohort.cases:
            files = case.images["t1"]
            if files.mask is None:
                cases.append(case)
                continue
            path = out / case.patient_id / f"variation-{number}-T1.nii.gz"
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(files.mask))) > 0
            _write(Mask(array & np.roll(array, number + 1, axis=1), SPACING), path)
            cases.append(replace(case, images={"t1": replace(files, mask=path)}))
        return replace(cohort, cases=tuple(cases))


@pytest.fixture
def fake(monkeypatch) -> Fake:
    made = Fake()
    monkeypatch.setattr(contours, "_predict", made)
    return made


def digests(run: Path) -> dict[str, str]:
    parts = ("tables", "models", "cache", "masks")
    kept = sorted(p for part in parts for p in (run / part).rglob("*") if p.is_file())
    named = [*kept, run / "check.csv", run / "failures.csv", run / "report.html"]
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in named}


def text_of(path: Path) -> str:
    return " ".join(path.read_text(encoding="utf-8").split())


# -- a cohort without masks ---------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_without_masks_runs_to_a_report(data, tmp_path, fake):
    run = tmp_path / "run"
    study = Study(settings_of(data, run))
    paths = study.run()
    assert [path.name for path in paths] == ["nomogram.html", "report.html"]
    record = json.loads((run / "run.json").read_text())["segmentation"]
    sha = hashlib.sha256((data / "model" / "model.json").read_bytes()).hexdigest()
    assert (record["name"], record["sha256"], record["simulated"]) == ("model", sha, True)
    assert record["device"] == ["cpu"]
    assert record["masks"] == PATIENTS - 1
    # in tables: no seconds, paths within the run folder
    table = read_table(run / "tables" / "segmentation.csv")
    assert not {"seconds", "device"} & set(table)
    assert table["simulated"].all()
    assert (run / table["mask"].iloc[0]).is_file()
    assert len(read_table(run / "tables" / "features.csv")) == PATIENTS - 1
    # flags are warnings, the notice is no error
    check = read_table(run / "check.csv")
    notice = check[check["problem"].str.contains("have no mask: it will be predicted")]
    assert notice["severity"].tolist() == ["info"]
    flagged = check[check["patient_id"] == "003"]
    assert flagged["severity"].tolist() == ["warning"] * 2
    assert flagged["problem"].str.contains("mean probability").any()
    assert not (check["severity"] == "error").any()
    # the failed patient
    failures = read_table(run / "failures.csv")
    assert failures[["patient_id", "stage", "message"]].to_numpy().tolist() == [
        [DARK, "predict", "the image is dark"]
    ]
    excluded = read_table(run / "tables" / "excluded.csv").set_index("patient_id")["reason"]
    assert excluded[DARK] == "no features of t1: the image is dark"
    # what a reader is told
    report = text_of(run / "report.html")
    assert "The tumors were outlined by the model model (2 networks" in report
    assert "trained on simulated heads only: review every contour before any result" in report
    assert "2 are conspicuous" not in report
    assert "one is conspicuous" in report
    assert "Outlines on slices of sample patients, predicted where none was drawn; the bar is 1 cm." in report
    assert "Its outlines were not compared with drawn ones" in report
    assert "(the oracle)" not in text_of(run / "methods.md")  # there is no truth beside these patients
    methods = text_of(run / "methods.md")
    assert "## Contours" in methods
    assert "trained on simulated heads only" in methods
    card = text_of(run / "models" / "combined_cox" / "card.md")
    assert re.search(r"Contours: predicted by the model model \(.*\), trained on simulated heads only", card)
    model = json.loads((run / "models" / "combined_cox" / "model.json").read_text())
    contoured = {"name": "model", "sha256": sha, "simulated": True, "when": "missing"}
    assert model["settings"]["contours"] == contoured
    # a second run computes nothing and changes nothing
    before, computed = digests(run), fake.computed
    assert computed == PATIENTS - 1
    again = Study(settings_of(data, run))
    again.run()
    assert fake.computed == computed
    assert again.extract().reused == PATIENTS - 1
    assert digests(run) == before
    # and without segmentation nothing of it stays
    drawn = settings_of(data, run, "drawn.csv") | {"segmentation": None, "models": None, "nomogram": None}
    Study(drawn).run()
    assert not list((run / "tables").glob("segmentation*"))
    assert not json.loads((run / "run.json").read_text())["segmentation"]
    assert "outlined by" not in text_of(run / "report.html")


@pytest.mark.slow
def test_all_are_predicted_and_compared_with_the_drawn(data, tmp_path, fake):
    run = tmp_path / "run"
    study = Study(settings_of(data, run, "drawn.csv", when="always", uncertainty=3))
    study.run()
    # agreement, against its definition
    agreement = read_table(run / "tables" / "segmentation_agreement.csv").set_index("patient_id")
    assert len(agreement) == PATIENTS - 1
    drawn, predicted = (
        sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0
        for path in (data / "drawn" / "001.nii.gz", run / "masks" / "001" / "ROI-T1.nii.gz")
    )
    dice = 2 * (drawn & predicted).sum() / (drawn.sum() + predicted.sum())
    assert agreement.loc["001", "dice"] == pytest.approx(dice, abs=1e-12)
    assert agreement.loc["001", "reference_cm3"] == pytest.approx(drawn.sum() * 5.76e-3)
    # both C, paired
    c = (
        read_table(run / "tables" / "segmentation_c_index.csv")
        .set_index(["model", "metric", "contours"])
        .sort_index()
    )
    assert set(c.index.get_level_values(0)) == {"combined_cox"}
    rows = c.loc["combined_cox", "harrell_c"]
    gap = rows.loc["predicted", "estimate"] - rows.loc["drawn", "estimate"]
    assert rows.loc["difference", "estimate"] == pytest.approx(gap, abs=1e-12)
    assert rows.loc["difference", "lower"] <= gap <= rows.loc["difference", "upper"]
    # that of the predicted ones is that of the study; that of the drawn ones is that of a study of these
    scores = read_table(run / "tables" / "scores.csv").set_index(["model", "metric"]).sort_index()
    assert rows.loc["predicted", "estimate"] == scores.loc[("combined_cox", "harrell_c"), "estimate"]
    other = settings_of(data, tmp_path / "other", "drawn_but_one.csv") | {"segmentation": None}
    kept = pd.read_csv(data / "drawn.csv", dtype=str)
    kept[kept["patient_id"] != DARK].to_csv(data / "drawn_but_one.csv", index=False)
    alone = Study(other).fit().scores.set_index(["model", "metric"]).sort_index()
    assert rows.loc["drawn", "estimate"] == pytest.approx(
        alone.loc[("combined_cox", "harrell_c"), "estimate"], abs=1e-12
    )
    # risk of every patient as an interval
    risk = read_table(run / "tables" / "contour_uncertainty_segmentation.csv")
    assert len(risk) == PATIENTS - 1
    assert (risk["perturbations"] == 4).all()
    assert (risk["upper"] - risk["lower"]).max() > 0
    assert read_table(run / "tables" / "variation_failures.csv").empty
    name = next(column for column in risk if column.startswith("pfs_"))
    assert ((risk["minimum"] <= risk[name]) & (risk[name] <= risk["maximum"])).all()
    report = text_of(run / "report.html")
    for words in ("Against the masks that were drawn", "What the contours change", "Risk under varied masks",
                  "varied 3 times", "dashed: as drawn"):  # fmt: skip
        assert words in report, words
    assert (run / "figures" / "contour_agreement.svg").exists()
    assert (run / "figures" / "contour_risk.svg").exists()
    before = digests(run)
    Study(settings_of(data, run, "drawn.csv", when="always", uncertainty=3)).run()
    assert digests(run) == before


@pytest.mark.slow
def test_with_networks_from_images_to_varied_features(data, tmp_path, monkeypatch):
    """No fake in the way: networks that take what is bright for tumor."""
    from radiomics_npc.segmentation import batch
    from tests.segmentation.phantoms import TUMOR, Bright, Geometry, head, segmenter, truth

    geometry, rows = Geometry((64, 64, 10), (3.0, 3.0, 8.0)), []
    for k in range(3):
        image = head(geometry, spheres=((TUMOR[0], 16.0 + 2 * k),))
        noise = np.random.default_rng(k).normal(0, 8, image.array.shape)
        _write(replace(image, array=(image.array + noise).astype(np.float32)), tmp_path / f"{k}.nii.gz")
        _write(truth(image), tmp_path / f"{k}-drawn.nii.gz")
        rows.append([f"{k}", "t1", f"{k}.nii.gz", f"{k}-drawn.nii.gz"])
    columns = ["patient_id", "sequence", "image", "mask"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
    networks = segmenter(Bright(level=3.8), Bright(level=5.0))
    monkeypatch.setattr(batch, "_load", lambda settings: networks)
    write_json(tmp_path / "model" / "model.json", networks.description)
    settings = settings_of(data, tmp_path / "run", when="always", uncertainty=3)
    settings["segmentation"]["model"] = str(tmp_path / "model")
    settings["cohort"] = {"layout": "manifest", "path": str(tmp_path / "manifest.csv"), "sequences": ["t1"],
                          "clinical": None}  # fmt: skip
    settings |= {"models": None, "nomogram": None}
    study = Study(settings)
    study.run()
    run = study.run_folder
    agreement = read_table(run / "tables" / "segmentation_agreement.csv")
    assert agreement["dice"].gt(0.8).all(), agreement
    beside = json.loads((run / "masks" / "0" / "ROI-T1.json").read_text())
    record = json.loads((run / "run.json").read_text())["segmentation"]
    assert record["identity"] == beside["model"]["identity"]
    assert beside["trained_on_simulated_heads_only"] is True
    repeats = study.vary()
    assert len(repeats.to_frame()) == 3 * 4
    volume = repeats.to_frame()["t1__morphology__volume_cm3"]
    assert volume.groupby("patient_id").nunique().gt(1).all()
    before = digests(run)
    again = Study(settings)
    again.run()
    assert digests(run) == before
    assert again.vary().reused == 3 * 4


def test_a_tumor_that_was_not_found_counts_in_the_agreement(data, tmp_path, monkeypatch):
    """Left out, a model would look the better, the more tumors it misses."""
    from radiomics_npc.segmentation import batch
    from tests.segmentation.phantoms import TUMOR, Bright, Geometry, head, segmenter, truth

    geometry = Geometry((64, 64, 10), (3.0, 3.0, 8.0))
    seen, missed = (head(geometry, spheres=spheres) for spheres in (((TUMOR[0], 18.0),), ()))
    rows = []
    for who, image in (("1", seen), ("2", missed)):
        noise = np.random.default_rng(int(who)).normal(0, 8, image.array.shape)
        _write(replace(image, array=(image.array + noise).astype(np.float32)), tmp_path / f"{who}.nii.gz")
        _write(truth(seen), tmp_path / f"{who}-drawn.nii.gz")
        rows.append([who, "t1", f"{who}.nii.gz", f"{who}-drawn.nii.gz"])
    columns = ["patient_id", "sequence", "image", "mask"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
    monkeypatch.setattr(batch, "_load", lambda settings: segmenter(Bright(level=4.5)))
    settings = settings_of(data, tmp_path / "run", when="always") | {"models": None, "nomogram": None}
    settings["cohort"] = {"layout": "manifest", "path": str(tmp_path / "manifest.csv"), "sequences": ["t1"],
                          "clinical": None}  # fmt: skip
    found = Study(settings).segment()
    assert found.failures["patient_id"].tolist() == ["2"]
    agreement = read_table(tmp_path / "run" / "tables" / "segmentation_agreement.csv").set_index("patient_id")
    assert agreement.loc["1", "dice"] > 0.9
    assert agreement.loc["2", ["dice", "nsd_1mm", "predicted_cm3"]].tolist() == [0, 0, 0]
    assert agreement.loc["2", ["hd95_mm", "volume_error_percent"]].tolist() == [np.inf, -100]
    assert agreement.loc["2", "reference_cm3"] == pytest.approx(truth(seen).array.sum() * 0.072)


def test_every_file_says_that_the_networks_know_simulated_heads_only(tmp_path):
    """Patients are real, and masks and tables are passed on without the records beside them."""
    from radiomics_npc.segmentation.batch import predict_masks
    from tests.segmentation.phantoms import Bright, Geometry, head, segmenter

    _write(head(Geometry((64, 64, 10), (3.0, 3.0, 8.0))), tmp_path / "1.nii.gz")
    cohort = Cohort((Case("1", {"t1": ImageFiles(tmp_path / "1.nii.gz")}),), sequences=("t1",))
    asked = SegmentationSettings(uncertainty=2, probabilities=True)
    networks = segmenter(Bright(level=4.5))
    found = predict_masks(cohort, tmp_path / "masks", settings=asked, segmenter=networks, progress=False)
    files = sorted((tmp_path / "masks").rglob("*.nii.gz"))
    assert len(files) == 5  # mask, two variations, probability, uncertainty
    for path in files:
        note = sitk.ReadImage(str(path)).GetMetaData("descrip")
        assert note == "Predicted by networks trained on simulated heads only. Review the contour."
    for simulated in (True, False):
        said = contours.PredictedContours(cohort, found.table, found.failures, {"simulated": simulated})
        assert ("trained_on_simulated_heads_only" in said.to_frame()) is simulated


# -- command line and faults --------------------------------------------------------------------


def test_segment_on_the_command_line(data, tmp_path, fake, capsys):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(settings_of(data, tmp_path / "run")))
    with pytest.raises(SystemExit) as ended:
        main(["segment", str(file)])
    assert ended.value.code == 1  # one patient failed
    said = capsys.readouterr().out
    assert "trained on simulated heads only" in " ".join(said.split())
    assert "simulated" in said.partition("patient_id")[2]
    assert "masks/003/ROI-T1.nii.gz" in "".join(said.split())
    assert "low_confidence" in said
    assert "the image is dark" in " ".join(said.split())
    assert not (tmp_path / "run" / "tables" / "features.csv").exists()
    assert read_table(tmp_path / "run" / "failures.csv")["patient_id"].tolist() == [DARK]


def test_where_every_mask_is_drawn_nothing_is_predicted_or_said(data, tmp_path, fake):
    run = tmp_path / "run"
    study = Study(settings_of(data, run, "drawn.csv") | {"models": None, "nomogram": None})
    study.run()
    assert fake.computed == 0
    assert read_table(run / "tables" / "segmentation.csv").empty
    assert len(study.extract().to_frame()) == PATIENTS
    assert study.failures.empty
    assert "outlined by" not in text_of(run / "report.html")


def test_nothing_of_other_settings_is_left(data, tmp_path, fake):
    run = tmp_path / "run"
    Study(settings_of(data, run, "drawn.csv", when="always")).segment()
    figure = run / "figures" / "contour_agreement.svg"
    figure.parent.mkdir()
    figure.write_text("as the report draws it")
    assert len(read_table(run / "tables" / "segmentation_agreement.csv")) == PATIENTS - 1
    Study(settings_of(data, run, "drawn.csv", when="missing")).segment()
    assert not (run / "tables" / "segmentation_agreement.csv").exists()
    assert not figure.exists()
    assert read_table(run / "tables" / "segmentation.csv").empty


def test_only_what_was_predicted_is_varied_and_compared(data, tmp_path, fake, monkeypatch):
    def edited(cohort, out, settings):
        made = fake(cohort, out, settings)
        if len(made.table):
            made.table.loc[made.table["patient_id"] == "001", "flags"] = "edited"
        return made

    monkeypatch.setattr(contours, "_predict", edited)
    study = Study(settings_of(data, tmp_path / "run", "drawn.csv", when="always", uncertainty=2))
    found = study.segment()
    others = [f"{k:03d}" for k in range(PATIENTS) if f"{k:03d}" not in ("001", DARK)]
    assert found.varied_patients == others
    assert {name: list(cohort.patient_ids) for name, cohort in found.varied().items()} == dict.fromkeys(
        ("original", "variation_1", "variation_2"), others
    )
    agreement = read_table(tmp_path / "run" / "tables" / "segmentation_agreement.csv")
    assert agreement["patient_id"].tolist() == others
    drawn = Study(settings_of(data, tmp_path / "other", "drawn.csv", uncertainty=2))
    assert drawn.segment().varied_patients == []
    assert drawn.vary() is None


def test_a_model_of_drawn_contours_is_not_said_to_be_of_predicted_ones(data, tmp_path):
    settings = Study(settings_of(data, tmp_path)).settings
    known = {"name": "model", "sha256": "ab", "simulated": True, "masks": 0}
    for masks, words in ((0, {}), (3, {"contours": known | {"when": "missing"}})):
        run = SimpleNamespace(read_record=lambda masks=masks: {"segmentation": known | {"masks": masks}})
        words.get("contours", {}).pop("masks", None)
        assert Fitting._segmenter(SimpleNamespace(settings=settings, run=run)) == words


def test_a_model_of_other_contours_is_said_to_be_one(tmp_path):
    run, table = RunFolder(tmp_path), pd.DataFrame({"patient_id": ["1"]})
    predicted = contours.PredictedContours(Cohort(()), table, table, {"sha256": "ab" * 32})
    of_drawn = SimpleNamespace(feature_columns=["t1__x"], settings_={})
    of_predicted = SimpleNamespace(feature_columns=["t1__x"], settings_={"contours": predicted.model})
    contours.say_other_contours(of_predicted, predicted, run)
    contours.say_other_contours(of_drawn, None, run)
    contours.say_other_contours(SimpleNamespace(feature_columns=[], settings_={}), predicted, run)
    assert not (tmp_path / "log.txt").exists()
    contours.say_other_contours(of_drawn, predicted, run)
    contours.say_other_contours(of_predicted, None, run)
    first, second = (tmp_path / "log.txt").read_text().splitlines()
    assert first.endswith(
        "of the model were drawn, those of this cohort are predicted (SHA-256 abababababab)"
    )
    assert second.endswith("were predicted (SHA-256 abababababab), those of this cohort are drawn")


def test_a_comparison_that_cannot_be_made_costs_no_study(data, tmp_path, monkeypatch):
    def refuse(*_):
        raise CohortError("5 patients are too few", "More.")

    monkeypatch.setattr(contour_models, "compare_c_index", refuse)
    measured = FeatureTable(*[pd.DataFrame()] * 3)
    monkeypatch.setattr(contour_models, "extract_features", lambda *_, **__: measured)
    run = RunFolder(tmp_path)
    stale = run.tables / "segmentation_c_index.csv"
    stale.parent.mkdir()
    stale.write_text("of other contours")
    fitting = SimpleNamespace(
        run=run, settings=Study(settings_of(data, tmp_path)).settings, key=lambda: "new"
    )
    contour_models.compare_models(fitting, Cohort(()), None, None)
    assert not stale.exists()
    assert "5 patients are too few" in (tmp_path / "log.txt").read_text()
    write_table(run.tables / "segmentation.csv", pd.DataFrame({"patient_id": ["1"]}))
    wanted = {"segmentation": {"when": "always", "flips": True}}
    content = read_contours(tmp_path, wanted, run.read_record() | {"segmentation": {"name": "mine"}})
    said = "could not be made from the drawn contours: 5 patients are too few. More."
    assert said in contour_effects(content, {})


def test_both_contours_are_scored_at_the_horizon_of_the_study():
    random = np.random.default_rng(8)
    names = [f"{k:02d}" for k in range(60)]
    y = Outcome(random.exponential(30, 60), random.random(60) < 0.7, names)
    rows = pd.DataFrame({
        "patient_id": names, "model": "combined_cox", "repeat": 1, "fold": np.arange(60) % 2,
        "risk": random.normal(size=60),
    })  # fmt: skip
    failures = pd.DataFrame({"model": []})
    predicted, drawn = (
        SimpleNamespace(predictions=rows, failures=failures, outcome=y,
                        design={"horizon_months": months, "confidence": 0.95})
        for months in (12.0, 50.0)
    )  # fmt: skip
    found = contour_models._of_model("combined_cox", predicted, drawn).set_index(["metric", "contours"])
    risk, folds = (rows.set_index("patient_id")[name] for name in ("risk", "fold"))
    at = {months: uno_c(y, risk, tau=months, strata=folds).estimate for months in (12.0, 50.0)}
    assert abs(at[12.0] - at[50.0]) > 1e-3
    for contour in ("predicted", "drawn"):
        assert found.loc[("uno_c", contour), "estimate"] == pytest.approx(at[12.0], abs=1e-12)


def test_segment_of_a_study_that_does_not_ask_for_it(data, tmp_path, capsys):
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(settings_of(data, tmp_path / "run", "drawn.csv") | {"segmentation": None}))
    with pytest.raises(SystemExit) as ended:
        main(["segment", str(file)])
    assert ended.value.code == 2
    assert "segmentation: null" in capsys.readouterr().err


def test_without_torch_it_says_what_to_install(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(optional, "find_spec", lambda name: None if name == "torch" else object())
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(settings_of(data, tmp_path / "run")))
    for command in (["segment", str(file)], ["run", str(file)], ["train-segmenter", str(file)]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 2
        assert 'pip install "radiomics-npc[segmentation]"' in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()  # said before anything was done
    import radiomics_npc

    with pytest.raises(ConfigError, match="torch is not installed"):
        _ = radiomics_npc.load_segmenter


def test_a_folder_without_a_model_is_refused(data, tmp_path, fake):
    with pytest.raises(ModelFileError, match="drawn holds no model of contours"):
        Study(settings_of(data, tmp_path / "run", model=str(data / "drawn"))).segment()


def test_a_mask_that_is_missing_stays_an_error_without_segmentation(data, tmp_path):
    report = Study(settings_of(data, tmp_path / "run") | {"segmentation": None}).check()
    assert len(report.errors) == PATIENTS
    assert "segmentation" in report.errors[0].remedy


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"uncertainty": 1}, "one variation has no spread"), ({"whem": "always"}, "did you mean when?"),
     ({"device": "tpu"}, "segmentation.device")],
)  # fmt: skip
def test_settings_are_checked(data, tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        Study(settings_of(data, tmp_path / "run", **changes))


def test_an_empty_prediction_agrees_with_nothing(tmp_path):
    drawn = np.zeros((3, 8, 8), dtype=bool)
    drawn[1, 2:5, 2:5] = True
    _write(Volume(np.arange(192, dtype=np.int16).reshape(3, 8, 8), SPACING), tmp_path / "image.nii.gz")
    _write(Mask(drawn, SPACING), tmp_path / "drawn.nii.gz")
    _write(Mask(~drawn & drawn, SPACING), tmp_path / "empty.nii.gz")
    cohorts = [
        Cohort(
            (Case("1", {"t1": ImageFiles(tmp_path / "image.nii.gz", tmp_path / name)}),), sequences=("t1",)
        )
        for name in ("empty.nii.gz", "drawn.nii.gz")
    ]
    found = mask_agreement(*cohorts, jobs=1).iloc[0]
    assert (found["dice"], found["hd95_mm"], found["volume_error_percent"]) == (0, np.inf, -100)
    backwards = mask_agreement(*cohorts[::-1], jobs=1).iloc[0]  # that nothing was drawn, the check says
    assert backwards["sequence"] == "t1"
    assert backwards[["dice", "hd95_mm", "predicted_cm3", "volume_error_percent"]].isna().all()
    same = mask_agreement(cohorts[1], cohorts[1], jobs=1).iloc[0]
    assert (same["dice"], same["hd95_mm"], same["nsd_1mm"]) == (1, 0, 1)
