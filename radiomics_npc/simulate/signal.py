r"""Signal of a spin echo, and what gadolinium does to it. Needs numpy alone.

Excitation :math:`\alpha` and an ideal 180 degree pulse (Haacke E.M. et al., Magnetic Resonance
Imaging, 2nd ed., 2014, ch. 8):

.. math:: S = \rho \sin\alpha \,
   \frac{1 - 2 e^{-(TR - TE/2)/T_1} + e^{-TR/T_1}}{1 + \cos\alpha\, e^{-TR/T_1}} \, e^{-TE/T_2},

which is :math:`\rho (1 - e^{-TR/T_1}) e^{-TE/T_2}` for 90 degrees and short TE.
Gadolinium adds :math:`r_1 C` and :math:`r_2 C` to the relaxation rates
(gadoterate in plasma, 37 C: Rohrer M. et al., Invest Radiol 2005; 40:715).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from radiomics_npc.simulate.fields import Array

__all__ = ["RELAXIVITY", "enhance", "spin_echo"]

# r1 and r2 of gadoterate in l/(mmol s)
RELAXIVITY: Final = (3.6, 4.3)


def spin_echo(
    density: Array, t1_ms: Array, t2_ms: Array, *, tr_ms: float, te_ms: float, flip_deg: float = 90.0
) -> Array:
    """Steady-state signal of a spin echo.

    Parameters
    ----------
    density, t1_ms, t2_ms : array
        Of any one shape.
    tr_ms, te_ms : float
    flip_deg : float
        Excitation. Values above 90 are headers that tell the refocusing pulse: 90 is meant.

    Returns
    -------
    array
        Relative to fully relaxed water.

    Examples
    --------
    >>> float(spin_echo(np.float64(1), np.float64(1000), np.float64(100), tr_ms=1e5, te_ms=100).round(4))
    0.3679
    """
    angle = np.radians(min(flip_deg, 90.0))
    recovery = np.exp(-tr_ms / t1_ms)
    longitudinal = 1 - 2 * np.exp(-(tr_ms - te_ms / 2) / t1_ms) + recovery
    longitudinal /= 1 + np.cos(angle) * recovery
    return np.asarray(density * np.sin(angle) * longitudinal * np.exp(-te_ms / t2_ms))


def enhance(t1_ms: Array, t2_ms: Array, concentration_mM: Array) -> tuple[Array, Array]:
    """T1 and T2 after uptake of gadolinium.

    Examples
    --------
    >>> t1, t2 = enhance(np.float64(1000), np.float64(100), np.float64(0.5))
    >>> round(float(t1), 1), round(float(t2), 1)
    (357.1, 82.3)
    """
    r1, r2 = RELAXIVITY
    return (
        1 / (1 / t1_ms + r1 * concentration_mM / 1000),
        1 / (1 / t2_ms + r2 * concentration_mM / 1000),
    )
