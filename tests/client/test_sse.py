import itertools

import httpx
import pytest

from client import Event, ProblemError, Unreachable, streams
from client.sse import parse_events
from tests.client.service import Broken, FakeService, answer, event, problem, stream

DONE = event(3, "state", state="succeeded")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "pause", lambda _breaks: None)


def seqs(service: FakeService, after: int = 0) -> list[int]:
    return [item.seq for item in service.client().events("job_1", after=after)]


def test_a_frame_is_read_as_the_standard_says() -> None:
    lines = [
        ": comment",
        "id: 7",
        "event: epoch",
        'data: {"data":',
        'data:  {"epoch": 1}}',
        "unknown: field",
        "",
        "event: dropped, it has no data",
        "",
        'data: {"seq": 8}',
    ]
    assert list(parse_events(lines)) == [Event(seq=7, type="epoch", data={"epoch": 1})]


def test_a_stream_is_followed_to_its_terminal_event() -> None:
    service = FakeService([stream(event(1), ": heartbeat\n\n", event(2, "epoch", epoch=1), DONE)])
    assert seqs(service) == [1, 2, 3]
    assert service.requests[0].headers["Accept"] == "text/event-stream"
    assert service.requests[0].headers["Authorization"] == "Bearer tl_secret"


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_broken_stream_goes_on_behind_the_last_event_without_gap_or_repeat(cut: int) -> None:
    whole = (event(1) + event(2)).encode()
    first = httpx.Response(200, stream=Broken(whole[:-cut]))
    service = FakeService([first, stream(event(2), DONE)])
    assert seqs(service) == [1, 2, 3]
    assert service.requests[1].headers["Last-Event-ID"] == "1"


def test_a_refused_connection_is_tried_again() -> None:
    service = FakeService([httpx.ConnectError("refused"), stream(DONE)])
    assert seqs(service, after=2) == [3]
    assert [request.headers["Last-Event-ID"] for request in service.requests] == ["2", "2"]


def test_a_stream_that_ends_early_is_taken_up_again() -> None:
    service = FakeService([stream(event(1)), answer({"state": "running"}), stream(event(2), DONE)])
    assert seqs(service) == [1, 2, 3]


def test_following_a_finished_job_from_its_end_comes_back_at_once() -> None:
    service = FakeService([stream(), answer({"state": "succeeded"}), answer({"data": []})])
    assert seqs(service, after=3) == []


def test_a_refusal_is_not_tried_again() -> None:
    service = FakeService([problem("not-found", 404)])
    with pytest.raises(ProblemError, match="not-found"):
        seqs(service)


def test_patience_ends() -> None:
    service = FakeService()
    service.answers.extend(itertools.repeat(httpx.ConnectError("refused"), streams.BREAKS_IN_A_ROW))
    with pytest.raises(Unreachable, match="refused"):
        seqs(service)
