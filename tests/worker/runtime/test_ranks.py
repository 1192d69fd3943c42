"""Several ranks of one trial: they train as one process does, and live and die together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.live import gone, until
from tests.worker.runtime import rank_children as work
from tests.worker.runtime.rank_children import Several
from tests.worker.runtime.test_supervision import WATCH
from tests.worker.training.orders import order, run, spec
from tests.worker.training.table_orders import table_order
from tests.worker.training.text_orders import text_order, text_spec, without_dropout
from worker.data.batches import BatchOrder
from worker.runtime.children import start_fork_server
from worker.runtime.devices import Device
from worker.runtime.messages import Again, Crashed, Done, Ending, Failed, GaveUp, Report
from worker.runtime.ranks import Ranks, start_ranks
from worker.runtime.scribe import Wish
from worker.runtime.supervision import Supervisor
from worker.training.order import TrialOrder
from worker.training.ranks import Ranks as Share

PATIENT = replace(WATCH, wall_seconds=240.0, stall_seconds=240.0)
TWO = [Device("cpu", "", 1)] * 2
FROZEN = {"batch_norm": "frozen", "dropout": 0.0}
MLP = {"kind": "mlp", "hidden_sizes": [8], "dropout": 0.0, "batch_norm": False}
EVERYTHING = {"class_weights": "balanced", "label_smoothing": 0.1, "ema_decay": 0.8, "schedule": "plateau"}


def supervise(
    do: Callable[..., object],
    several: Several,
    *,
    devices: Sequence[Device] = TWO,
    record: Callable[[Report], None] = lambda _: None,
    wish: Callable[[], Wish] = lambda: "go_on",
) -> Ending:
    ranks = start_ranks(do, several, devices, is_judged=False)  # type: ignore[arg-type]
    try:
        return Supervisor(ranks, PATIENT, beat=lambda: "go_on", record=record, wish=wish).run()
    finally:
        ranks.await_end()


def images(folder: Path, scratch: str, **changes: Any) -> TrialOrder:
    changes["training"] = {"optimizer": "sgd", "epochs": 2, "batch_size": 7, "learning_rate": 0.01} | changes.get(
        "training", {}
    )
    return order(folder, spec(backbone=FROZEN | changes.pop("backbone", {}), **changes), scratch=scratch)


def texts(folder: Path, scratch: str) -> TrialOrder:
    """The last batch of some epochs is of one text: rank 1 has no share of it."""
    made = text_order(
        folder,
        text_spec(backbone={"dropout": 0.0}, training={"optimizer": "sgd", "epochs": 2, "batch_size": 41}),
        scratch=scratch,
    )
    without_dropout(folder / made.spec.network.name)
    return made


TRIALS: dict[str, Callable[[Path, str], TrialOrder]] = {
    "images": images,
    "everything": lambda folder, scratch: images(folder, scratch, training={"epochs": 4} | EVERYTHING),
    "gradual": lambda folder, scratch: images(folder, scratch, backbone={"trainable": "gradual"}),
    "texts": texts,
    "values": lambda folder, scratch: table_order(
        folder / "table", MLP, rows=60, scratch=scratch, training={"epochs": 2, "batch_size": 8}
    ),
}


def normed(folder: Path, scratch: str) -> TrialOrder:
    """Batches of 4, the last of 3: a share of one sample, which batch norm cannot train on, is filled up."""
    training = {"epochs": 2, "batch_size": 4}
    return table_order(folder / "normed", MLP | {"batch_norm": True}, rows=50, scratch=scratch, training=training)


@pytest.fixture(scope="module", autouse=True)
def _torch_is_there() -> Iterator[None]:
    """A fork server that has torch, as a worker's, so that children need not import it; for these tests alone."""
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    start_fork_server(("torch", "timm", "worker.training.trial", "tests.worker.training.orders"))
    yield
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    forkserver.set_forkserver_preload(["__main__"])


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """What two ranks make of every trial."""
    folder = tmp_path_factory.mktemp("ranks")
    trials = {**TRIALS, "normed": normed}
    ending = supervise(
        work.train_in_turn, Several([make(folder, f"{name}-two") for name, make in trials.items()], folder)
    )
    assert isinstance(ending, Done), ending
    return folder, dict(zip(trials, ending.result, strict=True))


@pytest.mark.parametrize("name", TRIALS)
def test_two_ranks_train_as_one_process_does(together: tuple[Path, dict[str, Any]], name: str) -> None:
    folder, results = together
    outcome, epochs = results[name]
    alone, sink = run(TRIALS[name](folder, f"{name}-one"))

    assert len(epochs) == len(sink.epochs)
    for mine, other in zip(epochs, sink.epochs, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, rel=1e-5)
        assert mine.validation_loss == pytest.approx(other.validation_loss, rel=1e-5)
        assert mine.train_accuracy == other.train_accuracy
    [published, expected] = [load_file(path) for path in sorted(folder.rglob(f"{name}-*/model.safetensors"))[::-1]]
    for key, value in expected.items():
        torch.testing.assert_close(published[key], value, rtol=1e-3, atol=1e-5)
    assert (outcome.device, alone.device) == ("2 x CPU, 1 thread", "CPU, 1 thread")


