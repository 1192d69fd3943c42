"""Small transformers whose reasons are known, trained once for all tests."""

import pytest

from tests.worker.explaining.text.planted import CLASSES, small_text, train
from worker.backbones.trained_text import TrainedText

BERT, GPT = "all-MiniLM-L6-v2", "gpt2"


@pytest.fixture(scope="session")
def trained() -> TrainedText:
    """BERT's kind: finds the planted word, has a mask token."""
    found = small_text(BERT, CLASSES, seed=0)
    assert train(found, texts=960, epochs=6, rate=5e-3) > 0.98
    return found


@pytest.fixture(scope="session")
def looking_back() -> TrainedText:
    """GPT-2's kind: no mask token, no special tokens."""
    found = small_text(GPT, CLASSES, seed=0)
    assert train(found, texts=960, epochs=6, rate=5e-3) > 0.98
    return found


@pytest.fixture(params=["trained", "looking_back"])
def either(request: pytest.FixtureRequest) -> TrainedText:
    """One after the other."""
    found: TrainedText = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def untrained() -> TrainedText:
    return small_text(BERT, CLASSES, seed=1)
