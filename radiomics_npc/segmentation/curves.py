"""How a training went: a table while it runs, a picture where matplotlib is at hand, TensorBoard if asked."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from radiomics_npc.errors import ConfigError
from radiomics_npc.segmentation.run_files import write_rows

__all__ = ["Curves"]


class Curves:
    """Rows of ``curves.csv``, one every so many steps.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
        Step the training starts from; rows behind it belong to work that was lost.
    tensorboard : bool
        Write event files too.

    Raises
    ------
    ConfigError
        TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, step: int = 0, *, tensorboard: bool = False) -> None:
        self.path = folder / "curves.csv"
        self.rows: list[dict[str, Any]] = [row for row in _read(self.path) if row["step"] <= step]
        self._events: Any = None
        if tensorboard:
            if find_spec("tensorboard") is None:
                raise ConfigError(
                    "tensorboard is not installed",
                    "Install it, or leave tensorboard out of the training file.",
                )
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, row: dict[str, Any]) -> None:
        """Add a row and write the table."""
        self.rows.append(row)
        write_rows(self.path, self.rows)
        if self._events is not None:
            for name, value in row.items():
                self._events.add_scalar(name, value, row["step"])
            self._events.flush()

    def draw(self) -> Path | None:
        """Draw ``curves.png``; None where matplotlib is not installed or nothing was recorded."""
        if find_spec("matplotlib") is None or not self.rows:
            return None
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        steps = [row["step"] for row in self.rows]
        for name, label in (
            ("loss", "loss"),
            ("dice_primary", "1 - Dice, primary tumor"),
            ("dice_nodes", "1 - Dice, nodes"),
        ):
            axes.plot(steps, [row[name] for row in self.rows], label=label, linewidth=1)
        axes.set(xlabel="step", ylabel="training loss", ylim=(0, None))
        axes.legend(frameon=False)
        figure.savefig(self.path.with_suffix(".png"), dpi=120)
        return self.path.with_suffix(".png")


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            {key: int(value) if key == "step" else float(value) for key, value in row.items()}
            for row in csv.DictReader(stream)
        ]
