"""Answers of boosted trees and forests, from XGBoost's own model format (UBJ)."""

import json
from dataclasses import dataclass

import numpy as np
import xgboost
from numpy.typing import NDArray

from service.errors import ArtifactCorrupt
from worker.estimators.predictors import Floats

LARGEST_MODEL_BYTES = 2**30


@dataclass(frozen=True)
class Boosted:
    """A booster, frozen. XGBoost's prediction is safe in threads for trees and for DART.

    Attributes:
        classes: how many; 0 is a regression.
    """

    booster: xgboost.Booster
    classes: int

    @classmethod
    def from_ubj(cls, content: bytes, *, classes: int, threads: int = 1) -> "Boosted":
        """Reads a model; on a CPU, with `threads`.

        Raises:
            ArtifactCorrupt: not a model that XGBoost can read, or of another number of outputs.
        """
        if not (2 <= len(content) <= LARGEST_MODEL_BYTES and content.startswith(b"{") and content.endswith(b"}")):
            raise ArtifactCorrupt("The model's trees are damaged.")
        booster = xgboost.Booster()
        try:
            booster.load_model(bytearray(content))
            booster.set_param({"nthread": threads, "device": "cpu"})
            learner = json.loads(booster.save_config())["learner"]
        except xgboost.core.XGBoostError as error:
            raise ArtifactCorrupt("The model's trees are damaged.") from error
        if max(int(learner["learner_model_param"]["num_class"]), 1) != (classes if classes > 2 else 1):
            raise ArtifactCorrupt("The model's trees are of another number of classes.")
        return cls(booster, classes)

    @staticmethod
    def from_margins(margins: NDArray[np.float32], *, classes: int) -> Floats:
        """XGBoost's margins → [n, c]: of two classes a margin m is (0, m), else the margins as they are."""
        columns = np.asarray(margins, dtype=np.float64).reshape(len(margins), -1)
        return np.hstack([np.zeros_like(columns), columns]) if classes == 2 else columns

    @property
    def width(self) -> int:
        """How many encoded columns."""
        return int(self.booster.num_features())

    def outputs(self, encoded: Floats) -> Floats:
        """[n, d], NaN where missing → [n, c]; computed in float32 by XGBoost."""
        margins = self.booster.inplace_predict(encoded.astype(np.float32), predict_type="margin")
        return self.from_margins(margins, classes=self.classes)

    def to_ubj(self) -> bytes:
        """What `from_ubj` reads; equal models give equal bytes."""
        return bytes(self.booster.save_raw("ubj"))
