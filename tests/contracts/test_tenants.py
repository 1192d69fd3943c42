"""Another project's things are as unknown as things that never were (S04); `test_matrix` walks every id."""

from tests.contracts.conftest import Api, problem
from tests.contracts.test_matrix import same
from tests.contracts.world import job_spec


def test_s04_every_artifact_of_theirs(api: Api) -> None:
    model = f"/v1/models/{api.theirs.ids['model_id']}"
    names = [item["name"] for item in api.call("GET", model, key=api.theirs.read_key).json()["artifacts"]]
    assert names
    for name in names:
        problem(api.call("GET", f"{model}/artifacts/{name}"), 404, "not-found")


def test_s04_a_plan_names_no_dataset_of_theirs(api: Api) -> None:
    foreign = api.call("POST", "/v1/jobs?dry_run=true", json=job_spec(api.theirs.ids["dataset_id"]))
    missing = api.call("POST", "/v1/jobs?dry_run=true", json=job_spec("ds_" + "0" * 20))
    problem(foreign, 422, "unknown-reference")
    same(foreign, missing)


def test_s04_lists_hold_ours_alone(api: Api) -> None:
    theirs = set(api.theirs.ids.values())
    for noun in ("datasets", "jobs", "models", "predictions", "explanations", "aliases"):
        first = api.call("GET", f"/v1/{noun}?limit=200")
        assert first.status_code == 200
        assert not any(row_id in first.text for row_id in theirs)


def test_s04_a_cursor_of_theirs_opens_nothing(api: Api) -> None:
    for _ in range(2):
        api.call("POST", "/v1/jobs", key=api.theirs.write_key, json=job_spec(api.theirs.ids["dataset_id"]))
    cursor = api.call("GET", "/v1/jobs?limit=1", key=api.theirs.read_key).json()["next_cursor"]
    assert cursor
    found = api.call("GET", "/v1/jobs", params={"cursor": cursor}).json()["data"]
    assert all(job["dataset_id"] != api.theirs.ids["dataset_id"] for job in found)


def test_s04_aliases_are_the_projects_own(api: Api) -> None:
    ours = api.call("GET", "/v1/models/best").json()["id"]
    theirs = api.call("GET", "/v1/models/best", key=api.theirs.read_key).json()["id"]
    assert (ours, theirs) == (api.ours.ids["model_id"], api.theirs.ids["model_id"])


def test_s04_an_alias_spelled_like_their_id_stays_ours(api: Api) -> None:
    their_id = api.theirs.ids["model_id"]
    assert api.call("PUT", f"/v1/aliases/{their_id}", json={"model_id": api.ours.ids["model_id"]}).status_code == 200
    assert api.call("GET", f"/v1/models/{their_id}").json()["id"] == api.ours.ids["model_id"]
    assert api.call("GET", f"/v1/models/{their_id}", key=api.theirs.read_key).json()["id"] == their_id
    assert api.call("DELETE", f"/v1/aliases/{their_id}").status_code == 204
