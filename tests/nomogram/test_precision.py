"""Confidence intervals of the nomogram: those of R's survest and of the model it was made from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radiomics_npc.cohort.outcome import Outcome
from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.nomogram.nomogram import Nomogram
from radiomics_npc.nomogram.precision import Precision
from radiomics_npc.survival.models.cox import CoxModel


def test_intervals_equal_r(model, gbsg, reference):
    """rms::survest of all 686 patients at 60 months, within 1e-9."""
    expected = reference("A_pred.csv")
    found = Nomogram.from_model(model).predict_interval(gbsg[0])
    limits = found[["survival_60_months_lower", "survival_60_months_upper"]]
    np.testing.assert_allclose(limits, expected[["lo60", "hi60"]], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"splines": {"age": 4, "size": 3}},
        {"interactions": [("age", "grade"), ("hormon", "grade")]},
        {"penalizer": 0.1},
        {"robust": True},
    ],
)
def test_intervals_are_those_of_the_model(gbsg, options):
    cox = CoxModel(min_category=1, **options).fit(*gbsg)
    nomogram = Nomogram.from_model(cox, [12, 36, 60])
    for confidence in (0.95, 0.8):
        found = nomogram.predict_interval(gbsg[0], confidence=confidence).to_numpy()
        for k, months in enumerate((12, 36, 60)):
            expected = cox.predict_interval(gbsg[0], months, confidence=confidence)
            np.testing.assert_allclose(found[:, 2 * k : 2 * k + 2], expected, rtol=0, atol=1e-12)
    assert nomogram.precision.penalized == ("penalizer" in options)


def test_a_shifted_center_changes_nothing(model, gbsg):
    plain = Nomogram.from_model(model)
    parts = {name: getattr(plain, name) for name in ("terms", "horizons_months", "precision")}
    shifted = Nomogram(**parts, cumulative_hazard=plain.cumulative_hazard, center=1.7)
    pd.testing.assert_frame_equal(
        shifted.predict_interval(gbsg[0]), plain.predict_interval(gbsg[0]), rtol=0, atol=1e-12
    )


def test_limits_hold_the_estimate_and_narrow_with_confidence(model, gbsg):
    nomogram = Nomogram.from_model(model)
    estimate = nomogram.predict(gbsg[0])["survival_36_months"]
    wide, narrow = (nomogram.predict_interval(gbsg[0], confidence=level) for level in (0.99, 0.5))
    for limits in (wide, narrow):
        assert (limits["survival_36_months_lower"] < estimate).all()
        assert (limits["survival_36_months_upper"] > estimate).all()
    assert (wide["survival_36_months_lower"] < narrow["survival_36_months_lower"]).all()


def test_a_time_without_a_baseline_is_refused():
    random = np.random.default_rng(5)
    X = pd.DataFrame({"x": random.normal(size=60)}).rename(index=str)
    y = Outcome(random.uniform(5, 50, 60), np.ones(60), X.index)
    known = Precision.of(CoxModel().fit(X, y))
    for months in (1.0, 50.5):
        with pytest.raises(HorizonError, match="no interval"):
            known.interval(X, X["x"], months)


def test_coefficients_alone_have_no_interval(npc):
    with pytest.raises(CohortError, match="no confidence intervals"):
        npc.predict_interval(pd.DataFrame({"age": [50]}))