def test_shares_of_one_sample_do_not_break_batch_norm(together: tuple[Path, dict[str, Any]]) -> None:
    """On CPUs each share is normalised by itself, so that the course is another, to as good an end."""
    folder, results = together
    outcome, epochs = results["normed"]
    alone, _ = run(normed(folder, "normed-one"))
    assert len(epochs) == 2
    assert outcome.metrics["test"]["loss"] == pytest.approx(alone.metrics["test"]["loss"], rel=0.3)  # type: ignore[index]


@pytest.mark.parametrize(("samples", "shares"), [(5, [[0, 2, 4], [1, 3]]), (3, [[0, 2], [1, 0]]), (1, [[0], [0]])])
def test_shares_of_a_batch(samples: int, shares: list[list[int]]) -> None:
    ranks = [Share(rank, 2) for rank in range(2)]
    order = BatchOrder(list(range(samples)), 7)
    assert [rank.share(order).indices for rank in ranks] == shares
    assert sum(rank.share_of(samples) for rank in ranks) == samples
    assert len({rank.share(order).seed for rank in ranks}) == 2


def test_ranks_begin_again_with_passes_that_fit(together: tuple[Path, dict[str, Any]]) -> None:
    """Shares of 4 do not fit; passes of 2 do, also of a batch that leaves a rank fewer."""
    folder, results = together
    several = Several([images(folder, "again")], folder, room=3)
    first = supervise(work.train_in_turn, several)
    assert first == Again("Memory does not suffice for 4 samples at once: passes of 2 add up.", 2)
    second = supervise(work.train_in_turn, Several(several.orders, folder, room=3, micro_batch_size=2))
    assert isinstance(second, Done)
    [(outcome, epochs)] = second.result
    assert outcome.micro_batch_size == 2
    for mine, other in zip(epochs, results["images"][1], strict=True):
        assert mine.validation_loss == pytest.approx(other.validation_loss, rel=1e-5)


@pytest.mark.parametrize(("devices", "micro_batch_size"), [(1, None), (2, 1)])
def test_a_trial_whose_smallest_pass_does_not_fit_fails_for_good(
    tmp_path: Path, devices: int, micro_batch_size: int | None
) -> None:
    """It is a problem of the job, not a crash that is tried again."""
    several = Several([images(tmp_path, "none")], tmp_path, room=0, micro_batch_size=micro_batch_size)
    ending = supervise(work.train_in_turn, several, devices=TWO[:devices])
    assert isinstance(ending, Failed)
    assert ending.problem["type"] == "/problems/resource-exhausted"
    assert "passes of 1 sample" in ending.problem["detail"]


def test_rank_0_speaks_for_all(tmp_path: Path) -> None:
    heard: list[Report] = []
    ending = supervise(work.finish_in_turn, Several([], tmp_path), record=heard.append)
    assert ending == Done("rank 0 of 2")
    assert [report.message for report in heard] == ["rank 0 speaks"]


def test_a_rank_that_is_killed_takes_all_with_it(tmp_path: Path) -> None:
    assert supervise(work.lose_the_other, Several([], tmp_path)) == Crashed(
        "Rank 1 of the trial ended with exit code -9."
    )
    assert all(gone(int((tmp_path / f"{rank}.pid").read_text())) for rank in range(2))


def test_the_rank_that_knows_why_is_believed(tmp_path: Path) -> None:
    ending = supervise(work.diverge_together, Several([], tmp_path))
    assert isinstance(ending, Failed)
    assert ending.problem["type"] == "/problems/diverged"


def test_a_wish_to_stop_ends_every_rank(tmp_path: Path) -> None:
    def wish() -> Wish:
        return "stop" if len(list(tmp_path.glob("*.pid"))) == 2 else "go_on"

    assert supervise(work.work_on, Several([], tmp_path), wish=wish) in (GaveUp(), Done(None))
    assert all(gone(int((tmp_path / f"{rank}.pid").read_text())) for rank in range(2))


def test_ranks_that_are_alone_are_a_child(tmp_path: Path) -> None:
    child = start_ranks(work.want_less, Several([], tmp_path), TWO[:1], is_judged=False)  # type: ignore[arg-type]
    assert not isinstance(child, Ranks)
    until(lambda: not child.is_alive())
    assert child.messages(0) == [Done("None")]
