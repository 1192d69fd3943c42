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
PROBES = 16
PANEL_STEPS = 4
EVEN_SHARE = 0.5
"""Of the points, that are spread evenly over the path; the others go where the answer changes. With 32 points of one
Gauss-Legendre rule, small transformers with a sharp turn on the path missed completeness by 14 % at worst (BERT's kind)
and 65 % (GPT-2's); with these panels by 0.1 % and, in one text of 60, by 2 %."""
DOUBLINGS = 2
RELATIVE_TOLERANCE = 0.01
LEAST_CHANGE = 0.5
"""Smaller changes of the margin are measured against this."""


class IntegratedGradients:
    """The method `integrated_gradients`: gradients along the straight line from the hidden text to the text.

    The hidden text has the vector of the mask token (of the padding, if there is no such token) in the place of every
    word; special tokens and positions stay. `steps` gradients are taken where the answer changes most (`path_points`);
    where they do not add up to the change within a hundredth, twice as many, `DOUBLINGS` times at most. What is taken
    apart is the margin, since a sure network's probability is flat: with two classes the log-odds, with more the
    logit, calibrated.
    """

    name = "integrated_gradients"

    def __init__(self, asked: MethodParameters, classes: int) -> None:
        self.steps = asked.steps or STEPS
        self.space: Space = "log_odds" if classes == 2 else "logit"

    @property
    def parameters(self) -> dict[str, Any]:
        """As used; what doubling cost is in the explanation's `evaluations`."""
        return {"steps": self.steps}

    def baseline(self, trained: TrainedText) -> dict[str, Any]:
        """What stood for words where the path begins."""
        if trained.encoder.mask_id is not None:
            return hidden_shows(trained)
        return {"kind": "pad_token", "token": trained.tokenizer.id_to_token(trained.encoder.pad_id)}

    def cost(self, targets: int) -> int:
        """Evaluations for one text at most: the serving answer, the probes, a forward for each step and a backward for
        each step and target.
        """
        steps = sum(self.steps << doubling for doubling in range(DOUBLINGS + 1))
        return 1 + PROBES + 1 + steps * (1 + targets)

    def sketch(self) -> "IntegratedGradients":
        """The same: it is as cheap as it gets."""
        return self

    def attribute(self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter) -> list[Attribution]:
        """The words' shares of each target's margin.

        Raises:
            Stopped: the work was asked to end.
        """
        path = _Path(trained, subject, targets, meter)
        probed = np.linspace(0, 1, PROBES + 1)
        answers = path.answers(probed)
        change = answers[-1] - answers[0]
        for doubling in range(DOUBLINGS + 1):
            of_tokens = path.attributions(*path_points(answers, self.steps << doubling))
            if (np.abs(of_tokens.sum(axis=1) - change) <= tolerances(change)).all():
                break
        m = len(subject.words)
        belongs = (subject.word_of[:, None] == np.arange(m)).astype(np.float64)
        return [
            Attribution(
                index,
                of_tokens[slot] @ belongs,
                base_value=float(answers[0, slot]),
                summed_value=float(answers[0, slot] + of_tokens[slot].sum()),
            )
            for slot, index in enumerate(targets)
        ]


