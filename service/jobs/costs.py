"""What a job costs at most: every trial, every epoch, the largest values of what is tuned."""

from service.errors import BudgetExceeded, Fault
from service.jobs.schemas import CostEstimate
from service.specs.backbones import CATALOGUE
from service.specs.jobs import JobSpec
from service.specs.points import trials_planned
from service.specs.resolving import DatasetFacts, default_image_size, tokens_needed
from service.specs.search_space import backbones_of, edges_of, largest

MOST_PIXELS = 10**15
"""Pixels of samples that a job may train on: 1,000 trials of 30 epochs over 600,000 samples of 224 x 224."""
MOST_TOKENS = 10**13
"""Tokens of texts: 1,000 trials of 30 epochs over a million of 256."""
MOST_PASSES = 10**12
"""Passes of samples, whatever they are: 1,000 trials of 1,000 epochs over a million."""


def cost_of(spec: JobSpec, facts: DatasetFacts) -> CostEstimate:
    """Of a resolved spec."""
    split, trials = spec.split, trials_planned(spec)
    train = round(facts.samples * (1 - split.validation - split.test))
    epochs: int = largest(spec, "training.epochs")
    passes = train * epochs * trials
    pixels = passes * _largest_size(spec, facts) ** 2 if spec.problem == "image_classification" else 0
    tokens = passes * _most_tokens(spec, facts) if spec.problem == "text_classification" else 0
    return CostEstimate(
        trials=trials, epochs=epochs, train_samples=train, sample_passes=passes, pixels=pixels, tokens=tokens
    )


def check_budget(cost: CostEstimate) -> None:
    """Raises `BudgetExceeded` for what is out of all proportion."""
    if cost.pixels > MOST_PIXELS or cost.tokens > MOST_TOKENS or cost.sample_passes > MOST_PASSES:
        rule = (
            f"trials x epochs x train samples must not pass {MOST_PASSES:.0e}, x pixels {MOST_PIXELS:.0e}, "
            f"x tokens {MOST_TOKENS:.0e}"
        )
        raise BudgetExceeded("The job is too large.", errors=[Fault(("body",), "budget", rule)])


def _largest_size(spec: JobSpec, facts: DatasetFacts) -> int:
    """Of a picture in any trial, in pixels per side; where none is said, backbones have their own."""
    said = edges_of(spec, "training.image_size")
    own = [default_image_size(name, facts.median_side) for name in backbones_of(spec)] if None in said else []
    return max([*own, *(size for size in said if isinstance(size, int))])


def _most_tokens(spec: JobSpec, facts: DatasetFacts) -> int:
    """That any trial reads of a text: no more than its longest has, nor than its backbone takes."""
    said = [tokens for tokens in edges_of(spec, "training.max_tokens") if isinstance(tokens, int)]
    taken = max(CATALOGUE[name].input_size for name in backbones_of(spec))
    return min(max(said, default=taken), tokens_needed(facts), taken)
