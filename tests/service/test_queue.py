"""Nudges: whole messages over files, and a broker that is away costs nobody an accepted request."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kombu import Connection
from kombu import Queue as KombuQueue
from kombu.exceptions import ContentDisallowed
from kombu.message import Message
from kombu.simple import SimpleQueue

from service.file_broker import TRANSPORT
from service.queue import CeleryNudges, make_celery
from service.settings import Settings
from service.specs.tasks import QUEUE_OF, RUN_TRIALS


def test_each_message_is_taken_whole_and_once(tmp_path: Path) -> None:
    """Four writers and four readers at once; kombu's own transport loses or breaks some of these."""
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    options = {
        "data_folder_in": str(tmp_path / "messages"),
        "data_folder_out": str(tmp_path / "messages"),
        "control_folder": str(tmp_path / "control"),
        "polling_interval": 0.001,
    }

    def connect() -> Connection:
        return Connection("filesystem://localhost", transport=TRANSPORT, transport_options=options)

    def write(writer: int) -> None:
        with connect() as connection:
            queue: SimpleQueue = connection.SimpleQueue("train")
            for number in range(100):
                queue.put({"writer": writer, "number": number, "padding": "x" * 20_000})
            queue.close()

    def read(_: int) -> list[tuple[int, int]]:
        taken = []
        with connect() as connection:
            queue: SimpleQueue = connection.SimpleQueue("train")
            while True:
                try:
                    message = queue.get(timeout=2.0)
                except queue.Empty:
                    break
                assert len(message.payload["padding"]) == 20_000
                taken.append((message.payload["writer"], message.payload["number"]))
                message.ack()
            queue.close()
        return taken

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read, number) for number in range(4)]
        for writer in [pool.submit(write, number) for number in range(4)]:
            writer.result()
        taken = [pair for reader in readers for pair in reader.result()]
    assert sorted(taken) == [(writer, number) for writer in range(4) for number in range(100)]
    assert list((tmp_path / "messages").iterdir()) == []


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://:secret@127.0.0.1:1/0"])
def test_s11_a_broker_that_is_away_is_no_error_and_its_secret_not_logged(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nudges = CeleryNudges(Settings(data_dir=tmp_path, broker_url=url))
    nudges.nudge(RUN_TRIALS)
    nudges.announce()
    nudges.interrupt()
    assert nudges.rest(30.0)
    assert not nudges.broker_answers()
    assert "nudge" in caplog.text
    assert "secret" not in caplog.text


def test_s35_only_json_travels_and_nothing_is_kept(tmp_path: Path) -> None:
    conf = make_celery(Settings(data_dir=tmp_path)).conf
    assert (conf.task_serializer, conf.accept_content, conf.result_accept_content) == ("json", ["json"], ["json"])
    assert (conf.result_backend, conf.task_acks_late, conf.worker_prefetch_multiplier) == (None, False, 1)
    assert (conf.broker_connection_max_retries, conf.task_create_missing_queues) == (None, False)
    assert {queue.name for queue in conf.task_queues} == set(QUEUE_OF.values())


def test_s35_a_pickled_message_is_refused_and_the_next_one_taken(tmp_path: Path) -> None:
    """As Celery's own consumer reads: the payload would write a file the moment it is read as what it claims to be."""
    celery = make_celery(Settings(data_dir=tmp_path))
    marker = tmp_path / "run"
    payload = f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode()
    refused, taken = [], []

    def refuse(message: Message, error: Exception) -> None:
        refused.append(type(error))
        message.ack()

    def take(body: object, message: Message) -> None:
        taken.append(body)
        message.ack()

    with celery.connection_for_write() as connection:
        for kind in ("application/x-python-serialize", "application/x-yaml", "pickle"):
            with connection.Producer(routing_key="train") as producer:
                producer.publish(payload, content_type=kind, content_encoding="binary")
        celery.send_task("run_trials", queue="train", connection=connection)
        with celery.amqp.TaskConsumer(
            connection.channel(), queues=[KombuQueue("train")], callbacks=[take], on_decode_error=refuse
        ):
            for _ in range(4):
                connection.drain_events(timeout=5)
    assert refused == [ContentDisallowed] * 3
    assert len(taken) == 1
    assert not marker.exists()
