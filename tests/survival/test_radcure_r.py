"""The clinical Cox model of real patients (RADCURE) beside R, whose numbers benchmarks/radcure.R made."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.config import read_settings
from radiomics_npc.features.merge import design_matrix
from radiomics_npc.study import Study
from radiomics_npc.survival.estimation.competing_risks import cumulative_incidence
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier
from radiomics_npc.survival.metrics.concordance import harrell_c, uno_c
from radiomics_npc.survival.metrics.explained_variation import explained_variation
from radiomics_npc.survival.models.fine_gray import FineGrayModel
from radiomics_npc.survival.models.proportional_hazards import proportional_hazards_test
from radiomics_npc.survival.models.standard import standard_model

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def cohort_and_model(shared):
    settings = read_settings(ROOT / "configs/examples/radcure_npc.yaml")
    cohort = read_cohort(settings.cohort)
    X, y, _ = design_matrix(cohort, clinical=settings.models.clinical)
    model = standard_model("clinical_cox", settings.models, random_state=settings.seed).fit(X, y)
    return cohort, model, model.design(X), y


def test_fitted_model_equals_r(cohort_and_model, numbers):
    _, model, table, y = cohort_and_model
    r, cox = numbers("radcure"), model.cox_
    close = {"rtol": 0, "atol": 1e-11}
    np.testing.assert_allclose(cox.coef_, list(r["coef"].values()), **close)
    np.testing.assert_allclose(np.sqrt(np.diag(cox.covariance_)), list(r["se"].values()), **close)
    assert cox.loglik_ == pytest.approx(r["loglik"], abs=1e-9)
    zph = proportional_hazards_test(cox, table, y).table
    np.testing.assert_allclose(zph["chisq"], r["zph"]["chisq"], **close)
    np.testing.assert_allclose(zph["p"], r["zph"]["p"], **close)
    risk = cox.predict_risk(table)
    for found, wanted in ((harrell_c(y, risk), r["harrell_c"]), (uno_c(y, risk, tau=60), r["uno_c"])):
        np.testing.assert_allclose([found.estimate, found.se], wanted, **close)
    survival, limits = (
        cox.predict_survival(table.iloc[:20], [36, 60]),
        cox.predict_interval(table.iloc[:20], 60),
    )
    np.testing.assert_allclose(survival.T, [r["survival"]["s36"], r["survival"]["s60"]], **close)
    np.testing.assert_allclose(limits.T, [r["survival"]["low60"], r["survival"]["high60"]], **close)
    assert explained_variation(risk, y).nagelkerke == pytest.approx(r["nagelkerke_r2"], abs=1e-12)
    curve = kaplan_meier(y).at([36, 60])
    np.testing.assert_allclose(
        curve[["survival", "lower", "upper"]].T,
        [r["km"][name] for name in ("surv", "lower", "upper")],
        **close,
    )


@pytest.mark.parametrize("name", ["OS", "LRFS", "DMFS"])
def test_endpoints_equal_r(cohort_and_model, numbers, name):
    found = cumulative_incidence(cohort_and_model[0].endpoints[name]).at([36, 60])
    r = numbers("radcure")
    np.testing.assert_allclose(found["incidence"], r[f"incidence_{name}"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["se"], r[f"incidence_se_{name}"], rtol=0, atol=1e-12)


def test_fine_gray_equals_r(cohort_and_model, numbers):
    cohort = cohort_and_model[0]
    endpoint = cohort.endpoints["DMFS"]
    age: pd.DataFrame = cohort.clinical.loc[list(endpoint.patient_id), ["age"]].astype(float)
    row = FineGrayModel().fit(age, endpoint).summary().iloc[0]
    np.testing.assert_allclose([row["coef"], row["se"]], numbers("radcure")["fine_gray"], rtol=0, atol=1e-9)


def test_another_endpoint_can_be_modelled(shared, tmp_path):
    settings = read_settings(ROOT / "configs/examples/radcure_npc.yaml")
    models = settings.models.model_copy(update={"fit": ["clinical_cox"], "endpoint": "OS"})
    validation = settings.validation.model_copy(
        update={"repeats": 1, "bootstrap": 0, "permutations": 0, "learning_curve": False}
    )
    asked = settings.model_copy(update={"models": models, "validation": validation, "nomogram": None})
    study = Study(asked, output=tmp_path / "run", jobs=1)
    found = study.fit()
    assert (found.outcome.name, int(found.outcome.event.sum())) == ("overall survival", 40)
    assert "overall survival" in study.report().read_text(encoding="utf-8")
