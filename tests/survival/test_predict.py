"""Frozen models on tables as they come: what is read, what is flagged, what is refused with which remedy."""

import json

import numpy as np
import pandas as pd
import pytest

import radiomics_npc as rn
from radiomics_npc.cli import main
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError, HorizonError
from radiomics_npc.storage import read_table
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.prediction import predict
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.models.surrogate import SurrogateModel

SETTINGS = {
    "sequences": {
        "t1": {
            "pyradiomics": {"setting": {"binCount": 32, "resampledPixelSpacing": [1, 1, 1]}},
            "normalize": "body",
        }
    }
}
CLINICAL = ["T", "N", "ebv_dna", "age"]


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def cohort(draw):
    X, y, _ = draw(180, 30, 5, strength=1.6)
    X.insert(3, "age", np.random.default_rng(3).normal(60, 9, len(X)).round(1).clip(35, 82))
    return X, y


@pytest.fixture(scope="module")
def models(cohort, tmp_path_factory):
    """Folders of saved models."""
    X, y = cohort
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for name in ("clinical_cox", "combined_cox", "clinical_boosted"):
        model = standard_model(name).set_params(clinical=CLINICAL).fit(X, y)
        rn.save_model(model, folder / name, name=name, settings={"features": SETTINGS})
        made[name] = folder / name
    made["surrogate"] = folder / "clinical_boosted_surrogate"
    surrogate = SurrogateModel().fit(X, y, model)
    rn.save_model(surrogate, made["surrogate"], name="clinical_boosted_surrogate")
    return made


@pytest.fixture
def table(cohort):
    """Three patients of the cohort, as text."""
    X = cohort[0].iloc[:3][CLINICAL].astype(str)
    return X.rename_axis("patient_id").reset_index()


def written(table, path):
    if path.suffix == ".xlsx":
        table.to_excel(path, index=False)
    else:
        table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["clinical_cox", "clinical_boosted", "surrogate"])
@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_file_gives_what_the_model_gives(models, cohort, table, tmp_path, name, suffix):
    X, _ = cohort
    model = rn.load_model(models[name])
    found = rn.predict(models[name], written(table, tmp_path / f"new{suffix}"), horizons_months=[24, 60])
    made = found.to_frame()
    assert made.index.tolist() == X.index[:3].tolist()
    np.testing.assert_allclose(made["risk"], model.predict_risk(X.iloc[:3]), rtol=0, atol=1e-12)
    columns = ["survival_24_months", "survival_60_months"]
    np.testing.assert_allclose(
        made[columns], model.predict_survival(X.iloc[:3], [24, 60]), rtol=0, atol=1e-12
    )
    limits = made[["survival_24_months_lower", "survival_24_months_upper"]]
    np.testing.assert_allclose(limits, model.predict_interval(X.iloc[:3], 24), rtol=0, atol=1e-12)
    assert made["group"].tolist() == list(model.predict_group(X.iloc[:3]))
    assert made["scored"].all()
    assert set(made["flags"]) == {""}
    none = name != "clinical_cox"
    assert limits.isna().all(axis=None) == none
    assert set(made["interval"]) == {"none" if none else "95%"}
    assert (
        any("no confidence intervals" in n or "without confidence intervals" in n for n in found.notes)
        == none
    )


def test_the_median_is_where_the_curve_first_is_half(cohort):
    """Oracle: the curve itself, month by month."""
    X, y = cohort
    table = X[["N", *[name for name in X if name.endswith(("F0", "F1"))]]]
    model = CoxModel().fit(table, y)
    made = predict(model, table).to_frame()
    times = np.unique(y.time_months[y.event])
    curves = model.predict_survival(table, times)
    for median, curve in zip(made["median_months"], curves, strict=True):
        below = times[curve <= 0.5]
        assert (np.isnan(median) and not len(below)) or median == below[0]
    assert 0 < made["median_months"].notna().sum() < len(X)


def test_headers_and_levels_spelled_otherwise(models, table, cohort):
    plain = predict(models["clinical_cox"], table).to_frame()
    odd = pd.DataFrame({
        "Patient ID": table["patient_id"], "T stage": table["T"].str.lower() + "a ", "n": " c" + table["N"],
        "EBV-DNA": table["ebv_dna"].str[:3].str.upper(), "Age": table["age"],
    })  # fmt: skip
    found = predict(models["clinical_cox"], odd)
    pd.testing.assert_frame_equal(found.to_frame(), plain)
    assert "T read from column 'T stage'" in found.notes
    assert any("read as positive" in note or "read as negative" in note for note in found.notes)


