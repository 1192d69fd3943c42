"""Two projects and three scopes at once: whatever is done in whatever order, each sees its own and nothing else.

The model is the set of objects that each project should see, and the answers that idempotency keys should repeat.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.store import Store
from service.store.migrate import upgrade
from tests.contracts.conftest import Api, problem
from tests.contracts.world import Project, job_spec, make_project
from tests.corpora.pictures import png
from tests.nudges import Recorded

HISTORIES = int(os.environ.get("FUZZ_HISTORIES", "8"))
"""How many are made up; `make fuzz` makes more."""
Side = Literal["ours", "theirs"]
SIDES: tuple[Side, ...] = ("ours", "theirs")
sides = st.sampled_from(SIDES)
scopes = st.sampled_from(["read", "write", "admin"])


def other(side: Side) -> Side:
    return "theirs" if side == "ours" else "ours"


class Projects(RuleBasedStateMachine):
    """Create, reference, cancel, delete, rotate, replay.

    What is drawn from is in the order of its making: ids are random, and a failure must be found again.
    """

    api: Api

    @initialize()
    def begin(self) -> None:
        self.projects: dict[Side, Project] = {side: make_project(self.api.store, f"{side}{id(self)}") for side in SIDES}
        self.jobs: dict[Side, dict[str, str]] = {side: {} for side in SIDES}
        for side in SIDES:
            self.jobs[side][self.projects[side].ids["job_id"]] = "succeeded"
        self.predictions: dict[Side, list[str]] = {side: [self.projects[side].ids["prediction_id"]] for side in SIDES}
        self.aliases: dict[Side, set[str]] = {side: {"best"} for side in SIDES}
        self.answers: dict[tuple[Side, str], str] = {}

    def ask(self, side: Side, method: str, path: str, *, scope: str = "write", **options: Any) -> Any:
        project = self.projects[side]
        key = {"read": project.read_key, "write": project.write_key, "admin": project.admin_key}[scope]
        return self.api.call(method, path, key=key, **options)

    @rule(side=sides, scope=scopes)
    def create_job(self, side: Side, scope: str) -> None:
        spec = job_spec(self.projects[side].ids["dataset_id"])
        answer = self.ask(side, "POST", "/v1/jobs", scope=scope, json=spec)
        if scope == "read":
            problem(answer, 403, "insufficient-scope")
            return
        assert answer.status_code == 201
        self.jobs[side][answer.json()["id"]] = "queued"

    @rule(side=sides, nested=st.booleans())
    def reference_what_is_theirs(self, side: Side, nested: bool) -> None:
        foreign = self.projects[other(side)].ids["dataset_id"]
        if nested:
            path, body = f"/v1/jobs/{self.projects[side].ids['job_id']}/rerun", {"override": {"dataset_id": foreign}}
            if self.projects[side].ids["job_id"] not in self.jobs[side]:
                problem(self.ask(side, "POST", path, json=body), 404, "not-found")
                return
        else:
            path, body = "/v1/jobs", job_spec(foreign)
        problem(self.ask(side, "POST", path, json=body), 422, "unknown-reference")

    @rule(side=sides, key=st.sampled_from("abc"), seed=st.integers(0, 1))
    def replay(self, side: Side, key: str, seed: int) -> None:
        spec = job_spec(self.projects[side].ids["dataset_id"], seed=seed)
        answer = self.ask(side, "POST", "/v1/jobs", json=spec, headers={"Idempotency-Key": key})
        first = self.answers.get((side, key))
        if first is None:
            assert answer.status_code == 201
            self.answers[side, key] = f"{answer.json()['id']} {seed}"
            self.jobs[side][answer.json()["id"]] = "queued"
        elif first.endswith(str(1 - seed)):
            problem(answer, 422, "idempotency-mismatch")
        elif first.split()[0] not in self.jobs[side]:
            problem(answer, 404, "not-found")
        else:
            assert (answer.status_code, answer.json()["id"]) == (201, first.split()[0])

    @rule(side=sides, by=sides, scope=scopes, data=st.data())
    def cancel_or_delete(self, side: Side, by: Side, scope: str, data: st.DataObject) -> None:
        if not self.jobs[side]:
            return
        job = data.draw(st.sampled_from(list(self.jobs[side])))
        cancel = data.draw(st.booleans())
        method, path = ("POST", f"/v1/jobs/{job}/cancel") if cancel else ("DELETE", f"/v1/jobs/{job}")
        answer = self.ask(by, method, path, scope=scope)
        live = self.jobs[side][job] == "queued"
        if scope == "read":
            problem(answer, 403, "insufficient-scope")
        elif by != side:
            problem(answer, 404, "not-found")
        elif cancel == live:
            assert answer.status_code == (200 if cancel else 204)
            if cancel:
                self.jobs[side][job] = "cancelled"
            else:
                del self.jobs[side][job]
        else:
            problem(answer, 409, "conflict")

    @rule(side=sides, by=sides)
    def predict(self, side: Side, by: Side) -> None:
        path = f"/v1/models/{self.projects[side].ids['model_id']}/predictions"
        answer = self.ask(by, "POST", path, files={"file": ("a.png", png())})
        if by != side:
            problem(answer, 404, "not-found")
            return
        assert answer.status_code == 202
        self.predictions[side].append(answer.json()["id"])

    @rule(side=sides, by=sides, data=st.data())
    def forget_prediction(self, side: Side, by: Side, data: st.DataObject) -> None:
        if not self.predictions[side]:
            return
        row_id = data.draw(st.sampled_from(list(self.predictions[side])))
        answer = self.ask(by, "DELETE", f"/v1/predictions/{row_id}")
        if by != side:
            problem(answer, 404, "not-found")
            return
        assert answer.status_code == 204
        self.predictions[side].remove(row_id)

    @rule(side=sides, name=st.sampled_from("xyz"), foreign=st.booleans())
    def alias(self, side: Side, name: str, foreign: bool) -> None:
        owner = other(side) if foreign else side
        answer = self.ask(side, "PUT", f"/v1/aliases/{name}", json={"model_id": self.projects[owner].ids["model_id"]})
        if foreign:
            problem(answer, 422, "unknown-reference")
            return
        assert answer.status_code == 200
        self.aliases[side].add(name)

    @precondition(lambda self: hasattr(self, "projects"))
    @rule(side=sides, scope=scopes, by=sides)
    def rotate(self, side: Side, scope: str, by: Side) -> None:
        """The new key does what the old one did, and the old one nothing more."""
        project = self.projects[side]
        listed = self.ask(side, "GET", "/v1/keys?limit=200", scope="admin").json()["data"]
        key_id = next(key["id"] for key in listed if key["name"] == scope and not key["expires_at"])
        path = f"/v1/keys/{key_id}/rotate"
        if by != side:
            problem(self.ask(by, "POST", path, scope="admin", json={}), 404, "not-found")
            return
        old = {"read": project.read_key, "write": project.write_key, "admin": project.admin_key}[scope]
        made = self.ask(side, "POST", path, scope="admin", json={"overlap_seconds": 0}).json()
        problem(self.api.call("GET", "/v1/jobs", key=old), 401, "unauthenticated")
        changed = {"admin_key": project.admin_key, "write_key": project.write_key, "read_key": project.read_key}
        changed[f"{scope}_key"] = made["key"]
        self.projects[side] = Project(**changed, ids=project.ids)

    @invariant()
    def each_sees_its_own(self) -> None:
        for side in SIDES if hasattr(self, "projects") else ():
            listed = self.ask(side, "GET", "/v1/jobs?limit=200", scope="read").json()["data"]
            assert {job["id"]: job["state"] for job in listed} == self.jobs[side]
            listed = self.ask(side, "GET", "/v1/predictions?limit=200", scope="read").json()["data"]
            assert {row["id"] for row in listed} == set(self.predictions[side])
            listed = self.ask(side, "GET", "/v1/aliases", scope="read").json()["data"]
            assert {alias["name"] for alias in listed} == self.aliases[side]


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with TemporaryDirectory() as folder:
        limits = {"rate_requests": 10**9, "max_pending_answers": 10**9}
        chosen = Settings(data_dir=Path(folder), sweep_seconds=3600.0, **limits)  # type: ignore[arg-type]
        store = Store(chosen.database_url)
        upgrade(store.engine)
        with TestClient(create_app(chosen, store, Recorded()), raise_server_exceptions=False) as client:
            yield Api(client, store, make_project(store, "ours"), make_project(store, "theirs"))


@pytest.mark.timeout(30 * HISTORIES)
def test_s04_two_projects_and_three_scopes(api: Api) -> None:
    Projects.api = api
    effort = settings(
        max_examples=HISTORIES, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case = Projects.TestCase
    case.settings = effort
    case("runTest").runTest()
