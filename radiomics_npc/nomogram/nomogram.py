"""A Cox model as a nomogram: points, total points, survival probabilities."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from radiomics_npc.errors import CohortError
from radiomics_npc.nomogram.fitted_cox import cox_with_points, hazard_at, told_by
from radiomics_npc.nomogram.labels import column_label
from radiomics_npc.nomogram.scale import PointsScale, points_scale
from radiomics_npc.nomogram.terms import read_column, ticks
from radiomics_npc.storage import write_table, write_text
from radiomics_npc.survival.design import Term

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Nomogram"]


@dataclass(frozen=True, eq=False)
class Nomogram:
    """Points scale of a Cox model, and what the total means.

    Made by :meth:`from_model`. It holds coefficients, training ranges and the
    baseline hazard at the horizons, and nothing about any patient.

    Parameters
    ----------
    terms : tuple of Term
        With their coefficients.
    horizons_months : tuple of float
    cumulative_hazard : tuple of float
        Baseline cumulative hazard at each horizon, at a linear predictor of 0.
    center : float
        Subtracted from the sum of effects to give the linear predictor.
    outcome : str
        The endpoint, as printed.
    simulated : bool
        The model was trained on patients that never lived; everything shown says so.
    signature : RadScore, optional
        Makes the column ``rad_score`` from radiomic features.

    Examples
    --------
    >>> nomogram = Nomogram(
    ...     (Term("age", "linear", (0.02,), range=(20, 70)),
    ...      Term("N", "factor", (0.0, 0.8), ("N0", "N1"), reads={"N0": "N0", "N1": "N1"},
    ...           counts={"N0": 50, "N1": 90})),
    ...     horizons_months=(60,), cumulative_hazard=(0.1,))
    >>> patients = pd.DataFrame({"age": [30, 70], "N": ["N1", "N0"]}, index=["001", "002"])
    >>> nomogram.predict(patients).round(3)
         total_points  linear_predictor  survival_60_months
    001         100.0               1.4               0.667
    002         100.0               1.4               0.667
    """

    terms: tuple[Term, ...]
    horizons_months: tuple[float, ...]
    cumulative_hazard: tuple[float, ...]
    center: float = 0.0
    outcome: str = "progression-free survival"
    simulated: bool = False
    signature: Any = None

    @classmethod
    def from_model(
        cls,
        model: Any,
        horizons: Sequence[float] = (36.0, 60.0),
        *,
        outcome: str | None = None,
        simulated: bool | None = None,
    ) -> Nomogram:
        """Make the nomogram of a fitted Cox model.

        Parameters
        ----------
        model : CoxModel, or a standard model whose ``cox_`` is one
        horizons : sequence of float
            Months at which survival is shown.
        outcome : str, optional
            The endpoint as printed; by default what the model says.
        simulated : bool, optional
            By default what the model says.

        Raises
        ------
        ConfigError
            The model is no fitted Cox model: a boosted one has no points scale; or it
            has interactions or strata, which one axis a variable cannot show.
        HorizonError
            A horizon is not positive, or past the follow-up of the training patients.
        CohortError
            No variable of the model changes the risk.
        """
        cox = cox_with_points(model)
        months = tuple(float(month) for month in horizons)
        hazard = hazard_at(cox, months)
        nomogram = cls(
            tuple(cox.terms_),
            months,
            hazard,
            outcome=outcome or told_by(model, cox, "outcome_name_") or "progression-free survival",
            simulated=bool(told_by(model, cox, "simulated_")) if simulated is None else simulated,
            signature=getattr(model, "rad_score_", None),
        )
        _ = nomogram.scale  # refuses a model without effect now, not when it is drawn
        return nomogram

    @cached_property
    def scale(self) -> PointsScale:
        """The points scale."""
        return points_scale({term.name: ticks(term) for term in self.terms}, center=self.center)

    @property
    def columns(self) -> list[str]:
        """Columns that :meth:`predict` needs."""
        return [term.name for term in self.terms]

    def survival(self, linear_predictor: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Survival probability at each horizon, shape (n, horizons)."""
        lp = np.atleast_1d(np.asarray(linear_predictor, dtype=float))
        result: np.ndarray[Any, np.dtype[np.float64]] = np.exp(-np.outer(np.exp(lp), self.hazards))
        return result

    @property
    def hazards(self) -> tuple[float, ...]:
        """Cumulative hazard at each horizon where the (centered) linear predictor is 0."""
        return tuple(float(hazard * np.exp(self.center)) for hazard in self.cumulative_hazard)

    def linear_predictor_at(self, survival: Any, horizon: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Linear predictor that gives a survival probability at the horizon of that position."""
        hazard = self.hazards[horizon]
        result: np.ndarray[Any, np.dtype[np.float64]] = np.log(-np.log(np.asarray(survival)) / hazard)
        return result

    def predict(self, X: pd.DataFrame) -> pd.DataFrame:
        """Read patients off the nomogram.

        Parameters
        ----------
        X : DataFrame, shape (n, columns)
            By patient_id, with at least :attr:`columns`. Other columns are ignored.
            Without ``rad_score``, it is made from the features of the signature.

        Returns
        -------
        DataFrame, shape (n, 2 + horizons)
            ``total_points``, ``linear_predictor`` and ``survival_{months}_months``.

        Raises
        ------
        CohortError
            A column is absent, or a value is missing or outside the training range.
        """
        if self.signature is not None and "rad_score" in self.columns and "rad_score" not in X.columns:
            X = X.join(self.signature.transform(X))
        lacking = [name for name in self.columns if name not in X.columns]
        if lacking:
            raise CohortError(
                f"the table lacks {', '.join(lacking)}", f"The nomogram needs {', '.join(self.columns)}."
            )
        total = np.zeros(len(X))
        for term in self.terms:
            total += self.scale.points(term.name, read_column(term, X[term.name]))
        lp = self.scale.linear_predictor(total)
        table = pd.DataFrame({"total_points": total, "linear_predictor": lp}, index=X.index)
        for column, values in zip(self._survival_columns, self.survival(lp).T, strict=True):
            table[column] = values
        return table

    @property
    def _survival_columns(self) -> list[str]:
        return [f"survival_{months:g}_months" for months in self.horizons_months]

    def points_table(self) -> pd.DataFrame:
        """Points of every tick: variable, label, value, effect, points."""
        table = self.scale.to_frame()
        table.insert(1, "label", table["variable"].map(column_label))
        return table

    def total_points_table(self, step: float = 5.0) -> pd.DataFrame:
        """What a total means: total_points, linear_predictor, survival at each horizon.

        Parameters
        ----------
        step : float
            Points between two rows.
        """
        total = np.arange(0.0, self.scale.largest_total + 1e-9, step)
        lp = self.scale.linear_predictor(total)
        table = pd.DataFrame({"total_points": total, "linear_predictor": lp})
        table[self._survival_columns] = self.survival(lp)
        return table

    def formula(self) -> pd.DataFrame:
        """The Rad-score: feature, label, coefficient; the intercept first. Empty without a signature."""
        columns = ["feature", "label", "coefficient"]
        if self.signature is None:
            return pd.DataFrame(columns=columns)
        table = self.signature.formula_[["feature", "coefficient"]]
        first = pd.DataFrame({"feature": ["intercept"], "coefficient": [self.signature.intercept_]})
        table = pd.concat([first, table], ignore_index=True)
        return table.assign(label=table["feature"].map(column_label))[columns]

    def to_frame(self) -> pd.DataFrame:
        """The points table."""
        return self.points_table()

    def draw(self, path: Path | str | None = None) -> Figure:
        """Draw the nomogram.

        Parameters
        ----------
        path : path, optional
            Also write it there: ``.svg``, ``.pdf`` (fonts embedded) or ``.png`` (300 dpi).

        Returns
        -------
        matplotlib.figure.Figure
        """
        from radiomics_npc.nomogram.drawing import draw_nomogram
        from radiomics_npc.nomogram.style import save_figure

        figure = draw_nomogram(self)
        if path is not None:
            save_figure(figure, path)
        return figure

    def write(self, folder: Path | str) -> list[Path]:
        """Write ``nomogram.html``, the figure (svg, pdf, png) and the tables into a run folder.

        Returns
        -------
        list of Path
            What was written, the page first.
        """
        from radiomics_npc.nomogram.page import nomogram_page
        from radiomics_npc.nomogram.style import save_figure

        folder = Path(folder)
        page = folder / "nomogram.html"
        write_text(page, nomogram_page(self))
        figure = self.draw()
        drawn = [
            save_figure(figure, folder / "figures" / f"nomogram.{kind}") for kind in ("svg", "pdf", "png")
        ]
        points = folder / "tables" / "nomogram_points.csv"
        totals = folder / "tables" / "nomogram_total_points.csv"
        write_table(points, self.points_table())
        write_table(totals, self.total_points_table())
        written = [page, *drawn, points, totals]
        if self.signature is not None:
            written.append(folder / "tables" / "rad_score.csv")
            write_table(written[-1], self.formula())
        return written

    def _repr_html_(self) -> str:
        """Show the interactive page inside a notebook."""
        from radiomics_npc.nomogram.page import nomogram_page

        page = html.escape(nomogram_page(self))
        return (
            f'<iframe title="Nomogram" srcdoc="{page}" width="100%" height="760" style="border:0"></iframe>'
        )

    def __repr__(self) -> str:
        months = ", ".join(f"{month:g}" for month in self.horizons_months)
        simulated = ", simulated patients" if self.simulated else ""
        return f"<Nomogram of {', '.join(self.columns)}: {self.outcome} at {months} months{simulated}>"
