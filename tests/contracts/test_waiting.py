"""`Prefer: wait` (RFC 7240) on what has a state."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Timer

import pytest
from sqlalchemy import update

from service.events.watch import Watch
from service.queue import CeleryNudges
from service.store.tables import JobRow
from tests.contracts.conftest import Api


def test_a_trial_can_be_waited_for(make_api: Callable[..., Api]) -> None:
    api = make_api()
    job_id = api.ours.ids["job_id"]

    def set_state(state: str) -> None:
        with api.store.work() as work:
            trial = work.trials.find(job_id, 0)
            assert trial is not None
            trial.state = state

    set_state("running")
    ended = Timer(0.3, set_state, ["succeeded"])
    ended.start()
    answer = api.call("GET", f"/v1/jobs/{job_id}/trials/0", headers={"Prefer": "wait=30"})
    ended.join()
    assert answer.json()["state"] == "succeeded"


def test_a_stream_is_woken_by_news(make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look again after an hour; the bell has it look now."""
    monkeypatch.setattr(Watch, "first_poll_seconds", 3600.0)
    api = make_api()
    job_id = api.ours.ids["job_id"]
    with api.store.work() as work:
        work.session.execute(update(JobRow).where(JobRow.id == job_id).values(state="running"))

    def end_and_ring() -> None:
        with api.store.work() as work:
            assert work.jobs.move(job_id, "succeeded")
        settings = api.client.app.state.settings  # type: ignore[attr-defined]
        CeleryNudges(settings).announce()

    ended = Timer(0.3, end_and_ring)
    ended.start()
    answer = api.call("GET", f"/v1/jobs/{job_id}/events", headers={"Accept": "text/event-stream"})
    ended.join()
    assert answer.text.count("event: state") == 3
    assert '"state":"succeeded"' in answer.text


def test_a_stream_that_waits_for_far_events_takes_nothing_from_others(make_api: Callable[..., Api]) -> None:
    """Both follow one job; what the one has not asked for, the other gets."""
    api = make_api()
    job_id = api.ours.ids["job_id"]
    with api.store.work() as work:
        work.session.execute(update(JobRow).where(JobRow.id == job_id).values(state="running"))
    path, headers = f"/v1/jobs/{job_id}/events", {"Accept": "text/event-stream"}

    def end() -> None:
        with api.store.work() as work:
            work.events.append(job_id, "log", "almost")
            assert work.jobs.move(job_id, "succeeded")

    ended = Timer(0.4, end)
    with ThreadPoolExecutor(2) as pool:
        far = pool.submit(api.call, "GET", f"{path}?after=1000", headers=headers)
        near = pool.submit(api.call, "GET", path, headers=headers)
        ended.start()
        ended.join()
        assert far.result(30).text == ""
        numbers = [line for line in near.result(30).text.splitlines() if line.startswith("id: ")]
    assert numbers == [f"id: {number}" for number in range(1, len(numbers) + 1)]
    assert len(numbers) == 4
