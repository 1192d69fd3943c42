"""Integrated gradients over word vectors (Sundararajan et al. 2017, arXiv:1703.01365)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from service.specs.explanations import MethodParameters
from worker.backbones.trained_text import TrainedText
from worker.explaining.meter import Meter
from worker.explaining.results import Attribution, FloatArray, Space
from worker.explaining.text.subject import Subject, hidden_shows, texts_at_once

STEPS = 32
RELATIVE_TOLERANCE = 0.01
LEAST_CHANGE = 0.5
"""Smaller changes of the margin are measured against this."""


class IntegratedGradients:
    """The method `integrated_gradients`: gradients along the straight line from the hidden text to the text.

    The hidden text has the vector of the mask token (of the padding, if there is no such token) in the place of every
    word; special tokens and positions stay. The integral is a Gauss-Legendre sum of `steps` points. What is taken
    apart is the margin, since a sure network's probability is flat: with two classes the log-odds, with more the
    logit, calibrated.
    """

    name = "integrated_gradients"

    def __init__(self, asked: MethodParameters, classes: int) -> None:
        self.steps = asked.steps or STEPS
        self.space: Space = "log_odds" if classes == 2 else "logit"

    @property
    def parameters(self) -> dict[str, Any]:
        """As used."""
        return {"steps": self.steps}

    def baseline(self, trained: TrainedText) -> dict[str, Any]:
        """What stood for words where the path begins."""
        if trained.encoder.mask_id is not None:
            return hidden_shows(trained)
        return {"kind": "pad_token", "token": trained.tokenizer.id_to_token(trained.encoder.pad_id)}

    def cost(self, targets: int) -> int:
        """Evaluations for one text: the serving and the hidden answer, and for each step a forward and a backward for
        each target.
        """
        return 2 + self.steps * (1 + targets)

    def sketch(self) -> "IntegratedGradients":
        """The same: it is as cheap as it gets."""
        return self

    def attribute(self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter) -> list[Attribution]:
        """The words' shares of each target's margin.

        Raises:
            Stopped: the work was asked to end.
        """
        owner, m = subject.word_of, len(subject.words)
        hidden_id = trained.encoder.mask_id
        hidden_id = trained.encoder.pad_id if hidden_id is None else hidden_id
        hidden_ids = np.where(owner < m, hidden_id, subject.ids)
        with torch.inference_mode(False), torch.no_grad():
            text, hidden = (trained.embeddings(torch.from_numpy(ids).unsqueeze(0)) for ids in (subject.ids, hidden_ids))
            mask = torch.ones(1, len(subject.ids), dtype=torch.int64)
            base = margins(trained, trained.logits_from_embeddings(hidden, mask))[0, targets].double().cpu().numpy()
        meter.count(forward=1)
        gradients = self._mean_gradients(trained, hidden, text - hidden, targets, meter)
        shares = (gradients * (text - hidden)[0].double()).sum(dim=-1).cpu().numpy()
        values: FloatArray = shares @ (owner[:, None] == np.arange(m + 1)).astype(np.float64)
        return [
            Attribution(
                index,
                values[slot, :m],
                base_value=float(base[slot]),
                summed_value=float(base[slot] + values[slot].sum()),
            )
            for slot, index in enumerate(targets)
        ]

    def _mean_gradients(
        self, trained: TrainedText, hidden: Tensor, change: Tensor, targets: list[int], meter: Meter
    ) -> Tensor:
        """[t, l, d] float64: the targets' gradients, averaged along the path."""
        nodes, weights = np.polynomial.legendre.leggauss(self.steps)
        places = torch.from_numpy((nodes + 1) / 2).to(hidden)
        shares = torch.from_numpy(weights / 2).to(hidden.device)
        mean = torch.zeros(len(targets), *hidden.shape[1:], dtype=torch.float64, device=hidden.device)
        at_once = texts_at_once(trained, hidden.shape[1])
        with torch.inference_mode(False), torch.enable_grad():
            for place, share in zip(torch.split(places, at_once), torch.split(shares, at_once), strict=True):
                path = (hidden + place[:, None, None] * change).detach().requires_grad_()
                mask = torch.ones(path.shape[:2], dtype=torch.int64)
                scores = margins(trained, trained.logits_from_embeddings(path, mask))[:, targets].sum(dim=0)
                for slot, score in enumerate(scores):
                    (gradient,) = torch.autograd.grad(score, path, retain_graph=slot + 1 < len(scores))
                    mean[slot] += (share[:, None, None] * gradient.double()).sum(dim=0)
                meter.count(forward=len(path), backward=len(path) * len(targets))
        return mean


def margins(trained: TrainedText, logits: Tensor) -> Tensor:
    """[n, c] logits → what the probabilities are made of: the calibrated log-odds of two classes, else the logits."""
    scaled = logits.float() / trained.temperature
    return scaled - scaled.flip(1) if logits.shape[1] == 2 else scaled


def completeness_tolerance(base: float, output: float) -> float:
    """How far base + sum may be from the output: one part in a hundred of the change."""
    return RELATIVE_TOLERANCE * max(abs(output - base), LEAST_CHANGE)
