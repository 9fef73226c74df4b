"""Surrogates: what they imitate they reproduce, and how well is told on patients neither has seen."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, ConfigError
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.saved_model import nomogram_of_folder
from radiomics_npc.report.surrogates import section, surrogate_card
from radiomics_npc.survival.metrics.concordance import harrell_c
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.model_file import load_model, save_model
from radiomics_npc.survival.models.standard import standard_model
from radiomics_npc.survival.models.surrogate import SurrogateModel
from radiomics_npc.survival.models.surrogate_cox import SurrogateCox
from radiomics_npc.survival.validation.cross_validated import CrossValidation
from radiomics_npc.survival.validation.cross_validation import cross_validate
from radiomics_npc.survival.validation.fold_fits import FoldTask, fit_copy
from radiomics_npc.survival.validation.surrogate_fidelity import surrogate_fidelity

MODELS = ("clinical_boosted", "combined_boosted")


@pytest.fixture(scope="module")
def cohort(draw):
    X, y, _ = draw(180, 40, 5, strength=1.6)
    X.insert(3, "age", np.random.default_rng(3).normal(60, 9, len(X)))
    return X, y


@pytest.fixture(scope="module")
def boosted(cohort):
    return {name: standard_model(name).fit(*cohort) for name in MODELS}


@pytest.fixture(scope="module")
def surrogates(cohort, boosted):
    return {name: SurrogateModel().fit(*cohort, model) for name, model in boosted.items()}


@pytest.fixture(scope="module")
def validated(cohort):
    models = {name: standard_model(name) for name in ("clinical_cox", *MODELS)}
    X, y = cohort
    return cross_validate(
        models, X, y, folds=3, repeats=2, jobs=1, horizon_months=60, also_months=[24], surrogates=MODELS
    )


# -- the Cox-type model ------------------------------------------------------------------------------


def test_a_surrogate_of_a_cox_model_is_that_model(gbsg):
    """Oracle: R's model A by way of CoxModel: coefficients, baseline, survival of a sum of terms."""
    X, y = gbsg
    cox = CoxModel(splines={"age": 4}).fit(X, y)
    found = SurrogateCox(splines={"age": 4}).fit(X, y, cox.predict_risk(X) - 3)
    np.testing.assert_allclose(found.coef_, cox.coef_, rtol=0, atol=1e-9 * np.abs(cox.coef_).max())
    np.testing.assert_allclose(found.intercept_, -3, rtol=0, atol=1e-9)
    times = [12, 36, 60]
    np.testing.assert_allclose(
        found.predict_survival(X, times), cox.predict_survival(X, times), rtol=0, atol=1e-9
    )
    assert list(found.coef_.index) == list(cox.coef_.index)


def test_coefficients_are_those_of_least_squares(cohort):
    """Oracle: statsmodels' OLS with dummies written by hand; the baseline accounts for every event."""
    import statsmodels.api as sm

    X, y = cohort
    table, wanted = X[["ebv_dna", "age"]], np.sin(X["age"]).to_numpy()
    found = SurrogateCox(min_category=1).fit(table, y, wanted)
    columns = pd.DataFrame({"ebv": (X["ebv_dna"] == "positive").astype(float), "age": X["age"]})
    params = sm.OLS(wanted, sm.add_constant(columns)).fit().params
    np.testing.assert_allclose([found.intercept_, *found.coef_], params, rtol=0, atol=1e-12)
    untied = Outcome(y.time_months + np.arange(len(y)) * 1e-6, y.event, y.patient_id)
    found = SurrogateCox(min_category=1).fit(table, untied, wanted)
    hazard = [
        -np.log(found.predict_survival(table.iloc[[k]], [t]))[0, 0] for k, t in enumerate(untied.time_months)
    ]
    np.testing.assert_allclose(np.sum(hazard), y.event.sum(), rtol=1e-9)


def test_columns_that_follow_from_others_do_no_harm(cohort):
    X, y = cohort
    table = X[["age"]].assign(twice=2 * X["age"], same=1.0)
    found = SurrogateCox().fit(table, y, 0.1 * X["age"])
    np.testing.assert_allclose(found.predict_risk(table) + found.intercept_, 0.1 * X["age"], atol=1e-9)
    assert list(found.dropped_) == ["same"]
    with pytest.raises(CohortError, match="log hazard of every training patient"):
        found.fit(table, y, np.full(len(y), np.nan))


# -- the surrogate of a boosted model ----------------------------------------------------------------


