"""Model files: what is saved comes back to the last digit, what was changed is refused, nobody is in it."""

import copy
import hashlib
import inspect
import json

import jsonschema
import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.competing import CompetingOutcome
from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.config import config_path
from radiomics_npc.errors import HorizonError, ModelFileError
from radiomics_npc.survival.models import model_file
from radiomics_npc.survival.models import schema_parts as parts
from radiomics_npc.survival.models import schema_preparation as preparation
from radiomics_npc.survival.models import schema_prognostic as prognostic
from radiomics_npc.survival.models import schema_regressions as regressions
from radiomics_npc.survival.models import schema_trees as trees
from radiomics_npc.survival.models.boosting import BoostedModel
from radiomics_npc.survival.models.cox import CoxModel
from radiomics_npc.survival.models.fine_gray import FineGrayModel
from radiomics_npc.survival.models.model_file import load_model, save_model
from radiomics_npc.survival.models.model_schema import DrawsPart, ModelFile
from radiomics_npc.survival.models.multiply_imputed import MultiplyImputedModel
from radiomics_npc.survival.models.preparation import Preparation
from radiomics_npc.survival.models.prognostic import PrognosticModel
from radiomics_npc.survival.models.surrogate import SurrogateModel
from radiomics_npc.survival.models.tree_file import check_trees
from radiomics_npc.survival.preprocessing.harmonization import Combat
from radiomics_npc.survival.preprocessing.iterative_imputation import IterativeImputation
from radiomics_npc.survival.preprocessing.multiple_imputation import MultipleImputation
from radiomics_npc.survival.selection.signature import RadScore

N = 160
TIMES = np.linspace(0, 72, 49)


def cohort(draw, seed):
    """Patients with odd names, numbers, centers and gaps."""
    X, y, _ = draw(N, 24, seed)
    random = np.random.default_rng(seed)
    X.insert(3, "age", random.normal(60, 9, N))
    X.insert(4, "volume", random.gamma(2, 12, N))
    X.insert(5, "center", pd.Categorical(random.choice(["Nord", "Süd"], N, p=[0.55, 0.45])))
    X.index = pd.Index([f"PATIENT-{7500 + k}" for k in range(N)], name="patient_id")
    return X, Outcome(y.time_months, y.event, X.index, name="progression-free survival", simulated=True)


@pytest.fixture(scope="module")
def trained(draw):
    return cohort(draw, 0)


@pytest.fixture(scope="module")
def new(draw):
    """Other patients, some with missing clinical values."""
    X = cohort(draw, 1)[0]
    return X.assign(age=X["age"].mask(np.arange(N) % 7 == 0), N=X["N"].mask(np.arange(N) % 11 == 0))


class OfBoosted:
    """Fits boosted trees, and gives their surrogate."""

    def fit(self, X, y):
        surrogate = SurrogateModel().fit(X, y, KINDS["combined_boosted"]().fit(X, y))
        surrogate.fidelity_ = {"r2": 0.8, "survival_difference_60": 0.03}
        return surrogate


KINDS = {
    "cox": lambda: CoxModel(),
    "cox_rich": lambda: CoxModel(
        splines={"age": 4, "volume": (10.0, 20.0, 45.0)},
        interactions=[("age", "ebv_dna"), ("T", "ebv_dna")],
        strata=["center"],
        penalizer=0.01,
        robust=True,
    ),
    "cox_clusters": lambda: CoxModel(cluster="center"),
    "trees": lambda: BoostedModel(max_rounds=30, patience=10),
    "trees_aft": lambda: BoostedModel(
        objective="aft", distribution="logistic", monotone={"T": 1, "age": -1}, max_rounds=30, patience=10
    ),
    "fine_gray": lambda: FineGrayModel(),
    "imputed": lambda: MultiplyImputedModel(CoxModel(splines={"age": 3}), m=3, rounds=2),
    "clinical_cox": lambda: PrognosticModel(
        "clinical",
        "cox",
        clinical=["T", "N", "age", "volume"],
        splines={"age": 3},
        imputation="iterative",
        risk_groups="maxstat",
    ),
    "combined_cox": lambda: PrognosticModel(
        "combined", "cox", clinical=["T", "N", "age"], harmonize_by="center", protect=["age", "T"]
    ),
    "radiomics_cox": lambda: PrognosticModel("radiomics", "cox", risk_groups="median"),
    "clinical_boosted": lambda: PrognosticModel("clinical", "boosted", clinical=["T", "N", "age"]),
    "combined_boosted": lambda: PrognosticModel(
        "combined",
        "boosted",
        clinical=["T", "N", "age"],
        objective="aft",
        monotone={"T": 1},
        imputation="iterative",
        harmonize_by="center",
        unseen="reference_free",
        risk_groups="maxstat",
    ),
    "stable_boosted": lambda: PrognosticModel("radiomics", "boosted", risk_groups="median"),
    "surrogate": lambda: OfBoosted(),
}
CLINICAL = ["T", "N", "ebv_dna", "age", "volume"]


