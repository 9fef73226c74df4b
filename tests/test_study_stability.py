"""Studies that leave out unstable features, and studies of two centers: from images to a model file."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
import yaml

from radiomics_npc import load_model
from radiomics_npc.cli import main
from radiomics_npc.errors import CohortError
from radiomics_npc.imaging.volume import Mask, Volume
from radiomics_npc.storage import read_table, write_json
from radiomics_npc.study import Study
from radiomics_npc.survival.models.standard import standard_model

pytestmark = pytest.mark.slow

PATIENTS = 48
SPACING = (1.2, 1.2, 4.0)
PYRADIOMICS = {
    "imageType": {"Original": {}},
    "featureClass": {
        "firstorder": ["Mean", "Entropy", "Minimum", "Kurtosis", "Skewness"],
        "glcm": ["Contrast", "Correlation"],
        "shape": ["MeshVolume", "Sphericity"],
    },
    "setting": {"binCount": 8, "label": 1},
}
OUTCOME = {
    "time": "months", "unit": "months", "event": "event", "coding": "0/1", "censor_at_months": 40,
}  # fmt: skip


def write_images(folder: Path, patient: str, center: str, size: float, seed: int) -> dict[str, str]:
    """A head with an ellipsoid in it; the scanner of center B makes tumors brighter."""
    random = np.random.default_rng(seed)
    z, y, x = np.ogrid[:9, :40, :40]
    head = np.broadcast_to(((y - 20) / 17) ** 2 + ((x - 20) / 15) ** 2 < 1, (9, 40, 40))
    tumor = ((z - 4) * 4 / 11) ** 2 + ((y - 20) * 1.2 / size) ** 2 + ((x - 21) * 1.2 / size) ** 2 < 1
    contrast = 420.0 if center == "A" else 620.0
    signal = np.where(tumor, contrast + 4 * size + random.normal(0, 10), np.where(head, 260.0, 0.0))
    image = Volume(np.abs(signal + random.normal(0, 35, head.shape)).astype(np.int16), SPACING)
    for name, made in (("image", image), ("mask", Mask(tumor, SPACING))):
        sitk.WriteImage(made.to_sitk(), str(folder / f"{patient}_{name}.nii.gz"))
    return {"patient_id": patient, "sequence": "t1", "image": f"{patient}_image.nii.gz",
            "mask": f"{patient}_mask.nii.gz"}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Simulated patients of two centers; the larger the tumor, the earlier the event."""
    folder = tmp_path_factory.mktemp("simulated")
    random = np.random.default_rng(8)
    size = random.uniform(5, 11, PATIENTS)
    center = random.permutation(np.repeat(["A", "B"], PATIENTS // 2))
    t = np.clip(np.rint(size / 3 + random.normal(0, 0.4, PATIENTS)), 1, 4).astype(int)
    months = random.exponential(25 * np.exp(-0.5 * (size - 8)))
    names = [f"{k:03d}" for k in range(PATIENTS)]
    rows = [write_images(folder, *who) for who in zip(names, center, size, range(PATIENTS), strict=True)]
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    pd.DataFrame({
        "patient_id": names, "T": [f"T{k}" for k in t], "center": center,
        "months": np.minimum(months, 45).round(2) + 0.1, "event": (months < 45).astype(int),
    }).to_csv(folder / "clinical.csv", index=False)  # fmt: skip
    write_json(folder / "dataset.json", {"simulated": True})
    (folder / "few.yaml").write_text(yaml.safe_dump(PYRADIOMICS))
    return folder


def settings_of(data: Path, run: Path, **changes) -> dict:
    return {
        "name": "two centers", "jobs": 1, "output": str(run), "nomogram": None, "seed": 3,
        "cohort": {
            "layout": "manifest", "path": str(data / "manifest.csv"), "sequences": ["t1"],
            "clinical": {"file": str(data / "clinical.csv")}, "outcome": OUTCOME,
        },
        "features": {"settings": {"t1": str(data / "few.yaml")}},
        "models": {"fit": ["radiomics_cox", "combined_cox"], "clinical": ["T"], "min_category": 5},
        "validation": {"folds": 2, "repeats": 1, "inner_folds": 2},
        **changes,
    }  # fmt: skip


def digests(run: Path) -> dict[str, str]:
    kept = sorted(p for part in ("tables", "models", "cache") for p in (run / part).rglob("*") if p.is_file())
    return {str(p.relative_to(run)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


@pytest.fixture(scope="module")
def steady(data, tmp_path_factory) -> Study:
    """A run that leaves out unstable features."""
    settings = settings_of(data, tmp_path_factory.mktemp("steady") / "run")
    settings["features"]["stability"] = {"patients": 4, "minimum": 0.5}
    study = Study(settings)
    study.run()
    return study


@pytest.fixture(scope="module")
def harmonized(data, tmp_path_factory) -> Study:
    """A run that takes the center out of the features, and keeps the effect of T on them."""
    settings = settings_of(data, tmp_path_factory.mktemp("harmonized") / "run")
    settings["models"]["harmonize"] = {"by": "center", "protect": ["T"]}
    study = Study(settings)
    study.run()
    return study


def table_of(study: Study) -> pd.DataFrame:
    """Predictors of a run, as predict reads them."""
    return read_table(study.run_folder / "tables" / "design_matrix.csv").set_index("patient_id")


# -- unstable features --------------------------------------------------------------------------


def test_unstable_features_are_in_no_signature(steady):
    tables = steady.run_folder / "tables"
    found = read_table(tables / "stability.csv").set_index("feature")
    assert list(found.index) == [c for c in table_of(steady) if "__" in c]
    assert found["n"].eq(4).all()
    assert found["simulated"].all()
    unstable = set(found.index[~(found["icc"] >= 0.5)])
    assert 0 < len(unstable) < len(found)
    assert read_table(tables / "stability_failures.csv").empty
    for name in ("radiomics_cox", "combined_cox"):
        model = load_model(steady.run_folder / "models" / name)
        assert model.feature_columns
        assert not unstable & set(model.feature_columns)
        assert not unstable & set(model.preparation_.features_)
        said = [note for note in model.notes_ if "not stable" in note]
        assert said == [
            f"{len(unstable)} of {len(found)} features are not stable (ICC below 0.5) and were left out"
        ]
        assert said[0] in (steady.run_folder / "models" / name / "model.json").read_text()


def test_every_training_fold_learns_what_is_stable(steady):
    """Four patients measured again are two in each training fold here: no fold fails."""
    failed = read_table(steady.run_folder / "tables" / "failed_fits.csv")
    assert failed.empty, failed["message"].tolist()
    predictions = steady.fit().predictions
    assert predictions.groupby("model").size().eq(PATIENTS).all()


def test_without_the_filter_unstable_features_are_chosen(steady):
    """So that their absence above is the filter's doing."""
    X = table_of(steady)
    y = steady.cohort.outcome.loc(X.index)
    options = {"inner_folds": 2, "random_state": steady.settings.seed}
    plain = standard_model("radiomics_cox", steady.settings.models, **options).fit(X, y)
    found = read_table(steady.run_folder / "tables" / "stability.csv").set_index("feature")
    assert (found.loc[plain.feature_columns, "icc"] < 0.5).any()


def test_proportional_hazards_are_tested_on_what_the_cox_model_was_fitted_to(steady):
    """The Rad-score of a patient that helped to make it is another: the test would refuse it."""
    found = read_table(steady.run_folder / "tables" / "proportional_hazards_radiomics_cox.csv")
    assert found["term"].tolist() == ["rad_score", "GLOBAL"]
    assert found["p"].between(0, 1).all()
    assert found["simulated"].all()


def test_a_second_run_computes_nothing_and_changes_no_byte(steady, capsys):
    before = digests(steady.run_folder)
    assert {"tables/stability.csv", "tables/predictions.csv", "models/combined_cox/model.json"} <= set(before)
    again = Study(steady.settings)
    again.run()
    assert again.extract().reused == PATIENTS
    repeats = again.perturb()
    assert repeats.reused == len(repeats.to_frame()) == 4 * 8
    assert digests(steady.run_folder) == before
    assert "cross-validation" not in capsys.readouterr().err
    pd.testing.assert_frame_equal(again.fit().scores, steady.fit().scores, check_exact=True)


def test_another_minimum_is_another_fit(steady, tmp_path):
    """What is left out belongs to the content of a fit: no old model under a new setting."""
    shutil.copytree(steady.run_folder, tmp_path / "run")
    features = steady.settings.features
    strict = features.model_copy(update={"stability": features.stability.model_copy(update={"minimum": 0.8})})
    study = Study(steady.settings.model_copy(update={"features": strict, "output": tmp_path / "run"}))
    study.fit()
    assert study.perturb().reused == 4 * 8
    notes = " ".join(load_model(tmp_path / "run" / "models" / "combined_cox").notes_)
    assert re.search(r"\d+ of \d+ features are not stable \(ICC below 0\.8\)", notes)


# -- two centers --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["radiomics_cox", "combined_cox"])
def test_a_harmonized_model_predicts_the_same_after_it_was_loaded(harmonized, name):
    folder = harmonized.run_folder / "models" / name
    model = load_model(folder)
    steps = json.loads((folder / "model.json").read_text())["model"]["steps"]
    assert steps["preparation"]["harmonization"]["known"] == ["A", "B"]
    assert model.preparation_.harmonization_.batches_ == {"A": PATIENTS // 2, "B": PATIENTS // 2}
    # refitted in memory on the table that the run wrote
    X = read_table(harmonized.run_folder / "tables" / "design_matrix.parquet").set_index("patient_id")
    y = harmonized.cohort.outcome.loc(X.index)
    options = {"inner_folds": 2, "random_state": harmonized.settings.seed}
    fitted = standard_model(name, harmonized.settings.models, **options).fit(X, y)
    np.testing.assert_array_equal(model.predict_risk(X), fitted.predict_risk(X))
    np.testing.assert_array_equal(model.predict_survival(X, [12, 36]), fitted.predict_survival(X, [12, 36]))


def test_the_center_is_taken_out_of_what_the_model_sees(harmonized):
    """Center B against A at the same T, in standard deviations: the features chosen, before and after."""
    X = table_of(harmonized)
    model = load_model(harmonized.run_folder / "models" / "radiomics_cox")
    names = model.preparation_.features_
    design = pd.get_dummies(X["T"]).assign(center=X["center"] == "B").to_numpy(dtype=float)

    def effects(values: pd.DataFrame) -> np.ndarray:
        beta = np.linalg.lstsq(design, values.to_numpy(), rcond=None)[0]
        return np.asarray(np.abs(beta[-1]) / (values.to_numpy() - design @ beta).std(axis=0))

    before, after = effects(X[names]), effects(model.preparation_.feature_part(X)[names])
    assert before.max() > 1
    # 24 patients a center: empirical Bayes leaves about a ninth of a shift that no other feature has
    assert after.max() < 0.2 * before.max()


def test_an_unseen_center_is_refused(harmonized, tmp_path, capsys):
    folder = harmonized.run_folder / "models" / "combined_cox"
    X = table_of(harmonized)
    X.loc[X.index[0], "center"] = "elsewhere"
    with pytest.raises(CohortError, match="column center: elsewhere was not in training"):
        load_model(folder).predict_risk(X)
    X.reset_index().to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "predictions.csv"
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(folder), str(tmp_path / "new.csv"), "--horizons", "24", "--out", str(out)])
    said = capsys.readouterr().err
    assert ended.value.code not in (0, None)
    assert "elsewhere was not in training" in " ".join(said.split())
    assert "Traceback" not in said
    assert not out.exists()


def test_known_centers_are_predicted_from_a_table(harmonized, tmp_path):
    folder = harmonized.run_folder / "models" / "combined_cox"
    table = harmonized.run_folder / "tables" / "design_matrix.csv"
    out = tmp_path / "predictions.csv"
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(folder), str(table), "--horizons", "24", "--out", str(out)])
    assert ended.value.code == 0
    found = read_table(out).set_index("patient_id")
    assert found["survival_24_months"].notna().sum() > 0.9 * PATIENTS
    risk = load_model(folder).predict_risk(table_of(harmonized))
    kept = found["risk"].notna().to_numpy()
    # fewer rows are multiplied at once: sums are rounded in another order
    np.testing.assert_allclose(found["risk"][kept], risk[kept], rtol=0, atol=1e-13)


def test_a_table_without_the_center_is_refused(harmonized):
    model = load_model(harmonized.run_folder / "models" / "radiomics_cox")
    with pytest.raises(CohortError, match="center"):
        model.predict_risk(table_of(harmonized).drop(columns="center"))
