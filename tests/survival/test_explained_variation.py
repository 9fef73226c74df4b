"""R2 and Royston's D against R, lifelines and closed forms."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy.stats import norm, rankdata

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.metrics.explained_variation import explained_variation
from radiomics_npc.survival.models.cox import CoxModel


@pytest.fixture(scope="module")
def lp(gbsg):
    return CoxModel().fit(*gbsg).predict_risk(gbsg[0])


def test_nagelkerke_and_cox_snell_equal_r(lp, gbsg, numbers):
    """A_summary: R2 of cph, and 1 - exp(-LR / n) of its two log likelihoods; tolerance 1e-12."""
    summary = numbers("A_summary")
    null, fitted = summary["loglik"]
    found = explained_variation(lp, gbsg[1])
    assert found.nagelkerke == pytest.approx(summary["R2"], abs=1e-12)
    assert found.likelihood_ratio == pytest.approx(2 * (fitted - null), abs=1e-9)
    assert found.cox_snell == pytest.approx(1 - np.exp(-2 * (fitted - null) / 686), abs=1e-12)
    assert (found.n, found.events) == (686, 299)


def test_royston_d_is_the_cox_fit_on_normal_scores(lp, gbsg):
    """The definition (Royston and Sauerbrei 2004), fitted by lifelines; tolerance 1e-11."""
    y = gbsg[1]
    score = pd.Series(norm.ppf((rankdata(lp, "ordinal") - 3 / 8) / (len(y) + 1 / 4)))
    score = score.groupby(lp).transform("mean")  # two patients are tied
    newton = {"precision": 1e-12, "r_precision": 1e-14, "step_size": 1.0, "max_steps": 100}
    table = pd.DataFrame({"z": score / np.sqrt(8 / np.pi), "time": y.time_months, "event": y.event})
    theirs = CoxPHFitter().fit(table, "time", "event", fit_options=newton)
    found = explained_variation(lp, y)
    d = theirs.params_["z"]
    assert found.royston_d == pytest.approx(d, abs=1e-11)
    assert found.royston_d_se == pytest.approx(theirs.standard_errors_["z"], abs=1e-12)
    spread = d**2 * np.pi / 8
    assert found.royston_r2 == pytest.approx(spread / (np.pi**2 / 6 + spread), abs=1e-12)


def test_d_depends_on_ranks_only_and_r2_on_scale(lp, gbsg):
    one, other = explained_variation(lp, gbsg[1]), explained_variation(3 * lp + 5, gbsg[1])
    assert other.royston_d == pytest.approx(one.royston_d, rel=1e-12)
    assert other.cox_snell < one.cox_snell  # too extreme: not the best multiple
    shifted = explained_variation(lp + 7, gbsg[1])
    assert shifted.nagelkerke == pytest.approx(one.nagelkerke, rel=1e-12)
    assert explained_variation(-lp, gbsg[1]).cox_snell < 0 < one.cox_snell


def test_known_truth():
    """Normal log hazard with standard deviation 1 and no censoring: D is the root of 8 / pi."""
    random = np.random.default_rng(1)
    risk = random.normal(size=20000)
    found = explained_variation(risk, Outcome(random.exponential(np.exp(-risk)), np.ones(20000)))
    assert found.royston_d == pytest.approx(np.sqrt(8 / np.pi), abs=3 * found.royston_d_se)


def test_ties_share_their_scores_and_order_does_not_matter(gbsg):
    X, y = gbsg
    grade = X["grade"].astype(float).to_numpy()
    turn = np.random.default_rng(0).permutation(len(y))
    one, other = explained_variation(grade, y), explained_variation(grade[turn], y.take(turn))
    assert other.royston_d == pytest.approx(one.royston_d, rel=1e-12)
    assert one.royston_d > 0


def test_strata_equal_the_likelihood_of_a_stratified_model(gbsg):
    X, y = gbsg
    model = CoxModel(strata=["grade"]).fit(X, y)
    null = CoxModel(strata=["grade"]).fit(X[["grade"]], y)
    found = explained_variation(model.predict_risk(X), y, strata=X["grade"])
    assert found.likelihood_ratio == pytest.approx(2 * (model.loglik_ - null.loglik_), abs=1e-9)


def test_messy_input_is_refused(lp, gbsg):
    y = gbsg[1]
    with pytest.raises(CohortError, match="same risk"):
        explained_variation(np.zeros(len(y)), y)
    with pytest.raises(CohortError, match="finite"):
        explained_variation(np.where(np.arange(len(y)) == 0, np.nan, lp), y)
    with pytest.raises(CohortError, match="finite"):
        explained_variation(lp[:10], y)
    with pytest.raises(CohortError, match="no patient has an event"):
        explained_variation(lp, Outcome(y.time_months, np.zeros(len(y))))


def test_simulated_is_said(lp, gbsg):
    y = Outcome(gbsg[1].time_months, gbsg[1].event, simulated=True)
    found = explained_variation(lp, y)
    assert found.to_frame()["simulated"].item()
    assert "simulated" in found._repr_html_()