def test_values_never_seen_and_missing_ones_are_named(models, table):
    table.loc[0, "age"], table.loc[1, ["T", "N"]], table.loc[2, "ebv_dna"] = "93.5", ["T9", "N7"], "n/a"
    found = predict(models["clinical_cox"], table)
    made = found.to_frame()
    assert made["scored"].tolist() == [False, False, True]
    assert made["flags"].tolist() == [
        "age: 93.5 is outside 35 to 82",
        "T: T9 is none of T1, T2, T3, T4; N: N7 is none of N0, N1, N2, N3",
        "ebv_dna: missing, filled as in training",
    ]
    numbers = [name for name in made if name == "risk" or name.startswith(("survival", "median"))]
    assert made.iloc[:2][[*numbers, "group"]].isna().all(axis=None)
    assert made["risk"].notna().tolist() == [False, False, True]
    assert found.unscored["patient_id"].tolist() == table["patient_id"].tolist()[:2]


def test_a_bare_cox_model_fills_nothing(cohort):
    X, y = cohort
    model = CoxModel().fit(X[["age", "T"]], y)
    new = X[["age", "T"]].iloc[:2].assign(age=[np.nan, 50.0])
    made = predict(model, new).to_frame()
    assert made["flags"].tolist() == ["age: missing", ""]
    assert made["scored"].tolist() == [False, True]


def test_patients_do_not_depend_on_one_another(models, cohort):
    X, _ = cohort
    together = predict(models["combined_cox"], X.iloc[:20]).to_frame()
    alone = predict(models["combined_cox"], X.iloc[[7]]).to_frame()
    pd.testing.assert_frame_equal(alone, together.iloc[[7]], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns=["age", "T"]), "lacks columns of the model: T, age"),
        (lambda t: t.assign(age=["60", "old", "70"]), "age: 1 of 3 values are no numbers, such as 'old'"),
        (lambda t: t.assign(patient_id=["1", "1", "2"]), "occurs more than once"),
        (lambda t: t.assign(patient_id=["1", " ", "2"]), "without a patient_id"),
        (lambda t: t.iloc[:0], "holds no rows"),
        (lambda t: t.drop(columns="patient_id"), "no column patient_id"),
    ],
)
@pytest.mark.parametrize("as_file", [True, False])
def test_a_bad_table_is_refused_with_a_remedy(models, table, tmp_path, change, words, as_file):
    bad = change(table)
    with pytest.raises(CohortError, match=words) as refused:
        predict(models["clinical_cox"], written(bad, tmp_path / "bad.csv") if as_file else bad)
    assert refused.value.remedy
    assert str(tmp_path) not in str(refused.value)


def test_other_faults_are_refused_with_a_remedy(models, table, cohort, tmp_path):
    with pytest.raises(CohortError, match=r"no\.csv does not exist"):
        predict(models["clinical_cox"], tmp_path / "no.csv")
    with pytest.raises(CohortError, match=r"no\.parquet does not exist"):
        predict(models["clinical_cox"], tmp_path / "no.parquet")
    with pytest.raises(HorizonError, match="nothing at 99 months"):
        predict(models["clinical_cox"], table, horizons_months=[36, 99])
    with pytest.raises(ConfigError, match=r"p\.txt"):
        predict(models["clinical_cox"], table).write(tmp_path / "p.txt")
    with pytest.raises(ConfigError, match="not made with a ForestModel"):
        predict(rn.ForestModel(), table)
    with pytest.raises(CohortError, match="two columns of one name"):
        predict(models["clinical_cox"], pd.concat([table, table[["T"]]], axis=1))


def test_features_that_are_absent_are_named_with_how_they_were_made(models, cohort, table):
    X, _ = cohort
    model = rn.load_model(models["combined_cox"])
    with pytest.raises(CohortError) as refused:
        predict(model, table)
    for word in (f"all {len(model.feature_columns)} radiomic features", model.feature_columns[0],
                 "t1 (normalize body, spacing 1 x 1 x 1 mm, 32 bins)", "--features"):  # fmt: skip
        assert word in str(refused.value)
    one = X.iloc[:3][[*CLINICAL, *model.feature_columns[1:]]]
    if len(model.feature_columns) > 1:
        with pytest.raises(CohortError, match="lacks 1 radiomic features"):
            predict(model, one)