def table_for(name, X):
    """What a bare model is given: complete clinical columns."""
    if name in ("cox", "fine_gray"):
        return X[CLINICAL].dropna()
    if name in ("cox_rich", "cox_clusters"):
        return X[[*CLINICAL, "center"]].dropna()
    if name == "imputed":
        return X[CLINICAL]
    return X


@pytest.fixture(scope="module")
def fitted(trained):
    X, y = trained
    gaps = X.assign(age=X["age"].mask(np.arange(N) % 9 == 0))
    cause = np.where(y.event, 1 + (np.arange(N) % 3 == 0), 0)
    competing = CompetingOutcome(y.time_months, cause, X.index, name="relapse", simulated=True)
    stability = pd.Series({c: 0.6 + 0.4 * (k % 2) for k, c in enumerate(X.columns) if "__" in c})
    made = {}
    for name, make in KINDS.items():
        model = make()
        if name == "stable_boosted":
            model.set_params(stability=stability)
        bare = name.startswith(("cox", "fine"))
        made[name] = model.fit(table_for(name, X if bare else gaps), competing if name == "fine_gray" else y)
    return made


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {name: save_model(model, root / name, name=name) for name, model in fitted.items()}


@pytest.fixture(scope="module")
def contents(saved):
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in saved.items()}


