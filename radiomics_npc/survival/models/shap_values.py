"""What each column adds to the risk of each patient, by the trees' own exact SHAP values.

References
----------
Lundberg SM et al. From local explanations to global understanding with explainable AI for
trees. Nat Mach Intell 2020;2:56-67 (TreeSHAP, path-dependent). Shapley LS. A value for
n-person games. 1953.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from radiomics_npc.survival.models.boosting import BoostedModel

__all__ = ["ShapValues", "shap_values"]


@dataclass(frozen=True, eq=False)
class ShapValues:
    """SHAP values of some patients.

    Parameters
    ----------
    contributions : DataFrame, shape (n, p)
        By patient and column: what the column adds to the risk. The sum over the columns
        and ``base`` is the risk.
    base : float
        Risk without any column: the mean over the training patients, as the trees weigh them.
    data : DataFrame, shape (n, p)
        The columns' values, those of factors as numbers in the order of their levels.
    ordered : tuple of str
        Columns whose values have an order.
    simulated : bool
        The patients in training never lived.
    """

    contributions: pd.DataFrame
    base: float
    data: pd.DataFrame
    ordered: tuple[str, ...]
    simulated: bool = False

    @property
    def risk(self) -> NDArray[np.float64]:
        """Risk of each patient, shape (n,)."""
        result: NDArray[np.float64] = self.base + self.contributions.to_numpy().sum(axis=1)
        return result

    def to_frame(self) -> pd.DataFrame:
        """Columns by their mean absolute SHAP value, the largest first.

        Returns
        -------
        DataFrame
            column, mean_abs_shap, share; and simulated = True if the patients never lived.
        """
        size = self.contributions.abs().mean(axis=0)
        table = pd.DataFrame({"column": size.index, "mean_abs_shap": size.to_numpy()})
        table["share"] = table["mean_abs_shap"] / max(float(size.sum()), 1e-300)
        table = table.sort_values("mean_abs_shap", ascending=False, kind="stable", ignore_index=True)
        return table.assign(simulated=True) if self.simulated else table

    def _repr_html_(self) -> str:
        who = "simulated patients" if self.simulated else "patients"
        head = f"<p>SHAP values of {len(self.contributions)} {who}, on the scale of the risk</p>"
        return head + self.to_frame().head(20).to_html(index=False, float_format="{:.3g}".format)


def shap_values(model: BoostedModel, X: pd.DataFrame) -> ShapValues:
    """Explain the risks of some patients by the trees of a model.

    Each value is the Shapley value of a column in the game whose coalitions know some
    columns; where a tree asks for one that is not known, both ways are taken, weighted by
    what training sent there (path-dependent). It tells how this model comes to its risk, not
    what causes the outcome, and of correlated columns the trees may credit either.

    Parameters
    ----------
    model : BoostedModel
        Fitted. For a boosted ``PrognosticModel`` its ``last_step``, with ``design(X)`` as X.
    X : DataFrame
        By patient_id.

    Returns
    -------
    ShapValues
        A factor that enters the trees as several columns has the sum of their values.

    Raises
    ------
    CohortError
        No patients, a column is absent, or a factor holds a level not known in training.

    Examples
    --------
    >>> from radiomics_npc.cohort.outcome import Outcome
    >>> random = np.random.default_rng(0)
    >>> X = pd.DataFrame({"age": random.normal(60, 10, 80), "noise": random.normal(size=80)})
    >>> y = Outcome(random.exponential(np.exp(6 - X["age"] / 10)), np.ones(80))
    >>> model = BoostedModel(max_rounds=40).fit(X, y)
    >>> found = shap_values(model, X)
    >>> found.to_frame()["column"].tolist()
    ['age', 'noise']
    >>> bool(np.allclose(found.risk, model.predict_risk(X), atol=1e-5))
    True
    """
    check_is_fitted(model, "columns_")
    parts, base = model.contributions(X)
    names = [model.coding_.source(column) for column in model.columns_]
    sources = list(dict.fromkeys(names))
    member = np.array([[name == source for source in sources] for name in names], dtype=float)
    values = pd.DataFrame(parts @ member, index=X.index, columns=sources)
    coding = model.coding_
    ordered = tuple(name for name in sources if name in coding.numbers or name in coding.ordinal)
    simulated = bool(getattr(model, "simulated_", False))
    return ShapValues(values, base, coding.numbered(X, sources), ordered, simulated)
