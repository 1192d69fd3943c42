"""Tokens and features of a dataset, made once; batches of about one length."""

from pathlib import Path

import torch

from tests.worker.backbones.tiny_texts import tiny_text
from tests.worker.training.room import room_for
from worker.backbones.parts import body_of
from worker.data.disk_cache import DiskCache
from worker.data.texts.buckets import POOL_BATCHES, bucketed
from worker.data.texts.token_table import text_features, tokenised

TEXTS = ["the film", "a good game of music and sound", "great", "page " * 60, "slow user", "library data model"] * 30


def nothing() -> None:
    """Never stops."""


def failing() -> None:
    raise AssertionError("computed again")


def test_the_table_gives_what_the_tokenizer_gives(tmp_path: Path) -> None:
    trained = tiny_text(tmp_path)
    cache = DiskCache(tmp_path / "cache", 10**8)
    made = tokenised(TEXTS, trained.encoder, dataset="d", cache=cache, tick=nothing)
    chosen = [3, 0, 4]
    ids, mask = made.batch(chosen)
    expected = trained.encode([TEXTS[at] for at in chosen])

    assert torch.equal(ids, expected.ids)
    assert torch.equal(mask, expected.mask)
    assert made.truncated == 30
    assert made.lengths.tolist() == [int(trained.encode([text]).mask.sum()) for text in TEXTS]
    short, _ = made.batch([0, 4])
    assert short.shape[1] == max(made.lengths[0], made.lengths[4]), "no longer than the longest of the batch"

    again = tokenised(TEXTS, trained.encoder, dataset="d", cache=cache, tick=failing)
    assert torch.equal(again.rows, made.rows)
    full = tokenised(TEXTS, trained.encoder, dataset="d", cache=DiskCache(tmp_path / "none", 0), tick=nothing)
    assert torch.equal(full.rows, made.rows)


def test_features_are_the_outputs_of_the_body_and_are_kept(tmp_path: Path) -> None:
    trained = tiny_text(tmp_path)
    cache = DiskCache(tmp_path / "cache", 10**8)
    tokens = tokenised(TEXTS, trained.encoder, dataset="d", cache=cache, tick=nothing)
    body = body_of(trained.network, trained.backbone)
    features = text_features(tokens, body, dataset="d", cache=cache, tick=nothing)
    with torch.inference_mode():
        for at in range(6):
            alone = trained.logits(trained.encode([TEXTS[at]]))
            torch.testing.assert_close(trained.network.head(features[at : at + 1]), alone, atol=1e-5, rtol=1e-4)

    assert torch.equal(text_features(tokens, body, dataset="d", cache=cache, tick=failing), features)
    without = text_features(tokens, body, dataset="d", cache=DiskCache(tmp_path / "none", 0), tick=nothing)
    assert torch.equal(without, features)
    with torch.no_grad():
        next(trained.network.body.parameters()).add_(0.5)
    other = text_features(tokens, body, dataset="d", cache=cache, tick=nothing)
    assert not torch.equal(other, features), "other weights have features of their own"


def test_features_that_do_not_fit_the_memory_are_computed_in_halves(tmp_path: Path) -> None:
    trained = tiny_text(tmp_path)
    cache = DiskCache(tmp_path / "cache", 0)
    tokens = tokenised(TEXTS, trained.encoder, dataset="d", cache=cache, tick=nothing)
    body = body_of(trained.network, trained.backbone)
    whole = text_features(tokens, body, dataset="d", cache=cache, tick=nothing)
    with room_for(2, training=False) as tried:
        made = text_features(tokens, body, dataset="d", cache=cache, tick=nothing)
    assert torch.allclose(made, whole, atol=1e-5)
    assert {64, 32, 2} <= set(tried)


def test_batches_hold_every_text_once_and_texts_of_one_length_together() -> None:
    lengths = torch.randint(3, 200, (4000,), generator=torch.Generator().manual_seed(0))
    indices = list(range(500, 4000))
    orders = bucketed(indices, lengths, batch_size=16, seed=3, epoch=1)

    assert sorted(index for order in orders for index in order.indices) == indices
    assert max(len(order.indices) for order in orders) == 16
    padded = sum(len(order.indices) * int(lengths[order.indices].max()) for order in orders)
    random = [indices[at : at + 16] for at in range(0, len(indices), 16)]
    unsorted = sum(len(batch) * int(lengths[batch].max()) for batch in random)
    used = int(lengths[indices].sum())
    assert (padded - used) < 0.1 * (unsorted - used), "a tenth of the padding, or less"
    assert len({order.seed for order in orders}) == len(orders)


def test_batches_follow_from_seed_and_epoch() -> None:
    lengths = torch.arange(3, 403) % 50 + 3
    indices = list(range(400))

    def made(seed: int, epoch: int) -> list[list[int]]:
        return [order.indices for order in bucketed(indices, lengths, batch_size=8, seed=seed, epoch=epoch)]

    assert made(0, 1) == made(0, 1)
    assert made(0, 1) != made(0, 2)
    assert made(0, 1) != made(1, 1)
    means = [float(lengths[batch].float().mean()) for batch in made(0, 1)]
    assert means != sorted(means), "short batches do not all come first"
    assert POOL_BATCHES * 8 == 400
