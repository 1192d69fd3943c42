"""What answers: the fitted part of a trained model of tables."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Predictor(Protocol):
    """Encoded rows in, outputs out. Safe to call from several threads at once."""

    def outputs(self, encoded: Floats) -> Floats:
        """[n, d] → [n, c] logits before calibration, or [n, 1] values in the target's units.

        Of two classes the difference of the columns is the log-odds of the second.
        """


@dataclass(frozen=True)
class Linear:
    """`encoded @ coef.T + intercept`.

    Attributes:
        coef: [c, d] float64. Of two classes the first row is 0, and the second gives the log-odds.
        intercept: [c] float64.
    """

    coef: Floats
    intercept: Floats

    def outputs(self, encoded: Floats) -> Floats:
        """[n, d] → [n, c]."""
        result: Floats = encoded @ self.coef.T + self.intercept
        return result
