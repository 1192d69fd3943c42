"""What is deleted is gone: from every address, and from the disk (S47)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from service.errors import LeaseLost, UnknownReference
from service.inputs.asking import Asked
from service.inputs.keeping import hold_asked, keep_inputs
from service.specs.explanations import DatasetInputs
from service.store import Lease
from service.store.bases import Row
from service.store.tables import ArtifactRow, ChunkRow
from service.sweeper import Sweeper
from tests.contracts.conftest import Api, problem
from tests.contracts.models import text_dataset, text_model
from tests.contracts.world import job_spec
from tests.corpora import pets
from tests.corpora.pictures import chunk, png
from tests.corpora.zip_writer import Part
from tests.nudges import Recorded

CANARY = "c4n4ry-5ings"
MARKED = png()[:33] + chunk(b"tEXt", b"k\0" + CANARY.encode()) + png()[33:]
ONCE = {"Idempotency-Key": "once"}
NAMED = {"name": CANARY, "metadata": {"k": CANARY}}


def places_with_canary(api: Api) -> list[str]:
    """Files of the data directory, and tables of a database that is not in it."""
    folder: Path = api.client.app.state.settings.data_dir  # type: ignore[attr-defined]
    found = [str(path) for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    if api.store.engine.dialect.name == "sqlite":
        return found
    with api.store.engine.connect() as connection:
        for table in Row.metadata.tables:
            like = f"t::text LIKE '%%{CANARY}%%' OR t::text LIKE '%%{CANARY.encode().hex()}%%'"
            count = connection.exec_driver_sql(f"SELECT count(*) FROM {table} t WHERE {like}").scalar_one()
            found += [table] * bool(count)
    return found


def sweep(api: Api) -> None:
    settings = api.client.app.state.settings  # type: ignore[attr-defined]
    Sweeper(api.store, Recorded(), settings).sweep(now=0.0)


def make(api: Api) -> list[str]:
    """Addresses of a data set, a job, a prediction and an explanation that hold the canary wherever one can."""
    archive = pets.with_part(Part(f"cat/{CANARY}.png", MARKED))
    made = [
        api.call("POST", "/v1/datasets", files={"file": (f"{CANARY}.zip", archive)}, headers=ONCE,
                 data={"modality": "image", "name": CANARY, "metadata": f'{{"k": "{CANARY}"}}'}),
        api.call("POST", "/v1/jobs", json=job_spec(api.ours.ids["dataset_id"], **NAMED), headers=ONCE),
        _ask(api, "predictions"),
        _ask(api, "explanations"),
    ]  # fmt: skip
    assert [answer.status_code for answer in made] == [201, 201, 202, 202]
    return [answer.headers["location"] for answer in made]


def _ask(api: Api, noun: str) -> Any:
    spec = {"spec": '{"method": "shap"}'} if noun == "explanations" else {}
    path = f"/v1/models/{api.ours.ids['model_id']}/{noun}"
    return api.call("POST", path, files={"file": (f"{CANARY}.png", MARKED)}, data=spec, headers=ONCE)


def test_s47_nothing_of_what_is_deleted_stays_on_the_disk(make_api: Callable[..., Api]) -> None:
    api = make_api()
    addresses = make(api)
    assert places_with_canary(api)
    assert api.call("POST", f"{addresses[1]}/cancel", headers=ONCE).status_code == 200
    for address in addresses:
        assert api.call("DELETE", address).status_code == 204
        problem(api.call("GET", address), 404, "not-found")
    sweep(api)
    assert places_with_canary(api) == []


def test_s47_cascade_takes_all_that_was_learned_and_leaves_no_bytes(make_api: Callable[..., Api]) -> None:
    api = make_api()
    ids = api.ours.ids
    addresses = {
        f"/v1/datasets/{ids['dataset_id']}",
        f"/v1/datasets/{ids['dataset_id']}/samples",
        f"/v1/jobs/{ids['job_id']}",
        f"/v1/jobs/{ids['job_id']}/events",
        f"/v1/jobs/{ids['job_id']}/plots/learning_curves.png",
        f"/v1/models/{ids['model_id']}",
        "/v1/models/best",
        f"/v1/models/{ids['model_id']}/artifacts/model.safetensors",
        f"/v1/models/{ids['model_id']}/exports/onnx",
        f"/v1/predictions/{ids['prediction_id']}",
        f"/v1/explanations/{ids['explanation_id']}",
        f"/v1/explanations/{ids['explanation_id']}/items/0/cat/overlay.png",
    }
    assert {api.call("GET", address).status_code for address in addresses} == {200}
    kept = _bytes_of(api, api.theirs.ids.values())
    assert api.call("DELETE", f"/v1/datasets/{ids['dataset_id']}?cascade=true").status_code == 204
    for address in addresses:
        problem(api.call("GET", address), 404, "not-found")
    sweep(api)
    assert _bytes_of(api, api.theirs.ids.values()) == kept == _all_bytes(api)


def test_s47_cascade_finds_models_whose_jobs_are_gone(make_api: Callable[..., Api]) -> None:
    api = make_api()
    ids = api.ours.ids
    addresses = [
        f"/v1/models/{ids['model_id']}",
        f"/v1/predictions/{ids['prediction_id']}",
        f"/v1/explanations/{ids['explanation_id']}",
        f"/v1/explanations/{ids['explanation_id']}/items/0/cat/overlay.png",
    ]
    assert api.call("DELETE", f"/v1/jobs/{ids['job_id']}").status_code == 204
    assert {api.call("GET", address).status_code for address in addresses} == {200}
    kept = _bytes_of(api, api.theirs.ids.values())
    assert api.call("DELETE", f"/v1/datasets/{ids['dataset_id']}?cascade=true").status_code == 204
    for address in addresses:
        problem(api.call("GET", address), 404, "not-found")
    sweep(api)
    assert _bytes_of(api, api.theirs.ids.values()) == kept == _all_bytes(api)


@pytest.mark.parametrize("cascade", ["false", "true"])
def test_s47_what_any_model_said_of_samples_goes_with_them(make_api: Callable[..., Api], cascade: str) -> None:
    """Answered, running and queued; what was said of other samples stays."""
    api = make_api()
    model, dataset, other = text_model(api), text_dataset(api), text_dataset(api, digest="3" * 64)
    said = {
        noun: [_ask_of(api, model, noun, dataset, key) for key in "abc"] for noun in ("predictions", "explanations")
    }
    kept = [_ask_of(api, model, noun, other, "other") for noun in said]
    running = {noun: (_answer(api, noun, CANARY), _claim(api, noun))[1] for noun in said}
    assert places_with_canary(api)
    assert api.call("DELETE", f"/v1/datasets/{dataset}?cascade={cascade}").status_code == 204
    for noun, addresses in said.items():
        for address in addresses:
            problem(api.call("GET", address), 404, "not-found")
        again = _ask_of(api, model, noun, dataset, "a", status=404)
        problem(again, 404, "not-found")
        with pytest.raises(LeaseLost), api.store.work() as work:
            getattr(work, noun).leases.finish(running[noun], "succeeded", result={"items": [CANARY]})
    assert {api.call("GET", address).status_code for address in [*kept, f"/v1/models/{model}"]} == {200}
    sweep(api)
    assert places_with_canary(api) == []


def test_s47_nobody_is_asked_about_samples_that_are_deleted_just_now(make_api: Callable[..., Api]) -> None:
    """The dataset was found when its samples were chosen, and is gone when the row is to be written."""
    api = make_api()
    model_id, dataset = text_model(api), text_dataset(api)
    with api.store.read() as work:
        model = work.models.get(model_id)
    assert model is not None
    kept = keep_inputs(api.store, model, Asked({}, dataset=DatasetInputs(dataset_id=dataset)), most=64)
    assert api.call("DELETE", f"/v1/datasets/{dataset}").status_code == 204
    with pytest.raises(UnknownReference), api.store.work() as work:
        hold_asked(work, model, kept)


def test_s47_models_stay_unless_cascade_is_asked_for(make_api: Callable[..., Api]) -> None:
    api = make_api()
    assert api.call("DELETE", f"/v1/datasets/{api.ours.ids['dataset_id']}").status_code == 204
    assert api.call("GET", f"/v1/models/{api.ours.ids['model_id']}").status_code == 200


def test_s47_a_repeat_finds_that_it_is_gone(make_api: Callable[..., Api]) -> None:
    api = make_api()
    body, headers = job_spec(api.ours.ids["dataset_id"], **NAMED), {"Idempotency-Key": "gone"}
    made = api.call("POST", "/v1/jobs", json=body, headers=headers)
    api.call("POST", f"{made.headers['location']}/cancel")
    assert api.call("DELETE", made.headers["location"]).status_code == 204
    problem(api.call("POST", "/v1/jobs", json=body, headers=headers), 404, "not-found")


def _ask_of(api: Api, model: str, noun: str, dataset: str, key: str, *, status: int = 202) -> Any:
    """Asks about samples of a dataset; the address, if that is accepted."""
    body = {"dataset_id": dataset, "limit": 2, **({"method": "lime"} if noun == "explanations" else {})}
    answer = api.call("POST", f"/v1/models/{model}/{noun}", json=body, headers={"Idempotency-Key": f"{noun}-{key}"})
    assert answer.status_code == status, answer.text
    return answer.headers["location"] if status == 202 else answer


def _claim(api: Api, noun: str) -> Lease:
    with api.store.work() as work:
        lease: Lease | None = getattr(work, noun).leases.claim("tester", 30.0)
    assert lease is not None
    return lease


def _answer(api: Api, noun: str, text: str) -> None:
    """As a worker would, with a page that quotes the sample."""
    lease = _claim(api, noun)
    page = api.store.artifacts.write(text.encode(), "text/html")
    with api.store.work() as work:
        getattr(work, noun).leases.finish(lease, "succeeded", result={"items": [{"name": text}]})
        work.artifacts.attach({"items/0/page.html": page}, lease.row_id)


def _bytes_of(api: Api, owners: Any) -> int:
    with api.store.read() as work:
        query = select(func.count()).select_from(ChunkRow).join(ArtifactRow, ChunkRow.artifact_id == ArtifactRow.id)
        return work.session.scalar(query.where(ArtifactRow.owner_id.in_(owners))) or 0


def _all_bytes(api: Api) -> int:
    with api.store.read() as work:
        return work.session.scalar(select(func.count()).select_from(ChunkRow)) or 0
