"""`Prefer: wait` (RFC 7240) on what has a state."""

from collections.abc import Callable
from threading import Timer

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
