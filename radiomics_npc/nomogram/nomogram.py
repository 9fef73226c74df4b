"""A Cox model as a nomogram: points, total points, survival probabilities."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from radiomics_npc.errors import CohortError, HorizonError
from radiomics_npc.nomogram.fitted_cox import checked_quantiles, cox_with_points, hazard_at, told_by
from radiomics_npc.nomogram.interactions import Group, axis_groups, axis_label
from radiomics_npc.nomogram.labels import column_label, with_model_labels
from radiomics_npc.nomogram.precision import Precision
from radiomics_npc.nomogram.scale import PointsScale, scale_of
from radiomics_npc.storage import write_table, write_text
from radiomics_npc.survival.design import Term, encode_terms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from radiomics_npc.nomogram.worked_patient import Patient
    from radiomics_npc.survival.models.groups import RiskGroups

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
    interact : mapping of str to sequence, optional
        For variables with interactions, the values at which they are set to draw the axes of
        another (see :func:`radiomics_npc.nomogram.interactions.axis_groups`).
    quantiles : tuple of float
        Quantiles of survival time with an axis: 0.5 is the median.
    baseline_months, baseline_hazard : tuple of float
        Steps of the baseline cumulative hazard, at a linear predictor of 0; quantiles need them.
    follow_up_months : float, optional
        Where the survival curve ends; by default at the last event.
    precision : Precision, optional
        What confidence intervals need.
    risk_groups : RiskGroups, optional
        With the cut points of the training patients' risks (linear predictors).
    digest : str
        Of the model file, if it was made from one.
    note : str
        What must stand wherever it is shown, such as whose surrogate the model is.

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
    interact: Mapping[str, Sequence[float | str]] = field(default_factory=dict)
    quantiles: tuple[float, ...] = ()
    baseline_months: tuple[float, ...] = ()
    baseline_hazard: tuple[float, ...] = ()
    follow_up_months: float | None = None
    precision: Precision | None = None
    risk_groups: RiskGroups | None = None
    digest: str = ""
    note: str = ""

    @classmethod
    def from_model(
        cls,
        model: Any,
        horizons: Sequence[float] = (36.0, 60.0),
        *,
        outcome: str | None = None,
        simulated: bool | None = None,
        interact: Mapping[str, Sequence[float | str]] | None = None,
        quantiles: Sequence[float] = (),
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
        interact : mapping of str to sequence, optional
            Values at which variables with interactions are set, instead of all levels of a
            factor and round values of a number.
        quantiles : sequence of float
            Survival that defines a time with an axis of its own: 0.5 for the median.

        Raises
        ------
        ConfigError
            The model is no fitted Cox model: a boosted one has no points scale; it has
            strata; or ``interact`` or ``quantiles`` make no sense for it.
        HorizonError
            A horizon is not positive, or past the follow-up of the training patients; or a
            quantile is reached by no total points.
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
            interact=dict(interact or {}),
            quantiles=checked_quantiles(quantiles),
            baseline_months=tuple(map(float, cox.baseline_["time_months"])),
            baseline_hazard=tuple(map(float, cox.baseline_["cumulative_hazard"])),
            follow_up_months=float(cox.follow_up_months_),
            precision=Precision.of(cox) if hasattr(cox, "covariance_") else None,
            risk_groups=getattr(model, "groups_", None),
            digest=told_by(model, cox, "sha256_") or "",
            note=with_model_labels(told_by(model, cox, "note") or ""),
        )
        highest = nomogram.scale.linear_predictor(nomogram.scale.largest_total)  # refuses one without effect
        for q in nomogram.quantiles:
            if np.isnan(nomogram.months_to(q, highest)).all():
                raise HorizonError(
                    f"survival falls to {q:g} for no patient within the follow-up: its time has no axis",
                    "Leave this quantile out.",
                )
        return nomogram

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Variables by the axes that they stand on: one each, but for those that interact."""
        return axis_groups(self.terms, self.interact)

    @cached_property
    def scale(self) -> PointsScale:
        """The points scale."""
        return scale_of({group.name: group.axes() for group in self.groups}, center=self.center)

    @property
    def columns(self) -> list[str]:
        """Columns that :meth:`predict` needs."""
        return [term.name for term in self.terms if term.kind != "interaction"]

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

    def months_to(self, survival: float, linear_predictor: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Months after which survival is at most so much, the median with 0.5; NaN where never reached.

        The first step of the survival curve at or below it, as ``rms::Quantile``.
        """
        lp = np.atleast_1d(np.asarray(linear_predictor, dtype=float))
        wanted = -np.log(survival) * np.exp(-lp - self.center)
        step = np.searchsorted(np.asarray(self.baseline_hazard), wanted)
        result: np.ndarray[Any, np.dtype[np.float64]] = np.append(self.baseline_months, np.nan)[step]
        return result

    def linear_predictor_of(self, survival: float, months: float) -> float:
        """Lowest linear predictor at which survival falls to so much within so many months; inf if none.

        The inverse of :meth:`months_to`.
        """
        known = months <= self.baseline_months[-1] if self.baseline_months else False
        step = np.searchsorted(np.asarray(self.baseline_months), months, side="right")
        if not known or step == 0:
            return float(np.inf)
        return float(np.log(-np.log(survival) / self.baseline_hazard[step - 1]) - self.center)

    def points_of(self, X: pd.DataFrame) -> pd.DataFrame:
        """Points that patients have on the axes of each variable, and ``total_points``.

        Variables that interact have one column together, that of the variable with the axes.

        Raises
        ------
        CohortError
            As :meth:`predict`.
        """
        X = self.completed(X)
        columns = {group.name: self.scale.points(group.name, group.read(X)) for group in self.groups}
        table = pd.DataFrame(columns, index=X.index)
        return table.assign(total_points=table.sum(axis=1))

    def completed(self, X: pd.DataFrame) -> pd.DataFrame:
        """A table with the Rad-score, made from the features if it is not there.

        Raises
        ------
        CohortError
            A column is absent.
        """
        if self.signature is not None and "rad_score" in self.columns and "rad_score" not in X.columns:
            X = X.join(self.signature.transform(X))
        if lacking := [name for name in self.columns if name not in X.columns]:
            raise CohortError(
                f"the table lacks {', '.join(lacking)}", f"The nomogram needs {', '.join(self.columns)}."
            )
        return X

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
        total = self.points_of(X)["total_points"].to_numpy()
        lp = self.scale.linear_predictor(total)
        table = pd.DataFrame({"total_points": total, "linear_predictor": lp}, index=X.index)
        for column, values in zip(self._survival_columns, self.survival(lp).T, strict=True):
            table[column] = values
        return table

    def predict_interval(self, X: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
        """Confidence limits of the survival probabilities, as the Cox model gives them.

        They hold the uncertainty of its coefficients and baseline; not that of a Rad-score's
        coefficients, nor of selection, nor optimism.

        Parameters
        ----------
        X : DataFrame
            As for :meth:`predict`.
        confidence : float

        Returns
        -------
        DataFrame, shape (n, 2 * horizons)
            ``survival_{months}_months_lower`` and ``_upper``.

        Raises
        ------
        CohortError
            As :meth:`predict`, or the nomogram was made without :attr:`precision`.
        """
        if self.precision is None:
            raise CohortError(
                "this nomogram has no confidence intervals: it was made from coefficients alone",
                "Make it from a fitted model.",
            )
        X = self.completed(X)
        lp = self.predict(X)["linear_predictor"]
        matrix = encode_terms(self.terms, X)
        table = pd.DataFrame(index=X.index)
        for name, months in zip(self._survival_columns, self.horizons_months, strict=True):
            limits = self.precision.interval(matrix, lp + self.center, months, confidence=confidence)
            table[[f"{name}_lower", f"{name}_upper"]] = limits
        return table

    @property
    def _survival_columns(self) -> list[str]:
        return [f"survival_{months:g}_months" for months in self.horizons_months]

    def points_table(self) -> pd.DataFrame:
        """Points of every tick: variable, label, value, effect, points.

        With interactions also ``settings``: the values of other variables for which the row holds.
        """
        table = self.scale.to_frame()
        labels = [axis_label(axis.name, axis.settings) for axis in self.scale.axes for _ in axis.points]
        table.insert(1, "label", labels)
        return table

    def total_points_table(self, step: float = 5.0) -> pd.DataFrame:
        """What a total means: total_points, linear_predictor, survival at each horizon, quantiles.

        Parameters
        ----------
        step : float
            Points between two rows.
        """
        total = np.arange(0.0, self.scale.largest_total + 1e-9, step)
        lp = self.scale.linear_predictor(total)
        table = pd.DataFrame({"total_points": total, "linear_predictor": lp})
        table[self._survival_columns] = self.survival(lp)
        for q in self.quantiles:
            table[f"months_to_survival_{q:g}"] = self.months_to(q, lp)
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

    def draw(
        self,
        path: Path | str | None = None,
        *,
        patient: Patient | None = None,
        cohort: pd.DataFrame | None = None,
        caption: str | None = None,
    ) -> Figure:
        """Draw the nomogram.

        Parameters
        ----------
        path : path, optional
            Also write it there: ``.svg``, ``.pdf`` (fonts embedded) or ``.png`` (300 dpi).
        patient : mapping, Series or DataFrame of one row, optional
            A worked patient: marks on each axis, the points written beside them, down to survival.
        cohort : DataFrame, optional
            Patients whose distribution is drawn over each axis and over the total points;
            nothing of it is kept. Who lacks a value or is out of range is left out.
        caption : str, optional
            A sentence under the figure.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        CohortError
            A column is absent, or a value of the patient is missing or outside the training range.
        """
        from radiomics_npc.nomogram.drawing import draw_nomogram
        from radiomics_npc.nomogram.style import save_figure

        figure = draw_nomogram(self, patient=patient, cohort=cohort, caption=caption)
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
            f'<iframe title="Nomogram" srcdoc="{page}" width="100%" height="900" style="border:0"></iframe>'
        )

    def __repr__(self) -> str:
        months = ", ".join(f"{month:g}" for month in self.horizons_months)
        simulated = ", simulated patients" if self.simulated else ""
        return f"<Nomogram of {', '.join(self.columns)}: {self.outcome} at {months} months{simulated}>"
