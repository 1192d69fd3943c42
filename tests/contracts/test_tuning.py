"""Searches over HTTP: what is refused, planned, counted and shown."""

from typing import Any

import pytest
from sqlalchemy import event, update

from service.jobs.actions import TUNING_PLOTS
from service.specs.base import new_id
from service.specs.points import early_params
from service.specs.tasks import ADVANCE_JOB, RUN_TRIALS
from service.store.tables import DatasetRow, EpochRow, JobRow, TrialRow
from tests.contracts.conftest import Api, problem
from tests.contracts.world import job_spec
from tests.nudges import Recorded
from tests.searches import SPACE, search_spec


def post(api: Api, tuning: dict[str, Any], *, dry_run: bool = False, **fields: Any) -> Any:
    spec = job_spec(api.ours.ids["dataset_id"], tuning={"space": SPACE, **tuning}, **fields)
    return api.call("POST", f"/v1/jobs?dry_run={str(dry_run).lower()}", json=spec)


def submitted(api: Api, **tuning: Any) -> dict[str, Any]:
    answer = post(api, tuning)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize(
    ("tuning", "where", "code"),
    [
        ({"space": {"training.batch_size": {"low": 1, "high": 8}}}, "training.batch_size.low", "greater-than-equal"),
        ({"space": {"training.batch_sise": {"low": 2, "high": 8}}}, "training.batch_sise", "unknown-path"),
        ({"space": {"seed": {"low": 2, "high": 8}}}, "seed", "not-tunable"),
        ({"space": {"training.warmup_epochs": {"low": 0, "high": 30}}}, "training.warmup_epochs", "combination"),
        ({"space": {"training.epochs": {"high": 30}}}, "training.epochs", "value-error"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_refusal_names_the_path_and_the_rule(
    api: Api, tuning: dict[str, Any], where: str, code: str, dry_run: bool
) -> None:
    document = problem(post(api, tuning, dry_run=dry_run), 422, "validation")
    fault = document["errors"][0]
    assert (".".join(map(str, fault["loc"])), fault["code"]) == (f"body.tuning.space.{where}", code)


def test_backbones_of_a_space_must_be_at_hand(api: Api) -> None:
    for name in ("nonsense", "resnet50"):
        space = {"backbone.name": {"choices": ["small_cnn", name]}}
        answer = api.call("POST", "/v1/jobs", json={
            "dataset_id": api.ours.ids["dataset_id"], "backbone": {"name": "small_cnn"}, "tuning": {"space": space},
        })  # fmt: skip
        problem(answer, 422, "unknown-backbone")


@pytest.mark.parametrize("strategy", ["random", "quasi_random", "grid", "bayesian"])
def test_the_plan_shows_the_trials_that_will_run(api: Api, strategy: str) -> None:
    space = {"training.batch_size": {"choices": [8, 16]}, "training.optimizer": {"choices": ["adam", "sgd", "adamw"]}}
    plan = post(api, {"space": space, "strategy": strategy, "trials": 8}, dry_run=True).json()
    trials = 7 if strategy == "grid" else 8
    spec = type(search_spec()).model_validate(plan["spec"])
    assert plan["first_trials"] == [{"number": n, "params": early_params(spec, n)} for n in range(5)]
    assert (plan["trials"], plan["cost"]["trials"]) == (trials, trials)
    assert plan["cost"]["sample_passes"] == trials * 30 * plan["cost"]["train_samples"]


def test_s39_the_plan_costs_the_largest_values(api: Api) -> None:
    space = {"training.epochs": {"low": 5, "high": 100}, "training.image_size": {"choices": [32, 64]}}
    tuned = {"name": "small_cnn", "weights": "none"}
    cost = post(api, {"space": space, "trials": 3}, dry_run=True, backbone=tuned).json()["cost"]
    assert cost["epochs"] == 100
    assert cost["pixels"] == cost["sample_passes"] * 64 * 64


@pytest.mark.parametrize(
    ("space", "training", "side"),
    [
        ({"backbone.name": {"choices": ["small_cnn", "resnet18"]}}, {}, 96),  # pictures of 48 x 32 pixels
        ({"backbone.name": {"choices": ["vit_b_16", "resnet18"]}}, {}, 224),
        ({"backbone.name": {"choices": ["small_cnn", "resnet18"]}}, {"image_size": 64}, 64),
        ({"backbone.name": {"choices": ["resnet18"]}, "training.image_size": {"choices": [32, 64]}}, {}, 96),
        ({"backbone.name": {"choices": ["resnet18"]}, "training.image_size": {"choices": [None, 128]}}, {}, 128),
        ({"backbone.name": {"choices": ["vit_b_16"]}, "training.image_size": {"choices": [None]}}, {}, 224),
    ],
)
def test_the_plan_costs_pictures_as_large_as_a_trial_may_take_them(
    api: Api, space: dict[str, Any], training: dict[str, Any], side: int
) -> None:
    backbone = {"name": "small_cnn", "weights": "none"}
    answer = post(api, {"space": space, "trials": 3}, dry_run=True, backbone=backbone, training=training)
    assert answer.status_code == 200, answer.text
    cost = answer.json()["cost"]
    assert cost["pixels"] == cost["sample_passes"] * side * side


def test_s39_a_search_beyond_any_budget_is_refused(api: Api) -> None:
    answer = api.call("POST", "/v1/jobs", json=job_spec(api.ours.ids["dataset_id"]))
    assert answer.status_code == 201
    with api.store.work() as work:
        row = work.datasets.get(api.ours.ids["dataset_id"])
        profile = dict(row.profile or {})
        work.session.execute(update(DatasetRow).where(DatasetRow.id == row.id).values(
            profile=profile | {"samples": 10**8}))  # fmt: skip
    try:
        large = {"epochs": 1000, "image_size": 128}
        problem(post(api, {"trials": 1000}, training=large), 422, "budget-exceeded")
        assert post(api, {"trials": 100}).status_code == 201
    finally:
        with api.store.work() as work:
            work.session.execute(update(DatasetRow).where(DatasetRow.id == row.id).values(profile=profile))


def test_a_search_is_accepted_with_its_baseline_alone(api: Api) -> None:
    job = submitted(api, trials=8, parallel=3)
    tuning = job["spec"]["tuning"]
    assert (tuning["sampler"], tuning["direction"], tuning["pruner"]) == ("tpe", "minimize", "median")
    assert (job["progress"]["trials_total"], job["progress"]["fraction"]) == (8, 0.0)
    trials = api.call("GET", f"/v1/jobs/{job['id']}/trials").json()["data"]
    assert [(trial["number"], trial["params"], trial["state"]) for trial in trials] == [(0, {}, "queued")]
    again = api.call("POST", f"/v1/jobs/{job['id']}/rerun", json={"override": {"tuning": {"trials": 5}}})
    assert again.json()["spec"]["tuning"] == tuning | {"trials": 5}


def add_trials(api: Api, job_id: str, count: int, epochs: int) -> None:
    """A search under way: all but the last trial have ended, after ten seconds each."""
    rows = [
        TrialRow(id=new_id("trl"), job_id=job_id, number=number, state="succeeded", seconds=10.0, params={"x": number},
                 metrics={"validation": {"loss": 0.5}, "test": {"loss": 0.4}})
        for number in range(1, count)
    ]  # fmt: skip
    rows[-1].state, rows[-1].fraction = "running", 0.5
    records = [
        EpochRow(trial_id=row.id, epoch=epoch, record={
            "epoch": epoch, "train_loss": 0.5, "validation_loss": 0.5, "train_accuracy": 0.5,
            "validation_accuracy": 0.5, "learning_rate": 0.1, "seconds": 1.0})
        for row in rows for epoch in range(1, epochs + 1)
    ]  # fmt: skip
    with api.store.work() as work:
        work.session.add_all(rows)
        work.session.flush()
        work.session.add_all(records)
        work.session.execute(update(JobRow).where(JobRow.id == job_id).values(state="running"))
        work.session.execute(update(TrialRow).where(TrialRow.job_id == job_id, TrialRow.number == 0).values(
            state="succeeded", seconds=10.0))  # fmt: skip


def test_progress_is_that_of_all_trials(api: Api) -> None:
    job = submitted(api, trials=10, parallel=2)
    add_trials(api, job["id"], count=5, epochs=3)
    progress = api.call("GET", f"/v1/jobs/{job['id']}").json()["progress"]
    assert progress == {"trials_finished": 4, "trials_total": 10, "epoch": 3, "epochs": 30, "fraction": 0.45,
                        "estimated_seconds_left": 27.5}  # fmt: skip


def test_lists_ask_the_database_a_fixed_number_of_times(api: Api) -> None:
    def statements(path: str) -> int:
        count = 0

        def counted(*_: object) -> None:
            nonlocal count
            count += 1

        event.listen(api.store.engine, "before_cursor_execute", counted)
        try:
            assert api.call("GET", path).status_code == 200
        finally:
            event.remove(api.store.engine, "before_cursor_execute", counted)
        return count

    job = submitted(api, trials=1000)
    add_trials(api, job["id"], count=5, epochs=3)
    few = statements(f"/v1/jobs/{job['id']}/trials"), statements("/v1/jobs?limit=1")
    with api.store.work() as work:
        work.session.query(TrialRow).filter(TrialRow.job_id == job["id"], TrialRow.number > 0).delete()
    add_trials(api, job["id"], count=60, epochs=3)
    assert (statements(f"/v1/jobs/{job['id']}/trials"), statements("/v1/jobs?limit=100")) == few


def test_test_scores_of_trials_are_shown_nowhere(api: Api) -> None:
    job = submitted(api)
    add_trials(api, job["id"], count=4, epochs=1)
    for path in ("trials", "trials/1", "report"):
        text = api.call("GET", f"/v1/jobs/{job['id']}/{path}").text
        assert ("0.5" in text, "0.4" in text) == (True, False)


def test_a_resumed_search_wakes_as_many_workers_as_trials_wait(api: Api) -> None:
    nudges = api.client.app.state.nudges  # type: ignore[attr-defined]
    assert isinstance(nudges, Recorded)
    for waiting, sent in ((2, [RUN_TRIALS] * 2), (0, [ADVANCE_JOB])):
        job = submitted(api)
        add_trials(api, job["id"], count=4, epochs=1)
        with api.store.work() as work:
            rows = work.trials.of(job["id"])
            for row in rows[-2:]:
                row.state = "queued" if waiting else "succeeded"
            work.session.execute(update(JobRow).where(JobRow.id == job["id"]).values(state="paused"))
        nudges.sent.clear()
        assert api.call("POST", f"/v1/jobs/{job['id']}/resume").status_code == 200
        assert nudges.sent == sent


@pytest.mark.parametrize("plot", TUNING_PLOTS)
def test_a_job_without_a_search_has_no_plots_of_one(api: Api, plot: str) -> None:
    for form in ("png", "svg", "json"):
        answer = api.call("GET", f"/v1/jobs/{api.ours.ids['job_id']}/plots/{plot}.{form}")
        assert "not tuned" in problem(answer, 404, "not-found")["detail"]