def test_few_terms_and_the_rest_of_the_boosted_model(surrogates, boosted, cohort):
    X, _ = cohort
    clinical, combined = (surrogates[name] for name in MODELS)
    assert {term.name for term in clinical.cox_.terms_} <= {"T", "N", "ebv_dna"}
    assert {term.kind for term in clinical.cox_.terms_} == {"factor"}
    assert {term.name for term in combined.cox_.terms_} <= {"T", "N", "ebv_dna", "rad_score"}
    assert len(combined.feature_columns) <= 15
    assert set(combined.feature_columns) <= set(boosted["combined_boosted"].feature_columns)
    score = combined.rad_score_.transform(X)["rad_score"]
    np.testing.assert_allclose([score.mean(), score.std(ddof=0)], [0, 1], atol=1e-12)
    for name, model in surrogates.items():
        wanted = boosted[name].boosted_.slope_ * boosted[name].predict_risk(X)
        np.testing.assert_allclose(model.log_hazard(X).mean(), wanted.mean(), atol=1e-6)
        assert np.corrcoef(model.log_hazard(X), wanted)[0, 1] > 0.8
        assert np.isnan(model.predict_interval(X, 36)).all()
        # the same log hazard belongs to the same group in both
        cuts = [boosted[name].boosted_.slope_ * cut for cut in boosted[name].groups_.cut_points_]
        np.testing.assert_allclose(np.add(model.groups_.cut_points_, model.cox_.intercept_), cuts, atol=1e-12)


def test_numbers_enter_as_splines_if_they_have_room(cohort):
    X, y = cohort
    settings = standard_model("clinical_boosted").set_params(clinical=["age", "T"], splines={"age": 3})
    model = SurrogateModel(min_share=0.0).fit(X, y, settings.fit(X, y))
    kinds = {term.name: (term.kind, len(term.knots)) for term in model.cox_.terms_}
    assert kinds["age"] == ("spline", 3)
    two = X.assign(age=np.where(X["age"] > 60, 1.0, 0.0))
    model = SurrogateModel(min_share=0.0).fit(two, y, settings.fit(two, y))
    assert {t.name: t.kind for t in model.cox_.terms_}["age"] == "linear"


def test_gaps_are_filled_as_the_boosted_model_fills_them(cohort):
    X, y = cohort
    gaps = X.assign(ebv_dna=X["ebv_dna"].mask(np.arange(len(X)) % 5 == 0))
    feature = next(c for c in X if "__" in c)
    gaps[feature] = gaps[feature].mask(np.arange(len(X)) % 4 == 0)
    model = SurrogateModel().fit(gaps, y, standard_model("combined_boosted").fit(gaps, y))
    assert np.isfinite(model.predict_risk(gaps)).all()


def test_the_order_of_columns_and_of_new_patients_does_not_matter(surrogates, cohort):
    X, _ = cohort
    model = surrogates["combined_boosted"]
    order = np.random.default_rng(0).permutation(len(X))
    again = model.predict_risk(X.iloc[order, ::-1])
    np.testing.assert_allclose(again, model.predict_risk(X)[order], rtol=0, atol=1e-12)


def test_what_has_no_surrogate(cohort):
    X, y = cohort
    with pytest.raises(ConfigError, match="no surrogate is made of a PrognosticModel with learner cox"):
        SurrogateModel().fit(X, y, standard_model("clinical_cox").fit(X, y))
    with pytest.raises(ConfigError, match="no surrogate is made of a CoxModel"):
        SurrogateModel().fit(X, y, CoxModel())
    model = standard_model("clinical_boosted").fit(X, y)
    model.boosted_.slope_ = 0.0
    with pytest.raises(CohortError, match="nothing to imitate"):
        SurrogateModel().fit(X, y, model)


# -- fidelity ----------------------------------------------------------------------------------------


def test_fidelity_is_of_patients_held_out(validated, cohort):
    """Oracle: one fold done by hand, with its seed; numpy and scipy for what is made of the predictions."""
    X, y = cohort
    table = validated.imitations
    rows = table[(table["model"] == "combined_boosted") & (table["repeat"] == 1) & (table["fold"] == 2)]
    seeds = np.random.SeedSequence(0).spawn(2)[1].spawn(4)
    task = FoldTask(
        1, 2, np.flatnonzero(y.patient_id.isin(rows["patient_id"])), int(seeds[3].generate_state(1)[0])
    )
    train = task.training(len(y))
    model = fit_copy(standard_model("combined_boosted"), X.iloc[train], y.take(train), task.seed)
    own = SurrogateModel().fit(X.iloc[train], y.take(train), model)
    held = X.loc[rows["patient_id"]]
    np.testing.assert_array_equal(rows["log_hazard"], model.boosted_.slope_ * model.predict_risk(held))
    np.testing.assert_array_equal(rows["surrogate"], own.log_hazard(held))
    np.testing.assert_array_equal(rows["surrogate_pfs_24"], own.predict_survival(held, [24])[:, 0])
    assert not set(rows["patient_id"]) & set(X.index[train])