class _Path:
    """The word vectors from the hidden text (0) to the text (1), and what the network makes of them."""

    def __init__(self, trained: TrainedText, subject: Subject, targets: list[int], meter: Meter) -> None:
        self._trained, self._targets, self._meter = trained, targets, meter
        mask_id = trained.encoder.mask_id
        hidden_id = trained.encoder.pad_id if mask_id is None else mask_id
        hidden_ids = np.where(subject.word_of < len(subject.words), hidden_id, subject.ids)
        with torch.inference_mode(False), torch.no_grad():
            self._hidden, text = (trained.embeddings(torch.from_numpy(ids)[None]) for ids in (hidden_ids, subject.ids))
            self._change = text - self._hidden
        self._at_once = texts_at_once(trained, len(subject.ids))

    def answers(self, places: FloatArray) -> FloatArray:
        """[p] places to the margins [p, t] of the targets."""
        found = []
        with torch.inference_mode():
            for part in torch.split(self._at(places), self._at_once):
                found.append(self._margins(part).double().cpu().numpy())
                self._meter.count(forward=len(part))
        return np.concatenate(found)

    def attributions(self, places: FloatArray, shares: FloatArray) -> FloatArray:
        """[t, l]: each token's change times its gradients, averaged over the places [p] with their shares [p]."""
        mean = torch.zeros(len(self._targets), *self._change.shape[1:], dtype=torch.float64, device=self._change.device)
        with torch.inference_mode(False), torch.enable_grad():
            weights = torch.split(torch.from_numpy(shares).to(mean.device), self._at_once)
            for part, weight in zip(torch.split(self._at(places), self._at_once), weights, strict=True):
                entering = part.detach().requires_grad_()
                scores = self._margins(entering).sum(dim=0)
                for slot, score in enumerate(scores):
                    (gradient,) = torch.autograd.grad(score, entering, retain_graph=slot + 1 < len(scores))
                    mean[slot] += (weight[:, None, None] * gradient.double()).sum(dim=0)
                self._meter.count(forward=len(part), backward=len(part) * len(scores))
        of_tokens: FloatArray = (mean * self._change[0].double()).sum(dim=-1).cpu().numpy()
        return of_tokens

    def _at(self, places: FloatArray) -> Tensor:
        where = torch.from_numpy(places).to(self._hidden)
        return self._hidden + where[:, None, None] * self._change

    def _margins(self, embedded: Tensor) -> Tensor:
        mask = torch.ones(embedded.shape[:2], dtype=torch.int64)
        return margins(self._trained, self._trained.logits_from_embeddings(embedded, mask))[:, self._targets]


def path_points(answers: FloatArray, steps: int) -> tuple[FloatArray, FloatArray]:
    """Where on [0, 1] to take gradients, and how much each counts: Gauss-Legendre rules on panels.

    Half of the panels' length follows how much the answers change (their absolute differences), half is even; so a
    short turn gets several panels of its own.

    Args:
        answers: [q, t] at evenly spaced places from 0 to 1.
        steps: how many points.

    Returns:
        places [steps], in order, and their shares [steps], which add up to 1.
    """
    changes = np.abs(np.diff(answers, axis=0))
    totals = changes.sum(axis=0)
    moving = totals > 0
    even = np.full(len(changes), 1 / len(changes))
    density = (changes[:, moving] / totals[moving]).mean(axis=1) if moving.any() else even
    reached = np.concatenate([[0.0], np.cumsum(EVEN_SHARE * even + (1 - EVEN_SHARE) * density)])
    panels = max(1, steps // PANEL_STEPS)
    edges = np.interp(np.linspace(0, reached[-1], panels + 1), reached, np.linspace(0, 1, len(reached)))
    places, shares = [], []
    for low, high, points in zip(edges[:-1], edges[1:], np.array_split(np.arange(steps), panels), strict=True):
        nodes, weights = np.polynomial.legendre.leggauss(len(points))
        places.append(low + (high - low) * (nodes + 1) / 2)
        shares.append((high - low) * weights / 2)
    return np.concatenate(places), np.concatenate(shares)


def margins(trained: TrainedText, logits: Tensor) -> Tensor:
    """[n, c] logits → what the probabilities are made of: the calibrated log-odds of two classes, else the logits."""
    scaled = logits.float() / trained.temperature
    return scaled - scaled.flip(1) if logits.shape[1] == 2 else scaled


def tolerances(changes: FloatArray) -> FloatArray:
    """How far a sum may be from each change of the margin: one part in a hundred of it."""
    return RELATIVE_TOLERANCE * np.maximum(np.abs(changes), LEAST_CHANGE)
