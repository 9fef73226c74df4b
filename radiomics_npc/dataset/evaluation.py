"""What comes of an evaluation as in a challenge: scores, their summary, ranks, and files of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from radiomics_npc.dataset.evaluation_figures import evaluation_figures
from radiomics_npc.dataset.evaluation_page import evaluation_page
from radiomics_npc.dataset.evaluation_tables import ranking_table, summary_table
from radiomics_npc.nomogram.style import save_figure
from radiomics_npc.report.tables import html_table
from radiomics_npc.segmentation.rank_stability import RankStability
from radiomics_npc.segmentation.ranking import Ranking
from radiomics_npc.storage import write_table, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ChallengeEvaluation"]


@dataclass(frozen=True, eq=False)
class ChallengeEvaluation:
    """Scores of the methods, and their order.

    Parameters
    ----------
    table : DataFrame
        One row a method, case and class: missing (no prediction that could be used), dice, nsd,
        tolerance_mm (of the nsd), hd95_mm, mean_surface_distance_mm, hd_mm, sensitivity, precision, jaccard,
        predicted_cm3, reference_cm3, volume_error_cm3, volume_error_percent, diagonal_mm (of the reference's
        grid), remark.
    summary : DataFrame
        By method, class (``all``: the mean over the classes of a case) and measure, as
        :func:`radiomics_npc.segmentation.evaluation.summarize`: infinite distances stand as the settings say
        and are counted, and ``missing`` counts the cases without a prediction.
    ranking : Ranking, optional
        Of several methods.
    schemes : DataFrame
        Rank of every method by every way of ranking.
    stability : RankStability, optional
        Ranks in bootstrap samples of the cases.
    comparisons : DataFrame
        Every two methods, as :func:`radiomics_npc.segmentation.method_comparison.compare_methods`.
    unscored : DataFrame
        Cases and classes without a reference: method, case, class, reason.
    failures : DataFrame
        Files that could not be used; such predictions are scored as missing.
    settings : mapping
        How it was done.
    simulated : bool
    """

    table: pd.DataFrame
    summary: pd.DataFrame
    ranking: Ranking | None
    schemes: pd.DataFrame
    stability: RankStability | None
    comparisons: pd.DataFrame
    unscored: pd.DataFrame
    failures: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False

    @property
    def methods(self) -> list[str]:
        """Their names, the best first."""
        return list(dict.fromkeys(self.table["method"])) if self.ranking is None else self.ranking.methods

    def to_frame(self) -> pd.DataFrame:
        """One row a method, case and class; simulated, if so."""
        return self.table.assign(simulated=True) if self.simulated else self.table.copy()

    def figures(self) -> dict[str, Figure]:
        """Box plots of Dice, NSD and HD95; of several methods how stable the ranks are, and all rankings."""
        return evaluation_figures(self)

    def write(self, folder: Path | str) -> list[Path]:
        """Write the tables as CSV, the figures as svg and png, and a page of all.

        Parameters
        ----------
        folder : path
            Made if absent.

        Returns
        -------
        list of Path
        """
        folder = Path(folder)
        paths = []
        for name, table in self._tables().items():
            path = folder / f"{name}.csv"
            path.unlink(missing_ok=True)
            if len(table):
                write_table(path, table)
                paths.append(path)
        figures = self.figures()
        for name, figure in figures.items():
            paths += [save_figure(figure, folder / f"{name}.{kind}") for kind in ("svg", "png")]
        write_text(folder / "evaluation.html", evaluation_page(self, figures))
        return [*paths, folder / "evaluation.html"]

    def _tables(self) -> dict[str, pd.DataFrame]:
        nothing = pd.DataFrame()
        return {
            "scores": self.to_frame(), "summary": self.summary,
            "ranking": nothing if self.ranking is None else self.ranking.to_frame(),
            "schemes": self.schemes.assign(simulated=True) if self.simulated else self.schemes,
            "stability": nothing if self.stability is None else self.stability.to_frame(),
            "kendall": nothing if self.stability is None else self.stability.tau_frame(),
            "comparisons": self.comparisons, "unscored": self.unscored, "failures": self.failures,
        }  # fmt: skip

    def _repr_html_(self) -> str:
        who = "simulated patients" if self.simulated else ""
        ranked = "" if self.ranking is None else html_table(ranking_table(self.ranking), who)
        return ranked + html_table(summary_table(self.summary, self.methods), who)

    def __repr__(self) -> str:
        who = " of simulated patients" if self.simulated else ""
        missing = int(self.table["missing"].sum())
        return (
            f"<ChallengeEvaluation: {len(self.methods)} methods, {self.table['case'].nunique()} cases{who},"
            f" {self.table['class'].nunique()} classes, {missing} predictions missing,"
            f" {len(self.unscored)} not scored, {len(self.failures)} failed>"
        )
