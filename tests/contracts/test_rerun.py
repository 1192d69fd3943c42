"""`POST /v1/jobs/{id}/rerun` applies the remedies of a diagnosis by their ids."""

from typing import Any

import pytest

from service.specs.diagnosis import Diagnosis, Evidence, Remedy
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


@pytest.mark.parametrize("apply", ["more-dropout", [1], ["x" * 65], ["more-dropout"] * 17])
def test_ids_are_a_bounded_list(apply: Any, diagnosed: Api) -> None:
    path = f"/v1/jobs/{diagnosed.ours.ids['job_id']}/rerun"
    problem(diagnosed.call("POST", path, json={"apply": apply}), 422, "validation")
