"""`/metrics`: figures that agree with the rows and with what was asked, for the operator alone."""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.specs.base import new_id
from service.store.tables import TrialRow
from tests.contracts.conftest import Api, problem
from worker.runtime.figures import Figures, gpu_memory

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def api(make_api: Callable[..., Api]) -> Api:
    return make_api(admin_key="operator-5e90c7a1d3f2b846")


def scraped(api: Api) -> Samples:
    answer = api.call("GET", "/metrics", key="operator-5e90c7a1d3f2b846")
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    families = list(text_string_to_metric_families(answer.text))
    assert len({family.name for family in families}) == len(families), "a family told twice"
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


def figure(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def test_they_are_the_operators_alone(api: Api) -> None:
    problem(api.client.get("/metrics"), 401, "unauthenticated")
    for key in (api.ours.read_key, api.ours.write_key, api.ours.admin_key):
        problem(api.call("GET", "/metrics", key=key), 403, "insufficient-scope")


def test_queues_and_leases_are_those_of_the_rows(api: Api) -> None:
    job_id = api.ours.ids["job_id"]
    with api.store.work() as work:
        work.session.get_one(type(work.jobs.get(job_id)), job_id).state = "running"
        for number in range(1, 4):
            work.trials.add(TrialRow(id=new_id("trl"), job_id=job_id, number=number, state="queued"))
    with api.store.work() as work:
        work.trials.claim("live", 600.0)
        work.trials.claim("dead", -1.0)
    samples = scraped(api)
    assert figure(samples, "tunelens_queue_depth", kind="trials") == 1
    assert figure(samples, "tunelens_queue_oldest_seconds", kind="trials") > 0
    assert figure(samples, "tunelens_leases", kind="trials", state="live") == 1
    assert figure(samples, "tunelens_leases", kind="trials", state="expired") == 1
    assert figure(samples, "tunelens_queue_depth", kind="exports") == 0


def test_requests_are_counted_by_route_and_never_by_path(api: Api) -> None:
    def count(samples: Samples, route: str, status: str, method: str = "GET") -> float:
        return figure(samples, "tunelens_http_request_seconds_count", method=method, route=route, status=status)

    before = scraped(api)
    for _ in range(3):
        api.call("GET", f"/v1/jobs/{api.ours.ids['job_id']}")
    api.call("GET", "/v1/jobs/c4n4ry?q=c4n4ry")
    api.call("BREW", "/c4n4ry/of/nothing")
    after = scraped(api)
    assert count(after, "/v1/jobs/{job_id}", "200") - count(before, "/v1/jobs/{job_id}", "200") == 3
    assert count(after, "/v1/jobs/{job_id}", "404") - count(before, "/v1/jobs/{job_id}", "404") == 1
    assert count(after, "none", "404", "any") - count(before, "none", "404", "any") == 1
    assert "c4n4ry" not in repr(after)
    assert count(after, "/metrics", "200") >= 1


def test_workers_figures_are_told_apart(api: Api) -> None:
    for worker, seconds in (("host:1", [2.0]), ("host:2", [0.5, 200.0])):
        figures = Figures()
        for second in seconds:
            figures.trial("done", second)
        figures.answer("explanation", 0.2)
        with api.store.work() as work:
            work.workers.seen(worker, ["train", "explain"], {}, figures=figures.text())
    with api.store.work() as work:
        work.workers.seen("host:3", ["train"], {})
    samples = scraped(api)
    assert figure(samples, "tunelens_workers", queue="train") == 3
    assert figure(samples, "tunelens_workers", queue="explain") == 2
    assert figure(samples, "tunelens_trial_seconds_sum", ending="done", worker="host:2") == 200.5
    for worker, short in (("host:1", 0), ("host:2", 1)):
        bucket = {"ending": "done", "worker": worker, "le": "1.0"}
        assert figure(samples, "tunelens_trial_seconds_bucket", **bucket) == short
        assert figure(samples, "tunelens_answer_seconds_count", kind="explanation", worker=worker) == 1


def test_gpus_are_asked_for_where_there_are_some(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '0, 512, 81559'\necho '1, [N/A], 81559'\n")
    smi.chmod(0o700)
    assert gpu_memory(str(smi)) == [("0", 512, 81559)]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert 'tunelens_gpu_memory_bytes{gpu="0",of="used"} 5.36870912e+08' in Figures().text()
    assert gpu_memory(str(tmp_path / "nowhere")) == []
