"""How a prediction or explanation ends, whatever happens while it is computed."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy.exc import OperationalError

from service.settings import Settings
from service.specs.base import new_id
from service.specs.images import decode_image, open_image
from service.store import StorageAway, Store
from service.store.leases import LeasedRows
from service.store.tables import PredictionRow
from tests.corpora.pictures import png
from tests.nudges import Recorded
from tests.rows import add_project
from worker.runtime import asked_inputs
from worker.runtime.asked_inputs import read_images
from worker.runtime.context import Runtime
from worker.runtime.servings import Answer, Question, Serving
from worker.tasks.registry import take_all

ANSWER: dict[str, Any] = {"items": []}


def make_runtime(store: Store, data_dir: Path) -> Runtime:
    return Runtime(Settings(data_dir=data_dir), store, Recorded(), ("explain",), "tester")


def ask(store: Store, pictures: list[bytes]) -> str:
    row_id = new_id("prd")
    inputs = [{"name": "a.png", "sha256": "", "truncated": False} for _ in pictures]
    row = PredictionRow(
        id=row_id, project_id=add_project(store), model_id="mdl_1", state="queued", spec={}, inputs=inputs
    )
    with store.work() as work:
        work.predictions.add(row)
        for index, data in enumerate(pictures):
            work.artifacts.attach({f"inputs/{index}": store.artifacts.hold(data, "image/png")}, row_id)
    return row_id


def run(
    store: Store, data_dir: Path, compute: Callable[..., Any], pictures: list[bytes], *, draining: bool = False
) -> PredictionRow | None:
    row_id = ask(store, pictures)
    runtime = make_runtime(store, data_dir)
    serving = Serving(runtime, None, "predictions", compute)  # type: ignore[arg-type]
    if draining:
        runtime.draining.set()
    lease = serving.claim()
    assert lease is not None
    assert lease.row_id == row_id
    serving.run(lease)
    with store.read() as work:
        return work.session.get(PredictionRow, row_id)


def test_inputs_are_decoded_in_order_and_pictures_kept_with_the_answer(store: Store, tmp_path: Path) -> None:
    pictures = [png(number) for number in range(3)]

    def compute(question: Question, _progress: Any) -> Answer:
        images = read_images(question.sources)
        found = [image.tobytes()[:3].hex() for image in images]
        return Answer({"items": found}, {"items/0/0/heatmap.png": b"drawn"})

    row = run(store, tmp_path, compute, pictures)
    assert row is not None
    assert row.state == "succeeded"
    assert row.result is not None
    assert row.result["items"] == [decode_image(data).tobytes()[:3].hex() for data in pictures]
    with store.read() as work:
        drawn = work.artifacts.find(row.id, "items/0/0/heatmap.png")
    assert drawn is not None
    assert store.artifacts.read_bytes(drawn) == b"drawn"


def test_s41_pixels_are_counted_before_they_are_decoded(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(question: Question, _progress: Any) -> Answer:
        read_images(question.sources)
        return Answer(ANSWER)

    size = open_image(png()).size
    monkeypatch.setattr(asked_inputs, "MAX_REQUEST_PIXELS", size[0] * size[1] * 2)
    for count, state in [(2, "succeeded"), (3, "failed")]:
        row = run(sqlite_store, tmp_path, compute, [png()] * count)
        assert row is not None
        assert row.state == state
    assert row.problem is not None
    assert row.problem["type"] == "/problems/budget-exceeded"


def test_a_breakdown_fails_with_a_safe_reason(sqlite_store: Store, tmp_path: Path) -> None:
    def compute(*_: Any) -> Any:
        raise RuntimeError("a secret path /home/someone")

    row = run(sqlite_store, tmp_path, compute, [png()])
    assert row is not None
    assert row.problem is not None
    assert row.state == "failed"
    assert "secret" not in str(row.problem)


ILLEGAL = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


@pytest.mark.parametrize("attempt", [0, 2])
def test_a_process_that_lost_its_gpu_ends_and_leaves_the_row_to_another(
    sqlite_store: Store, tmp_path: Path, attempt: int
) -> None:
    """Charged, so that a request that does this each time is not asked for ever."""

    def compute(*_: Any) -> Any:
        raise ILLEGAL

    ended: list[bool] = []
    runtime = make_runtime(sqlite_store, tmp_path)
    row_id = ask(sqlite_store, [png()])
    with sqlite_store.work() as work:
        work.predictions.get(row_id).attempt = attempt
    serving = Serving(runtime, None, "predictions", compute, give_up=lambda: ended.append(True))  # type: ignore[arg-type]
    lease = serving.claim()
    assert lease is not None
    serving.run(lease)
    assert ended == [True]
    assert runtime.draining.is_set(), "nothing more is taken"
    with sqlite_store.read() as work:
        row = work.predictions.get(row_id)
    assert (row.state, row.attempt) == (("queued", 1) if attempt == 0 else ("failed", 3))


def test_a_process_that_lost_its_gpu_ends_also_when_the_database_is_away(
    sqlite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(*_: Any) -> Any:
        raise ILLEGAL

    def away(*_: Any) -> None:
        raise OperationalError("UPDATE", {}, Exception("away"))

    ended: list[bool] = []
    ask(sqlite_store, [png()])
    runtime = make_runtime(sqlite_store, tmp_path)
    serving = Serving(runtime, None, "predictions", compute, give_up=lambda: ended.append(True))  # type: ignore[arg-type]
    lease = serving.claim()
    assert lease is not None
    monkeypatch.setattr(LeasedRows, "charge", away)
    with pytest.raises(OperationalError):
        serving.run(lease)
    assert ended == [True]


def test_a_lack_of_the_gpus_memory_ends_the_request_alone(sqlite_store: Store, tmp_path: Path) -> None:
    for error in (torch.OutOfMemoryError("CUDA out of memory."), torch.AcceleratorError("CUDA error: out of memory")):

        def compute(*_: Any, error: Exception = error) -> Any:
            raise error

        row = run(sqlite_store, tmp_path, compute, [png()])
        assert row is not None
        assert row.problem is not None
        assert row.problem["type"] == "/problems/resource-exhausted"


def test_the_process_ends_as_if_asked_from_outside() -> None:
    script = """