def signed(content):
    """The same with a hash that fits: only the description itself can refuse it."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(rest, separators=(",", ":"), ensure_ascii=False)
    return {**rest, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def write(folder, content, like=None):
    """A model.json of this text or content, with the trees of another folder."""
    folder.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    (folder / "model.json").write_text(text, encoding="utf-8")
    if like is not None and (like.parent / "model.ubj").exists():
        (folder / "model.ubj").write_bytes((like.parent / "model.ubj").read_bytes())
    return folder


def walk(value, path=()):
    """Every entry with its path; of a list the first and the last one."""
    if path:
        yield path, value
    inside = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list):
        inside = [(k, value[k]) for k in sorted({0, len(value) - 1}) if value]
    for key, item in inside:
        yield from walk(item, (*path, key))


def change(content, path, value):
    made = copy.deepcopy(content)
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value(at[path[-1]]) if callable(value) else value
    return made


# -- round trip ----------------------------------------------------------------------------------


def predictions(model, X):
    made = {"risk": model.predict_risk(X)}
    if isinstance(model, FineGrayModel):
        return made | {"incidence": model.predict_cumulative_incidence(X, TIMES)}
    made["survival"] = model.predict_survival(X, TIMES)
    if not isinstance(model, MultiplyImputedModel):
        made |= {f"interval {h}": model.predict_interval(X, h) for h in (12, 60)}
    if isinstance(model, PrognosticModel):
        made |= {"group": model.predict_group(X).codes}
    return made


@pytest.mark.parametrize("name", KINDS)
def test_a_loaded_model_is_the_model(fitted, saved, new, name):
    """Oracle: the model that was saved; equality to the last bit, and again after a second round."""
    X = table_for(name, new)
    before = predictions(fitted[name], X)
    assert np.isfinite(before["risk"]).all()
    assert np.ptp(before["risk"]) > 0
    loaded = load_model(saved[name])
    for key, values in predictions(loaded, X).items():
        np.testing.assert_array_equal(values, before[key], err_msg=key)
    again = save_model(loaded, saved[name].parent.parent / f"{name} again", name=name)
    assert again.read_bytes() == saved[name].read_bytes()
    assert (saved[name].parent / "model.ubj").exists() == (loaded_trees(name))
    np.testing.assert_array_equal(load_model(again).predict_risk(X), before["risk"])


def loaded_trees(name):
    return "boosted" in name or "trees" in name


@pytest.mark.parametrize("name", KINDS)
def test_what_a_loaded_model_says_of_itself(saved, trained, name):
    loaded = load_model(saved[name].parent)
    assert (loaded.name_, loaded.simulated_) == (name, True)
    assert loaded.outcome_name_ == ("relapse" if name == "fine_gray" else "progression-free survival")
    assert loaded.horizons_months_ == [36.0, 60.0]
    assert "radiomics-npc" in loaded.versions_
    assert loaded.sha256_ == json.loads((saved[name].parent / "model.json").read_text())["sha256"]
    assert "simulated" in loaded._repr_html_()
    assert (loaded.n_, loaded.follow_up_months_) == (N, trained[1].time_months.max())


def test_summary_tables_survive(fitted, saved):
    for name in ("cox_rich", "fine_gray", "imputed", "combined_cox"):
        pd.testing.assert_frame_equal(load_model(saved[name]).to_frame(), fitted[name].to_frame())
    pd.testing.assert_frame_equal(load_model(saved["cox_rich"]).anova(), fitted["cox_rich"].anova())


def test_an_own_word_on_simulation_and_endpoint_reaches_every_part(fitted, tmp_path):
    for name in ("fine_gray", "imputed", "combined_cox"):
        save_model(
            fitted[name], tmp_path / name, name="m", simulated=False, endpoint="OS", settings={"a": [1, None]}
        )
        loaded = load_model(tmp_path / name)
        assert (loaded.simulated_, loaded.outcome_name_, loaded.settings_) == (False, "OS", {"a": [1, None]})
        assert "simulated" not in loaded._repr_html_()
        assert "simulated" not in loaded.to_frame()


def test_horizons(fitted, trained, tmp_path):
    X, y = trained
    model = fitted["cox"]
    path = save_model(model, tmp_path, name="m", horizons_months=[48, 12, 12])
    loaded = load_model(path)
    assert loaded.horizons_months_ == [12.0, 48.0]
    assert load_model(save_model(loaded, tmp_path / "again", name="m")).horizons_months_ == [12.0, 48.0]
    short = CoxModel().fit(X[["age"]], y.censor_at(40))
    assert load_model(save_model(short, tmp_path / "short", name="m")).horizons_months_ == [36.0]
    for horizon in (61, 0, -3, float("nan")):
        with pytest.raises(HorizonError, match="knows nothing at"):
            save_model(model, tmp_path, name="m", horizons_months=[horizon])
    assert load_model(path).horizons_months_ == [12.0, 48.0]


def test_trees_of_a_model_before_are_taken_away(fitted, tmp_path):
    save_model(fitted["trees"], tmp_path, name="m")
    save_model(fitted["cox"], tmp_path, name="m")
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_saving_twice_gives_the_same_bytes(fitted, saved, tmp_path):
    save_model(fitted["combined_boosted"], tmp_path, name="combined_boosted")
    for file in ("model.json", "model.ubj"):
        assert (tmp_path / file).read_bytes() == (saved["combined_boosted"].parent / file).read_bytes()


# -- what cannot be saved ------------------------------------------------------------------------


def test_what_cannot_be_saved(fitted, trained, tmp_path):
    X, y = trained
    forest = PrognosticModel("clinical", "forest", clinical=["T", "age"]).fit(X, y)
    class_of_same_name = type("CoxModel", (), {})
    trees_in_tables = MultiplyImputedModel(BoostedModel(max_rounds=2), m=2, rounds=1).fit(X[["age", "T"]], y)
    for model, message in [
        (forest, "forest is not saved"),
        (forest.forest_, "ForestModel cannot be saved"),
        (object(), "object cannot be saved"),
        (class_of_same_name(), "CoxModel cannot be saved"),
        (CoxModel(), "CoxModel is not fitted"),
        (PrognosticModel(), "PrognosticModel is not fitted"),
        (trees_in_tables, "BoostedModel fitted to several tables cannot be saved"),
    ]:
        with pytest.raises(ModelFileError, match=message):
            save_model(model, tmp_path, name="m")
    for settings in ({"a": {1, 2}}, {"a": float("nan")}, {"a": "\ud800"}, {"a": object()}):
        with pytest.raises(ModelFileError, match="what JSON cannot"):
            save_model(fitted["cox"], tmp_path, name="m", settings=settings)
    with pytest.raises(ModelFileError, match="cannot be saved: name: "):
        save_model(fitted["cox"], tmp_path, name="")
    assert not list(tmp_path.iterdir())


# -- the published schema ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def published():
    return json.loads(config_path("model.schema.json").read_text(encoding="utf-8"))


def test_the_published_schema_is_that_of_the_code(published):
    again = "python -m radiomics_npc.survival.models.model_schema > configs/model.schema.json"
    assert published == ModelFile.model_json_schema(), f"write it again: {again}"
    jsonschema.Draft202012Validator.check_schema(published)


@pytest.mark.parametrize("name", KINDS)
def test_every_file_fits_the_published_schema(published, contents, name):
    validator = jsonschema.Draft202012Validator(published)
    assert [error.message for error in validator.iter_errors(contents[name])] == []
    for path, wrong in [(("n",), 1), (("model", "n"), "160"), (("sha256",), "x"), (("model", "more"), 1)]:
        assert not validator.is_valid(change(contents[name], path, wrong))


@pytest.mark.parametrize(
    ("described", "made"),
    [
        (regressions.CoxParameters, CoxModel),
        (regressions.FineGrayParameters, FineGrayModel),
        (trees.BoostedParameters, BoostedModel),
        (prognostic.PrognosticParameters, PrognosticModel),
        (prognostic.RadScoreParameters, RadScore),
        (preparation.PreparationParameters, Preparation),
        (preparation.CombatParameters, Combat),
        (preparation.RoundsPart, IterativeImputation),
        (DrawsPart, MultipleImputation),
    ],
)
def test_every_parameter_of_an_estimator_is_described(described, made):
    """A parameter that is added later without a word in the schema could not be saved."""
    assert set(described.model_fields) == set(inspect.signature(made).parameters)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cox_rich", "fine_gray", "imputed", "combined_cox", "combined_boosted"])
def test_any_number_or_word_that_was_altered_is_refused(contents, saved, tmp_path, name):
    """A last bit suffices; 40 entries drawn from all."""
    leaves = [(path, value) for path, value in walk(contents[name]) if not isinstance(value, (dict, list))]
    drawn = np.random.default_rng(0).choice(len(leaves), 40, replace=False)
    for path, value in [leaves[k] for k in drawn]:
        other = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: float(np.nextafter(v, 9e9))}
        altered = other.get(type(value), lambda v: f"{v} ")(value)
        write(tmp_path, change(contents[name], path, altered), saved[name])
        with pytest.raises(ModelFileError, match=r"hash does not fit|schema version|no model of this"):
            load_model(tmp_path)


@pytest.mark.parametrize("name", ["cox", "trees", "fine_gray", "imputed", "combined_cox", "combined_boosted"])
def test_every_entry_around_the_model_is_needed(contents, saved, tmp_path, name):
    for key in contents[name]:
        without = {k: v for k, v in contents[name].items() if k != key}
        for broken in (without, without | {f"{key}_": contents[name][key]}):
            for content in (broken, signed(broken) if key != "sha256" else broken):
                with pytest.raises(ModelFileError):
                    load_model(write(tmp_path, content, saved[name]))


@pytest.mark.parametrize("name", KINDS)
def test_no_entry_may_be_of_another_type_or_absent(contents, saved, tmp_path, name):
    """Every entry in turn, with a hash that fits, is made what no model has; refused by the description."""
    from pydantic import ValidationError

    content = contents[name]
    fixed = {
        "terms",
        "baseline",
        "spread",
        "parameters",
        "steps",
        "cox",
        "codes",
        "model",
        "cohort",
        "growth",
    }
    tried = 0
    for path, value in walk({key: item for key, item in content.items() if key not in ("settings", "kind")}):
        with pytest.raises(ValidationError):
            ModelFile.model_validate(change(content, path, {"unexpected": [value]}))
        if isinstance(value, dict) and path[-1] in fixed:
            with pytest.raises(ValidationError):
                ModelFile.model_validate(change(content, path, value | {"unexpected": 1}))
            for key in value:
                optional = key.startswith(("aft_", "monotone_"))
                less = {k: v for k, v in value.items() if k != key}
                if not optional:
                    with pytest.raises(ValidationError):
                        ModelFile.model_validate(change(content, path, less))
        tried += 1
    assert tried > 60
    with pytest.raises(ModelFileError, match=r"does not describe a model: model\.n: "):
        load_model(write(tmp_path, signed(change(content, ("model", "n"), None)), saved[name]))


INCONSISTENT = {
    # file, entry, what it becomes, the entry that the message names
    "a covariance that is not symmetric": ("cox_rich", "model.covariance.0.1", 9.0, "model.covariance"),
    "a negative variance": ("cox", "model.covariance.0.0", -1.0, "model.covariance"),
    "a covariance of fewer columns": ("cox", "model.covariance", [[1.0]], "model.covariance"),
    "a coefficient too many": ("cox", "model.terms.0.coefficients", [0.0] * 9, "model.terms.0.coefficients"),
    "a reference that has an effect": (
        "cox",
        "model.terms.0.coefficients.0",
        0.5,
        "model.terms.0.coefficients",
    ),
    "levels nobody reads": ("cox", "model.terms.0.reads.T1", "T9", "model.terms.0.reads"),
    "a level less counted": ("cox", "model.terms.0.counts", {"T1": 5}, "model.terms.0.counts"),
    "a range upside down": ("cox", "model.terms.3.range", [80.0, 20.0], "model.terms.3.range"),
    "a number without range": ("cox", "model.terms.3.range", None, "model.terms.3.range"),
    "knots that do not ascend": ("cox_rich", "model.terms.3.knots.0", 99.0, "model.terms.3.knots"),
    "two terms of one name": ("cox", "model.terms.4.name", "age", "model.terms"),
    "parts that are no terms": ("cox_rich", "model.terms.-1.parts.0", "weight", "model.terms"),
    "a kind that does not exist": ("cox", "model.terms.0.kind", "cubic", "model.terms.0.kind"),
    "another center": ("cox", "model.center", [1.0], "model.center"),
    "times that do not ascend": ("cox", "model.baseline.time_months.0", 59.9, "model.baseline.time_months"),
    "a hazard that falls": (
        "cox",
        "model.baseline.cumulative_hazard.3",
        0.0,
        "model.baseline.cumulative_hazard",
    ),
    "a negative hazard": (
        "fine_gray",
        "model.baseline.cumulative_hazard.0",
        -0.1,
        "model.baseline.cumulative_hazard.0",
    ),
    "more rows than events": ("cox", "model.events", 3, "model.baseline"),
    "fewer patients than events": ("cox", "model.n", 3, "model.events"),
    "a baseline past the follow-up": ("cox", "model.follow_up_months", 12.0, "model.baseline"),
    "a stratum without baseline": ("cox_rich", "model.strata.stratum.0", "center=West", "model.strata"),
    "strata nobody asked for": ("cox_rich", "model.parameters.strata", [], "model.strata"),
    "strata that do not add up": ("cox_rich", "model.strata.n.0", 1, "model.strata"),
    "strata mixed": ("cox_rich", "model.baseline.stratum.0", "center=Süd", "model.baseline.time_months"),
    "a negative penalty": ("cox", "model.penalizer", -1.0, "model.penalizer"),
    "an unknown parameter": ("cox", "model.parameters.alpha", 1.0, "model.parameters.alpha"),
    "a number as text": ("cox", "model.loglik", "-200", "model.loglik"),
    "a truth value as number": ("cox", "model.loglik", True, "model.loglik"),
    "an enormous integer": ("cox", "model.n", 10**400, "model.n"),
    "an enormous number": ("cox", "model.loglik", 10**400, "model.loglik"),
    "a list too long": ("cox", "model.notes", [""] * 100_001, "model.notes"),
    "a word too long": ("cox", "endpoint", "x" * 10_001, "endpoint"),
    "another cohort": ("cox", "cohort.n", N + 1, "model"),
    "a horizon past the follow-up": ("cox", "horizons_months", [36.0, 600.0], "horizons_months"),
    "horizons out of order": ("cox", "horizons_months", [60.0, 36.0], "horizons_months"),
    "a kind of nobody": ("cox", "kind", "ForestModel", "kind"),
    "a file of another kind": ("cox", "kind", "FineGrayModel", "model.parameters.cause"),
    "trees of a Cox model": ("cox", "trees_sha256", "0" * 64, "trees_sha256"),
    "boosted trees without trees": ("trees", "trees_sha256", None, "trees_sha256"),
    "a boosted model without trees": ("combined_boosted", "trees_sha256", None, "trees_sha256"),
    "coefficients of nothing": ("fine_gray", "model.coefficients", [0.1], "model.coefficients"),
    "more competing events than patients": (
        "fine_gray",
        "model.competing_events",
        N,
        "model.competing_events",
    ),
    "lives that were not simulated": ("fine_gray", "model.simulated", False, "model"),
    "a table too few": ("imputed", "model.parameters.m", 4, "model.models"),
    "tables of other patients": ("imputed", "model.models.1.n", N + 1, "model.models"),
    "an imputation of other width": (
        "imputed",
        "model.imputation.new_patients.coef",
        [[0.0]],
        "model.imputation.new_patients.coef",
    ),
    "an end below its start": (
        "imputed",
        "model.imputation.new_patients.codes.high.0",
        -9.0,
        "model.imputation.new_patients.codes.high",
    ),
    "a column without spread": (
        "imputed",
        "model.imputation.new_patients.codes.scale.0",
        0.0,
        "model.imputation.new_patients.codes.scale.0",
    ),
    "cut points that do not ascend": (
        "combined_cox",
        "model.risk_groups.cut_points.0",
        99.0,
        "model.risk_groups.cut_points",
    ),
    "a cut point too few": (
        "combined_cox",
        "model.risk_groups.cut_points",
        [0.1],
        "model.risk_groups.cut_points",
    ),
    "groups of another kind": ("combined_cox", "model.parameters.risk_groups", "median", "model.risk_groups"),
    "a learner without its step": ("combined_cox", "model.parameters.learner", "boosted", "model.steps"),
    "a content without its step": ("combined_cox", "model.parameters.content", "clinical", "model.steps"),
    "a fill that is no level": (
        "combined_cox",
        "model.steps.preparation.imputation.values.T",
        "T9",
        "model.steps.preparation.imputation.values",
    ),
    "a fill that is no number": (
        "combined_cox",
        "model.steps.preparation.imputation.values.age",
        "old",
        "model.steps.preparation.imputation.values",
    ),
    "clinical columns nobody fills": (
        "combined_cox",
        "model.steps.preparation.parameters.clinical",
        ["T", "N"],
        "model.steps.preparation.imputation",
    ),
    "no harmonization where one is asked for": (
        "combined_cox",
        "model.steps.preparation.harmonization",
        None,
        "model.steps.preparation.harmonization",
    ),
    "shifts of fewer centers": (
        "combined_cox",
        "model.steps.preparation.harmonization.shift",
        [[0.0]],
        "model.steps.preparation.harmonization.shift",
    ),
    "a scale of 0": (
        "combined_cox",
        "model.steps.preparation.harmonization.sd.0",
        0.0,
        "model.steps.preparation.harmonization.sd.0",
    ),
    "other covariates protected": (
        "combined_cox",
        "model.steps.preparation.harmonization.parameters.protect",
        ["T", "age"],
        "model.steps.preparation.harmonization.levels",
    ),
    "a signature of features nobody prepares": (
        "combined_cox",
        "model.steps.rad_score.formula.feature.0",
        "t1__other",
        "model.steps.rad_score",
    ),
    "a weight too few": (
        "combined_cox",
        "model.steps.rad_score.formula.weight",
        [1.0],
        "model.steps.rad_score.formula.weight",
    ),
    "a term that no step gives": (
        "combined_cox",
        "model.steps.cox",
        lambda cox: json.loads(json.dumps(cox).replace("age", "weight")),
        "model.steps.cox",
    ),
    "columns that nobody codes": (
        "combined_boosted",
        "model.steps.boosted.columns.0",
        "weight",
        "model.steps.boosted.columns",
    ),
    "ranges of nothing": ("combined_boosted", "model.steps.boosted.ranges", {}, "model.steps.boosted.ranges"),
    "a range of words for a number": (
        "combined_boosted",
        "model.steps.boosted.ranges.age",
        ["young", "old"],
        "model.steps.boosted.ranges",
    ),
    "another objective": ("trees_aft", "model.parameters.objective", "cox", "model.growth"),
    "a constraint too few": ("trees_aft", "model.growth.monotone_constraints", "(1)", "model.growth"),
    "no trees at all": ("trees", "model.rounds", 0, "model.rounds"),
    "a negative slope": ("trees", "model.slope", -0.5, "model.slope"),
}


@pytest.mark.parametrize("case", INCONSISTENT)
def test_entries_that_do_not_fit_together_are_refused_by_name(contents, saved, tmp_path, case):
    name, entry, value, blamed = INCONSISTENT[case]
    path = [int(key) if key.lstrip("-").isdigit() else key for key in entry.split(".")]
    write(tmp_path, signed(change(contents[name], path, value)), saved[name])
    with pytest.raises(ModelFileError) as refused:
        load_model(tmp_path)
    assert refused.value.message.startswith(f"model.json does not describe a model: {blamed}: "), (
        refused.value
    )
    assert refused.value.remedy
    assert len(str(refused.value)) < 300


def test_every_case_above_is_a_change(contents, saved, tmp_path):
    """The files themselves, signed again in the same way, are taken."""
    for name in {case[0] for case in INCONSISTENT.values()}:
        assert load_model(write(tmp_path, signed(contents[name]), saved[name])).name_ == name


def test_damaged_and_foreign_text_is_refused(contents, saved, tmp_path):
    text = saved["cox"].read_text(encoding="utf-8")
    content = contents["cox"]
    loglik = json.dumps(content["model"]["loglik"])
    damaged = {
        "": "cannot be read",
        "{": "cannot be read",
        "[" * 100_000: "cannot be read",
        '{"a":' * 100_000: "cannot be read",
        "null": "no model of this software",
        "[]": "no model of this software",
        "7": "no model of this software",
        "{}": "no model of this software",
        text + "}": "cannot be read",
        text.replace(loglik, "NaN"): "cannot be read",
        text.replace(loglik, "-Infinity"): "cannot be read",
        text.replace(loglik, "-1e999"): "what JSON cannot",
        text.replace(loglik, "1" * 5000): "cannot be read",
        text.replace('"name": "cox"', '"name": "\\ud800"'): "what JSON cannot",
        text.replace('"name": "cox"', '"name": "cox", "name": "cox"'): "cannot be read",
        "\ufeff" + text: "cannot be read",
        json.dumps({**content, "schema_version": 1}): r"schema version 1, not 2\. Use the version",
        json.dumps({**content, "schema_version": "2"}): "altered",
        json.dumps({**content, "schema_version": [0] * 9999}): "schema version",
        json.dumps({**content, "schema": "other"}): "no model of this software",
        json.dumps({**content, "more": 1}): "altered",
        json.dumps(signed({**content, "more": 1})): "describe a model: more: ",
        json.dumps({**content, "sha256": None}): "altered",
        json.dumps(dict(reversed(content.items()))): "altered",
        json.dumps(content, sort_keys=True): "altered",
    }
    damaged[json.dumps({**content, "schema_version": "2"})] = "schema version 2, not 2"
    damaged |= {text[:at]: "cannot be read" for at in np.linspace(1, len(text) - 3, 12, dtype=int)}
    for broken, message in damaged.items():
        with pytest.raises(ModelFileError, match=message):
            load_model(write(tmp_path, broken))
    (tmp_path / "model.json").write_bytes(b"\xff\xfe\x00" + text.encode())
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_model(tmp_path)
    with pytest.raises(ModelFileError, match=r"no model\.json"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(ModelFileError, match="cannot be read"):
        load_model(tmp_path / "folder.json")


def test_files_too_large_are_not_parsed(saved, tmp_path, monkeypatch):
    for name, message in (("cox", "model.json is larger"), ("trees", "model.ubj is larger")):
        write(tmp_path, saved[name].read_text(encoding="utf-8"), saved[name])
        file = tmp_path / ("model.json" if name == "cox" else "model.ubj")
        monkeypatch.setattr(model_file, "_LARGEST", model_file._LARGEST)
        with file.open("ab") as stream:
            stream.truncate(model_file._LARGEST + 1)
        with pytest.raises(ModelFileError, match=message):
            load_model(tmp_path)


def test_the_order_of_entries_is_part_of_a_model(contents, saved, tmp_path):
    """Some entries are read by position: sorted by another program, the model would be another one."""
    mixed = copy.deepcopy(contents["imputed"])
    levels = mixed["model"]["imputation"]["new_patients"]["codes"]["levels"]
    mixed["model"]["imputation"]["new_patients"]["codes"]["levels"] = dict(sorted(levels.items()))
    assert list(levels) != sorted(levels)
    with pytest.raises(ModelFileError, match="altered"):
        load_model(write(tmp_path, mixed, saved["imputed"]))


@pytest.mark.parametrize("name", ["trees", "combined_boosted"])
def test_other_or_damaged_trees_are_refused(contents, saved, tmp_path, name):
    own = (saved[name].parent / "model.ubj").read_bytes()
    flipped = bytearray(own)
    flipped[len(own) // 2] ^= 1
    others = [(saved[other].parent / "model.ubj").read_bytes() for other in ("clinical_boosted", "trees_aft")]
    for found in (bytes(flipped), b"", own[:-9], b"not trees", *others):
        write(tmp_path, contents[name], saved[name])
        (tmp_path / "model.ubj").write_bytes(found)
        with pytest.raises(ModelFileError, match="altered"):
            load_model(tmp_path)
        if found != bytes(flipped):  # a changed split is a model, too: only the hash tells
            own_hash = {**contents[name], "trees_sha256": hashlib.sha256(found).hexdigest()}
            write(tmp_path, signed(own_hash))
            with pytest.raises(ModelFileError, match=r"holds no trees|trees of another model"):
                load_model(tmp_path)
    (tmp_path / "model.ubj").unlink()
    with pytest.raises(ModelFileError, match="missing beside"):
        load_model(tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_trees_never_reach_xgboost(fitted, seed):
    """It would end the process: cut anywhere, or with a link, a count or a name changed, they are refused."""
    model = fitted["trees"]
    whole = model.trees()
    asked = {"columns": len(model.columns_), "rounds": model.rounds_, "objective": "survival:cox"}
    check_trees(whole, **asked)
    random = np.random.default_rng(seed)
    for at in random.integers(0, len(whole), 40):
        with pytest.raises(ModelFileError, match="holds no trees"):
            check_trees(whole[:at], **asked)
    for name in (b"left_children", b"right_children", b"parents", b"split_indices", b"split_type"):
        start = [k for k in range(len(whole)) if whole.startswith(name, k)][random.integers(model.rounds_)]
        for offset, byte in ((0, 0x21), (len(name) + 2, 0x21), (len(name) + 12, 0x7F)):
            broken = bytearray(whole)
            broken[start + offset] = byte  # a letter of the name, the kind of array, its length
            with pytest.raises(ModelFileError, match=r"holds no trees|lead nowhere"):
                check_trees(bytes(broken), **asked)
    for key, other in (("columns", 99), ("rounds", 1), ("objective", "survival:aft")):
        with pytest.raises(ModelFileError, match=r"of another model|lead nowhere"):
            check_trees(whole, **asked | {key: other})
    for nested in (b"[" * 9999, b"{U\x01a" * 9999, b"[$d#L\x7f" + b"\xff" * 7, b"[$d#i\xff", b"S", b"[#"):
        with pytest.raises(ModelFileError, match="holds no trees"):
            check_trees(nested, **asked)


# -- nobody is in a file -------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_no_patient_is_in_a_file(contents, saved, trained, name):
    """No name; of each column only the few numbers that describe all; of times only those of events."""
    X, y = trained
    folder = saved[name].parent
    for file in folder.iterdir():
        assert b"PATIENT" not in file.read_bytes()
    assert not set(leaves(contents[name])) & {7500 + k for k in range(N)}
    numbers = {value for value in leaves(contents[name]["model"]) if isinstance(value, float)}
    for column in X.select_dtypes("number"):
        # ends and quartiles of the range, a median, up to 7 knots
        assert len(numbers & set(X[column])) <= 11, column
    lost = set(y.time_months[~y.event]) - {y.time_months.max()}
    assert not numbers & lost
    assert len(lost) > 20


def leaves(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inside is None:
        yield value
    else:
        for item in inside:
            yield from leaves(item)


def lists_in(value, path=()):
    if isinstance(value, list):
        yield path, value
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from lists_in(item, (*path, key))


@pytest.mark.parametrize("name", KINDS)
def test_no_list_is_as_long_as_the_cohort_but_that_of_event_times(contents, trained, name):
    """Lists by event time stand under ``baseline`` and ``spread``; all others are shorter than n."""
    _, y = trained
    of_cause = y.event & (np.arange(N) % 3 != 0) if name == "fine_gray" else y.event
    times = np.unique(y.time_months[of_cause])
    by_time = 0
    for path, values in lists_in(contents[name]):
        if "baseline" in path or "spread" in path:
            assert len(values) == len(times), path
            by_time += 1
            if path[-1] == "time_months":
                assert set(values) == set(times)
        else:
            assert len(values) < N, path
    assert by_time


def test_rows_of_patients_have_no_place(contents, saved, tmp_path, trained):
    """Where somebody would put them: among the lists by event time, or under a name of their own."""
    content = contents["cox"]
    X, _ = trained
    for path, value in [
        (("model", "rows"), X["age"].tolist()),
        (("cohort", "patient_id"), X.index.tolist()),
        (("model", "spread", "age"), X["age"].tolist()),
        (("model", "baseline", "age"), X["age"].tolist()),
        (("model", "baseline", "time_months"), np.sort(trained[1].time_months + np.arange(N) / 1e6).tolist()),
    ]:
        with pytest.raises(ModelFileError, match="does not describe"):
            load_model(write(tmp_path, signed(change(content, path, value)), saved["cox"]))


def test_numbers_of_the_description_itself():
    """A limit of lists that no model reaches, and refusals that name the entry inside lists."""
    assert parts.MOST == 100_000
    from pydantic import ValidationError

    from radiomics_npc.survival.models.model_schema import first_fault

    for content, message in [({}, "kind: "), ({"kind": 7}, "kind: "), ([], "kind: "), (None, "kind: ")]:
        with pytest.raises(ValidationError) as error:
            ModelFile.model_validate(content)
        assert first_fault(error.value, content).startswith(message)
