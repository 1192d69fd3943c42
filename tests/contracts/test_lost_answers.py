"""A request that was accepted but never answered: its repeat finds what was accepted."""

from typing import Any

import pytest

from tests.contracts.conftest import Api, problem
from tests.contracts.world import job_spec


class Broken:
    """Fails right after the commit, as a process that is killed there does."""

    def nudge(self, task: str) -> None:
        raise RuntimeError("killed")

    def broker_answers(self) -> bool:
        return True


def test_s42_a_repeat_after_a_lost_answer_finds_the_same_job(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    body, headers = job_spec(api.ours.ids["dataset_id"], name="lost"), {"Idempotency-Key": "lost-answer"}

    def submit(**changes: Any) -> Any:
        return api.call("POST", "/v1/jobs", json=body | changes, headers=headers)

    with monkeypatch.context() as patch:
        patch.setitem(api.client.app.state._state, "nudges", Broken())  # type: ignore[attr-defined]
        problem(submit(), 500, "internal")
    again = submit()
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    accepted = [job["id"] for job in api.call("GET", "/v1/jobs?name=lost").json()["data"]]
    assert accepted == [again.json()["id"]]
    assert again.headers["location"] == f"/v1/jobs/{accepted[0]}"
    problem(submit(seed=5), 422, "idempotency-mismatch")


def test_s42_a_refused_request_may_be_sent_again(api: Api) -> None:
    headers = {"Idempotency-Key": "refused"}
    refused = api.call("POST", "/v1/jobs", json=job_spec("ds_none"), headers=headers)
    problem(refused, 422, "unknown-reference")
    fixed = api.call("POST", "/v1/jobs", json=job_spec(api.ours.ids["dataset_id"]), headers=headers)
    assert fixed.status_code == 201


def test_s41_costs_are_bounded_before_work(api: Api) -> None:
    path = f"/v1/models/{api.ours.ids['model_id']}/explanations"
    spec = {"dataset_id": api.ours.ids["dataset_id"], "limit": 64, "method": "shap"}
    dear = api.call("POST", path, json={**spec, "parameters": {"evaluations": 10_000}})
    problem(dear, 422, "budget-exceeded")


def test_forms_are_taken_only_where_they_belong(api: Api) -> None:
    for method, path in [("GET", "/v1/jobs"), ("POST", f"/v1/jobs/{api.ours.ids['job_id']}/cancel")]:
        problem(api.call(method, path, files={"file": ("a", b"x")}), 415, "unsupported-media-type")
