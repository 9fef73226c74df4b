"""Kaplan-Meier, log-rank and risk groups."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError
from radiomics_npc.survival.estimation.kaplan_meier import kaplan_meier, log_rank
from radiomics_npc.survival.models.groups import RiskGroups


def test_tertiles_and_log_rank_equal_r(gbsg, table, numbers):
    summary, lp = numbers("A_summary"), table("A_pred")["lp"]
    groups = RiskGroups("tertiles").fit(lp)
    np.testing.assert_allclose(groups.cut_points_, summary["tertile_cuts"], atol=1e-9)
    found, expected = log_rank(gbsg[1], groups.predict(lp)), summary["logrank_tertiles"]
    assert found.chi_square == pytest.approx(expected["chisq"], abs=1e-9)
    assert found.p == pytest.approx(expected["p"], rel=1e-9)
    assert found.table["n"].tolist() == expected["n"]
    assert found.table["observed"].tolist() == expected["obs"]
    np.testing.assert_allclose(found.table["expected"], expected["exp"], atol=1e-9)


def test_curve_equals_lifelines(gbsg):
    y = gbsg[1]
    fitter = KaplanMeierFitter().fit(y.time_months, y.event)
    times = np.array([6.0, 24.0, 60.0])
    found = kaplan_meier(y).at(times)
    np.testing.assert_allclose(found["survival"], fitter.predict(times), atol=1e-12)
    limits = fitter.confidence_interval_.iloc[
        [fitter.confidence_interval_.index.searchsorted(t, side="right") - 1 for t in times]
    ]
    np.testing.assert_allclose(found[["lower", "upper"]], limits, atol=1e-9)


def test_numbers_at_risk_and_steps():
    curve = kaplan_meier(Outcome([5, 5, 10, 15], [1, 0, 1, 0]))
    assert curve.at_risk([0, 5, 5.1, 15, 16]).tolist() == [4, 4, 2, 1, 0]
    np.testing.assert_allclose(curve.at([5, 9.9, 10])["survival"], [0.75, 0.75, 0.375])
    assert np.isnan(curve.at([15.1])["survival"].iloc[0])
    assert curve.to_frame()["events"].tolist() == [1, 1, 0]


def test_all_events_ends_at_zero_without_limits():
    curve = kaplan_meier(Outcome([1, 2], [1, 1]))
    assert curve.survival.tolist() == [0.5, 0.0]
    assert np.isnan(curve.upper[-1])


def test_log_rank_is_zero_for_equal_groups_and_needs_two():
    y = Outcome([1, 1, 2, 2, 3, 3], [1, 1, 0, 0, 1, 1])
    assert log_rank(y, [0, 1] * 3).chi_square == pytest.approx(0, abs=1e-12)
    with pytest.raises(CohortError, match="two groups"):
        log_rank(y, [0] * 6)


def test_groups_come_from_training_only():
    groups = RiskGroups("median").fit(np.arange(10.0))
    assert set(groups.predict(np.full(5, 100.0))) == {"high"}
    assert groups.predict([np.nan]).codes.tolist() == [-1]
    with pytest.raises(CohortError, match="unknown"):
        RiskGroups("thirds").fit([1.0])  # type: ignore[arg-type]