def test_numbers_of_the_fidelity(validated, cohort):
    _, y = cohort
    found = surrogate_fidelity(validated.imitations, y)
    estimates = found.of("combined_boosted")
    rows = validated.imitations.query("model == 'combined_boosted'")
    r2, rank, gap, c = [], [], [], []
    for _, repeat in rows.groupby("repeat"):
        parts = [part for _, part in repeat.groupby("fold")]
        total = sum(((p["log_hazard"] - p["log_hazard"].mean()) ** 2).sum() for p in parts)
        r2.append(1 - ((repeat["log_hazard"] - repeat["surrogate"]) ** 2).sum() / total)
        weights = [len(p) for p in parts]
        rank.append([
            np.average([f(p["log_hazard"], p["surrogate"])[0] for p in parts], weights=weights)
            for f in (stats.spearmanr, stats.kendalltau)
        ])  # fmt: skip
        gap.append(np.abs(repeat["pfs_24"] - repeat["surrogate_pfs_24"]).mean())
        ordered = repeat.set_index("patient_id").loc[y.patient_id]
        c.append(
            [harrell_c(y, ordered[k], strata=ordered["fold"]).estimate for k in ("surrogate", "log_hazard")]
        )
    wanted = [np.mean(r2), *np.mean(rank, axis=0), np.mean(gap), *np.mean(c, axis=0)]
    keys = ("r2", "spearman", "kendall", "survival_difference_24", "surrogate_c", "boosted_c")
    np.testing.assert_allclose([estimates[key] for key in keys], wanted, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        estimates["c_difference"], estimates["surrogate_c"] - estimates["boosted_c"], atol=1e-12
    )
    scores = validated.scores.set_index(["model", "metric"])["estimate"]
    for name in MODELS:  # the same trees as in the comparison
        assert found.of(name)["boosted_c"] == pytest.approx(scores[name, "harrell_c"], abs=1e-12)
        assert found.of(name)["r2"] > 0.3


def test_surrogates_are_not_among_the_models_compared(validated, cohort):
    assert validated.models == ["clinical_cox", *MODELS]
    assert set(validated.scores["model"]) == {"clinical_cox", *MODELS}
    assert list(validated.predictions.columns) == [
        "patient_id", "repeat", "fold", "model", "risk", "pfs_24", "pfs_60", "group",
    ]  # fmt: skip
    assert set(validated.imitations["model"]) == set(MODELS)


def test_asking_for_surrogates_changes_no_prediction(validated, cohort):
    X, y = cohort
    alone = cross_validate(
        {"clinical_boosted": standard_model("clinical_boosted")}, X, y,
        folds=3, repeats=2, jobs=1, horizon_months=60, also_months=[24],
    )  # fmt: skip
    same = validated.predictions.query("model == 'clinical_boosted'").reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.predictions, same, check_categorical=False)
    assert alone.imitations.empty
    assert surrogate_fidelity(alone.imitations, y).to_frame().empty


def test_a_validation_that_is_read_again_knows_its_surrogates(validated, cohort, tmp_path):
    validated.write(tmp_path)
    again = CrossValidation.read(tmp_path, cohort[1])
    pd.testing.assert_frame_equal(again.imitations, validated.imitations)


