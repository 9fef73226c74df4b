"""One look for every figure, applied in a block and never left behind in matplotlib's settings."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radiomics_npc.storage import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GREY", "INK", "PALETTE", "figure_style", "mark_simulated", "new_figure", "save_figure", "svg_of"]

# Okabe M, Ito K. Color universal design (2008): told apart with any color vision.
# The order also gives distinct greys: blue, vermillion, bluish green, orange, ...
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7")
INK = "#1a1a1a"
GREY = "#767676"

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.dpi": 100,
    "font.family": "sans-serif",
    # The first comes with matplotlib: the same figure on every machine. The others are for readers of svg.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "pdf.fonttype": 42,  # embedded TrueType: text stays text
    "savefig.dpi": 300,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "radiomics_npc",  # the same identifiers in every run
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the look inside a ``with`` block; matplotlib's own settings come back after it."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Empty figure of a size in inches, without any window or pyplot state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def mark_simulated(figure: Figure) -> None:
    """Say on a figure, wherever it is shown later, that its patients never lived."""
    figure.suptitle("Simulated patients", x=0.99, ha="right", fontsize=7, style="italic", color="0.4")


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Write a figure whole or not at all, the same bytes every time.

    Parameters
    ----------
    figure : Figure
    path : path
        ``.svg``, ``.pdf`` (fonts embedded) or ``.png`` (300 dpi).

    Returns
    -------
    Path
    """
    path = Path(path)
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {"Software": None}}
    with figure_style(), write_atomic(path) as temporary:
        figure.savefig(temporary, metadata=undated.get(path.suffix.lower()))
    return path


def svg_of(figure: Figure, name: str, description: str) -> str:
    """The figure as an ``<svg>`` element to be placed in a page, text kept as text.

    Parameters
    ----------
    figure : Figure
    name : str
        Prefix of all identifiers, so that several figures live in one page.
    description : str
        What a screen reader says.

    Returns
    -------
    str
        Without metadata, with a viewBox and no fixed size.
    """
    stream = io.StringIO()
    with figure_style():
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.S)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    head, body = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{html.escape(description)}">{body.strip()}'