def test_features_may_lie_in_another_table(models, cohort, table, tmp_path):
    X, _ = cohort
    features = X[[name for name in X if "__" in name]].rename_axis("patient_id").iloc[::-1]
    features.reset_index().to_csv(tmp_path / "features.csv", index=False)
    whole = predict(models["combined_cox"], X.iloc[:3]).to_frame()
    found = predict(models["combined_cox"], table, features=tmp_path / "features.csv").to_frame()
    pd.testing.assert_frame_equal(found, whole, rtol=0, atol=1e-12)
    with pytest.raises(CohortError, match="features of none of the patients"):
        predict(models["combined_cox"], table, features=features.add_prefix("x", axis=0))
    other = predict(models["combined_cox"], table, features=features.drop(index=X.index[0])).to_frame()
    assert "features (" in other["flags"].iloc[0] or "missing" in other["flags"].iloc[0]


def test_levels_that_the_surrogate_does_not_use_are_still_checked(models, table):
    table.loc[0, "T"] = "T9"
    made = predict(models["surrogate"], table).to_frame()
    assert made["flags"].str.startswith("T: T9").tolist() == [True, False, False]


def test_simulated_patients_are_said(cohort, table, tmp_path):
    X, y = cohort
    never = Outcome(y.time_months, y.event, y.patient_id, simulated=True)
    model = standard_model("clinical_cox").set_params(clinical=CLINICAL).fit(X, never)
    found = predict(model, table)
    assert found.simulated
    assert found.to_frame()["simulated"].all()
    assert any("never lived" in note for note in found.notes)
    assert found.to_dict()["simulated"] is True
    assert "never lived" in found._repr_html_()


# -- the command -------------------------------------------------------------------------------------


def test_the_command_writes_a_table_and_ends_with_0(models, table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(table, tmp_path / "new.xlsx")
    assert run("predict", models["clinical_cox"], "new.xlsx") == 0
    assert capsys.readouterr().out.strip() == "predictions.csv"
    made = read_table(tmp_path / "predictions.csv")
    assert made["patient_id"].tolist() == table["patient_id"].tolist()
    assert [c for c in made if c.endswith("_lower")] == [
        "survival_36_months_lower",
        "survival_60_months_lower",
    ]
    assert run("predict", models["clinical_cox"], "new.xlsx", "--output", "p.csv", "--horizons", "12,24") == 0
    assert "survival_12_months" in read_table(tmp_path / "p.csv")


def test_the_command_ends_with_1_when_somebody_could_not_be_scored(models, table, tmp_path, capsys):
    table.loc[1, "age"] = "93"
    new = written(table, tmp_path / "new.csv")
    assert run("predict", models["clinical_boosted"], new, "--output", tmp_path / "p.csv") == 1
    said = capsys.readouterr().err
    assert "1 of 3 patients could not be scored" in said
    assert "age: 93 is outside" in said
    assert "no confidence intervals: boosted trees give none" in said
    assert read_table(tmp_path / "p.csv")["scored"].tolist() == [True, False, True]


def test_the_command_prints_json(models, table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table.loc[1, "N"] = "N8"
    assert run("predict", models["clinical_cox"], written(table, tmp_path / "new.csv"), "--json") == 1
    content = json.loads(capsys.readouterr().out)
    assert content["model"] == "clinical_cox"
    assert [row["risk"] is None for row in content["patients"]] == [False, True, False]
    assert content["patients"][1]["flags"] == "N: N8 is none of N0, N1, N2, N3"
    assert not (tmp_path / "predictions.csv").exists()


def test_wrong_commands_end_with_2(models, table, tmp_path, capsys):
    new = written(table.drop(columns="age"), tmp_path / "new.csv")
    assert run("predict", models["clinical_cox"], new) == 2
    assert "lacks columns of the model: age" in capsys.readouterr().err
    assert run("predict", models["clinical_cox"], new, "--horizons", "soon") == 2
    assert "--horizons 24,36" in capsys.readouterr().err


def test_nomogram_of_trees_ends_with_2_and_names_the_surrogate(models, tmp_path, capsys):
    assert run("nomogram", models["clinical_boosted"], "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "no sum of points of one variable each" in error
    assert "clinical_boosted_surrogate" in error
    assert not (tmp_path / "out").exists()
    assert run("nomogram", models["surrogate"], "--out", tmp_path / "out", "--horizons", "24") == 0
    assert (tmp_path / "out" / "nomogram.html").exists()