def test_a_perfect_imitation_and_folds_without_any():
    y = Outcome([5.0, 6, 7, 8, 9, 10], [1, 0, 1, 1, 0, 1], list("abcdef"), simulated=True)
    table = pd.DataFrame({
        "patient_id": list("abcdef"), "repeat": 0, "fold": [0, 0, 0, 1, 1, 1], "model": "m",
        "log_hazard": [3.0, 2, 1, 0.5, 0.5, 0.5], "surrogate": [3.0, 2, 1, np.nan, np.nan, np.nan],
        "pfs_6": 0.5, "surrogate_pfs_6": 0.5,
    })  # fmt: skip
    found = surrogate_fidelity(table, y)
    assert found.of("m") == {
        "r2": 1.0, "spearman": 1.0, "kendall": 1.0, "survival_difference_6": 0.0,
        "surrogate_c": 1.0, "boosted_c": 1.0, "c_difference": 0.0,
    }  # fmt: skip
    assert found.to_frame()[["folds", "failed_folds"]].drop_duplicates().to_numpy().tolist() == [[2, 1]]
    assert found.to_frame()["simulated"].all()
    assert "simulated" in found._repr_html_()
    none = surrogate_fidelity(table[table["fold"] == 1], y)
    assert none.of("m") == {}
    assert none.to_frame()["failed_folds"].tolist() == [1]


# -- where it is shown -------------------------------------------------------------------------------


def test_the_nomogram_says_whose_surrogate_it_is(surrogates, cohort, tmp_path):
    X, _ = cohort
    model = surrogates["combined_boosted"]
    model.fidelity_ = {"r2": 0.81, "spearman": 0.9, "survival_difference_36": 0.04}
    save_model(
        model, tmp_path / "combined_boosted_surrogate", name="combined_boosted_surrogate", simulated=True
    )
    drawn = nomogram_of_folder(tmp_path / "combined_boosted_surrogate")
    for word in ('Surrogate of "Combined, boosted trees"', "R² 0.81", "36 months differs by 0.040"):
        assert word in drawn.note
    drawn.write(tmp_path / "out")
    for file in ("nomogram.html", "figures/nomogram.svg"):
        text = (tmp_path / "out" / file).read_text()
        assert "Surrogate of" in text
        assert "0.81" in text
    # read off the nomogram: the surrogate's own survival
    inside = X[drawn_inside(model, X)]
    read = drawn.predict(inside)
    np.testing.assert_allclose(
        read[["survival_36_months", "survival_60_months"]],
        model.predict_survival(inside, [36, 60]),
        atol=1e-9,
    )
    loaded = load_model(tmp_path / "combined_boosted_surrogate")
    assert (loaded.note, loaded.fidelity_) == (model.note, model.fidelity_)
    assert "no confidence" not in Nomogram.from_model(CoxModel().fit(X[["age"]], cohort[1])).note


def drawn_inside(model, X):
    from radiomics_npc.survival.models.training_range import outside_training

    return ~outside_training(model, X).any(axis=1)


def test_trees_have_no_nomogram_and_it_is_said_what_to_draw(boosted, surrogates, tmp_path):
    with pytest.raises(ConfigError, match="no sum of points of one variable each"):
        Nomogram.from_model(boosted["clinical_boosted"])
    folder = tmp_path / "clinical_boosted"
    save_model(boosted["clinical_boosted"], folder, name="clinical_boosted")
    with pytest.raises(ConfigError, match=r"nomogram\.surrogates: true"):
        nomogram_of_folder(folder)
    surrogate = surrogates["clinical_boosted"]
    surrogate.fidelity_ = {"r2": 0.97}
    save_model(surrogate, tmp_path / "clinical_boosted_surrogate", name="clinical_boosted_surrogate")
    with pytest.raises(
        ConfigError, match=r"the folder clinical_boosted_surrogate beside it.* R² 0.97"
    ) as refused:
        nomogram_of_folder(folder)
    assert str(tmp_path) not in str(refused.value)
    with pytest.raises(ConfigError, match="a forest is not saved"):
        nomogram_of_folder(tmp_path / "clinical_forest")


def test_section_and_card(validated, surrogates, cohort):
    found = surrogate_fidelity(validated.imitations, cohort[1])
    shown = section({"surrogates": found.to_frame()}, {})
    for word in (
        "A surrogate has both",
        "held out",
        "Clinical, boosted trees",
        "R² of the log hazard",
        "at 24 months",
    ):
        assert word in shown
    assert "do not count" not in shown
    lost = section({"surrogates": found.to_frame().assign(failed_folds=2)}, {})
    assert "2 of 6" in lost
    model = surrogates["combined_boosted"]
    model.fidelity_ = found.of("combined_boosted")
    card = surrogate_card(model)
    assert card.startswith("# Surrogate of combined, boosted trees\n")
    assert f"- R² of the log hazard: {model.fidelity_['r2']:.3f}" in card
    assert "no confidence intervals" in card
    model.simulated_ = True
    assert "who never lived" in surrogate_card(model)
    assert "Surrogate of combined_boosted" in model._repr_html_()
