"""Kinds of random draws that patients and series share: factors, and findings that not everybody has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Chances", "Sides"]

Sides = tuple[float, float]


@dataclass(frozen=True)
class Chances:
    """Draws from one random stream, in the order of the calls.

    Parameters
    ----------
    rng : Generator

    Examples
    --------
    >>> chances = Chances(np.random.default_rng(1))
    >>> chances.sometimes(0.0, 2, 8), chances.spread(0.0)
    (0.0, 1.0)
    """

    rng: np.random.Generator

    def spread(self, sigma: float, low: float = 0.2, high: float = 5.0) -> float:
        """A factor around 1, log-normal, within limits."""
        return float(np.clip(np.exp(sigma * self.rng.normal()), low, high))

    def both(self, sigma: float, own: float) -> Sides:
        """A factor that both sides share, and a smaller one of each."""
        shared = self.spread(sigma)
        return shared * self.spread(own), shared * self.spread(own)

    def sometimes(self, chance: float, low: float, high: float) -> float:
        """0, or with a chance a number between two."""
        return float(self.rng.uniform(low, high)) if self.rng.random() < chance else 0.0

    def sometimes_both(self, chance: float, low: float, high: float) -> Sides:
        """The same of either side, each with its own chance."""
        return self.sometimes(chance, low, high), self.sometimes(chance, low, high)