import signal, time
import worker.runtime.servings as room
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
room.ENDING_SECONDS = 0.5
room.end_process()
time.sleep(60)
"""
    ended = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=50, check=False)
    assert (ended.stdout, ended.returncode) == ("asked\n", 1)


@pytest.mark.parametrize(
    "away", [OperationalError("SELECT", {}, Exception("away")), StorageAway(errno.EIO, "It does not answer.")]
)
def test_what_is_away_leaves_the_row_to_be_taken_again(away: Exception, sqlite_store: Store, tmp_path: Path) -> None:
    def compute(*_: Any) -> Any:
        raise away

    row_id = ask(sqlite_store, [png()])
    serving = Serving(make_runtime(sqlite_store, tmp_path), None, "predictions", compute)  # type: ignore[arg-type]
    take_all(serving.runtime, serving.claim, serving.run)
    with sqlite_store.read() as work:
        assert work.predictions.get(row_id).state == "running"


def test_a_deleted_row_stays_deleted(sqlite_store: Store, tmp_path: Path) -> None:
    def compute(question: Question, _progress: Any) -> Answer:
        with sqlite_store.work() as work:
            work.predictions.delete_of("id", [question.row.id])
        return Answer(ANSWER, {"items/0/0/heatmap.png": b"drawn"})

    assert run(sqlite_store, tmp_path, compute, [png()]) is None
    with sqlite_store.read() as work:
        assert [found for found in work.artifacts.unowned(-60.0) if found.size_bytes == 5] == []


def test_pictures_of_a_row_that_was_deleted_are_not_kept(tmp_path: Path, sqlite_store: Store) -> None:
    """Nor where bytes are stored before their row says so."""
    store = Store(sqlite_store.engine.url.render_as_string(), f"file://{tmp_path}/artifacts")

    def compute(question: Question, _progress: Any) -> Answer:
        with store.work() as work:
            work.predictions.delete_of("id", [question.row.id])
        return Answer(ANSWER, {"items/0/0/heatmap.png": b"drawn of a sample"})

    assert run(store, tmp_path, compute, []) is None
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []
    store.close()


def test_a_row_that_is_deleted_between_claim_and_answer_ends_nothing_else(store: Store, tmp_path: Path) -> None:
    computed: list[Question] = []
    row_id = ask(store, [])

    def compute(question: Question, _progress: Any) -> Answer:
        computed.append(question)
        return Answer(ANSWER)

    serving = Serving(make_runtime(store, tmp_path), None, "predictions", compute)  # type: ignore[arg-type]
    lease = serving.claim()
    assert lease is not None
    with store.work() as work:
        work.predictions.delete_of("id", [row_id])
    serving.run(lease)
    assert computed == []


def test_a_draining_worker_puts_the_row_back(sqlite_store: Store, tmp_path: Path) -> None:
    def compute(_question: Question, progress: Callable[[int, int], None]) -> Answer:
        progress(1, 2)
        return Answer(ANSWER)

    row = run(sqlite_store, tmp_path, compute, [png()], draining=True)
    assert row is not None
    assert (row.state, row.attempt, row.lease_owner) == ("queued", 0, None)
