"""`POST /v1/jobs/{id}/rerun` applies the remedies of a diagnosis by their ids."""

from typing import Any

import pytest

from service.specs.diagnosis import Diagnosis, Evidence, Remedy
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.store.tables import JobRow
from tests.contracts.conftest import Api, problem


def remedy(name: str, **patch: Any) -> Remedy:
    return Remedy(id=name, title="A title", rationale="A reason.", patch=patch)


DIAGNOSIS = Diagnosis(
    verdict="overfitting",
    confidence=0.75,
    summary="Train and validation are apart.",
    evidence=[Evidence(measure="loss_gap_ratio", value=2, threshold=0.1, comment="Twice."),
              Evidence(measure="epochs", value=None, threshold=None, comment="Some.")],
    remedies=[
        remedy("more-dropout", backbone={"dropout": 0.5}),
        remedy("no-dropout", backbone={"dropout": 0.0}, training={"epochs": 3}),
        remedy("explicit", augmentation={"policy": None, "horizontal_flip": 0.5}),
        remedy("impossible", training={"epochs": 0}),
    ],
)  # fmt: skip


@pytest.fixture
def diagnosed(api: Api) -> Api:
    with api.store.work() as work:
        work.session.get_one(JobRow, api.ours.ids["job_id"]).diagnosis = DIAGNOSIS.model_dump()
    return api


def rerun(api: Api, *ids: str, **override: Any) -> Any:
    body = {"apply": [*ids], "override": override}
    return api.call("POST", f"/v1/jobs/{api.ours.ids['job_id']}/rerun", json=body)


def accepted(api: Api, *ids: str, **override: Any) -> Any:
    answer = rerun(api, *ids, **override)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.json()["spec"]


def test_a_job_shows_its_diagnosis(diagnosed: Api) -> None:
    shown = diagnosed.call("GET", f"/v1/jobs/{diagnosed.ours.ids['job_id']}").json()["diagnosis"]
    assert shown == DIAGNOSIS.model_dump()
    report = diagnosed.call("GET", f"/v1/jobs/{diagnosed.ours.ids['job_id']}/report").text
    for text in ("overfitting", DIAGNOSIS.summary, "loss gap ratio", "Twice.", "A title", "more-dropout"):
        assert text in report


def test_remedies_are_applied_to_the_spec(diagnosed: Api) -> None:
    before = diagnosed.call("GET", f"/v1/jobs/{diagnosed.ours.ids['job_id']}").json()["spec"]
    spec = accepted(diagnosed, "more-dropout")
    assert spec.pop("backbone") == {**before.pop("backbone"), "dropout": 0.5}
    assert spec == before


def test_a_null_in_a_patch_removes(diagnosed: Api) -> None:
    augmentation = accepted(diagnosed, "explicit")["augmentation"]
    assert (augmentation["policy"], augmentation["horizontal_flip"]) == (None, 0.5)


def test_of_two_that_set_the_same_the_later_wins(diagnosed: Api) -> None:
    assert accepted(diagnosed, "more-dropout", "no-dropout")["backbone"]["dropout"] == 0.0
    spec = accepted(diagnosed, "no-dropout", "more-dropout")
    assert (spec["backbone"]["dropout"], spec["training"]["epochs"]) == (0.5, 3)
    spec = accepted(diagnosed, "no-dropout", "more-dropout", backbone={"dropout": 0.25})
    assert (spec["backbone"]["dropout"], spec["training"]["epochs"]) == (0.25, 3)


def test_unknown_remedies_are_named_by_their_place(diagnosed: Api) -> None:
    document = problem(rerun(diagnosed, "more-dropout", "magic", "more-magic"), 422, "validation")
    assert [(fault["loc"], fault["code"]) for fault in document["errors"]] == [
        (["body", "apply", 1], "unknown-remedy"),
        (["body", "apply", 2], "unknown-remedy"),
    ]
    assert "more-dropout" in document["errors"][0]["message"]
    assert "magic" not in str(document)


def test_a_job_without_a_diagnosis_has_no_remedies(api: Api) -> None:
    with api.store.work() as work:
        work.session.get_one(JobRow, api.ours.ids["job_id"]).diagnosis = None
    document = problem(rerun(api, "more-dropout"), 422, "validation")
    assert [(fault["loc"], fault["code"]) for fault in document["errors"]] == [(["body", "apply"], "no-diagnosis")]
    assert "succeeded" in document["detail"]
    assert accepted(api, training={"epochs": 2})["training"]["epochs"] == 2


def test_patches_that_make_no_spec_say_which_part_is_at_fault(diagnosed: Api) -> None:
    document = problem(rerun(diagnosed, "impossible"), 422, "validation")
    assert document["errors"][0]["loc"] == ["body", "apply", "training", "epochs"]
    document = problem(rerun(diagnosed, "more-dropout", training={"epochs": 0}), 422, "validation")
    assert document["errors"][0]["loc"] == ["body", "override", "training", "epochs"]


@pytest.fixture
def tuned(api: Api) -> Api:
    """Ours was a search by TPE for the least loss, its spec stored with everything that follows."""
    tuning = {"space": {"training.learning_rate": {"low": 1e-4, "high": 0.1, "log": True}}, "trials": 5}
    with api.store.work() as work:
        job = work.session.get_one(JobRow, api.ours.ids["job_id"])
        asked = JobSpec.model_validate({**job.spec, "early_stopping": {"patience": 3}, "tuning": tuning})
        job.spec = resolve(asked, DatasetFacts(samples=40, median_side=32)).model_dump()
        assert job.spec["tuning"]["sampler"] == "tpe"
    return api


def test_what_follows_from_a_strategy_follows_from_another_one(tuned: Api) -> None:
    tuning = accepted(tuned, tuning={"strategy": "random"})["tuning"]
    assert (tuning["strategy"], tuning["sampler"]) == ("random", None)


def test_what_follows_from_a_metric_follows_from_another_one(tuned: Api) -> None:
    spec = accepted(tuned, tuning={"metric": "validation_accuracy"})
    assert spec["tuning"]["direction"] == "maximize"
    assert spec["early_stopping"] == {"monitor": "validation_accuracy", "patience": 3, "min_delta": 0.0}


def test_what_an_override_names_is_held_against_the_rest(tuned: Api) -> None:
    document = problem(rerun(tuned, tuning={"strategy": "random", "sampler": "tpe"}), 422, "validation")
    assert document["errors"][0]["loc"] == ["body", "override", "tuning", "sampler"]
    document = problem(
        rerun(tuned, tuning={"metric": "validation_accuracy", "direction": "minimize"}), 422, "validation"
    )
    assert document["errors"][0]["loc"] == ["body", "override", "tuning", "direction"]


def test_an_override_that_changes_nothing_of_it_keeps_it(tuned: Api) -> None:
    with tuned.store.work() as work:
        job = work.session.get_one(JobRow, tuned.ours.ids["job_id"])
        job.spec = {**job.spec, "tuning": {**job.spec["tuning"], "sampler": "gp"}}
    assert accepted(tuned, tuning={"strategy": "bayesian", "trials": 4})["tuning"]["sampler"] == "gp"


@pytest.mark.parametrize("apply", ["more-dropout", [1], ["x" * 65], ["more-dropout"] * 17])
def test_ids_are_a_bounded_list(apply: Any, diagnosed: Api) -> None:
    path = f"/v1/jobs/{diagnosed.ours.ids['job_id']}/rerun"
    problem(diagnosed.call("POST", path, json={"apply": apply}), 422, "validation")
