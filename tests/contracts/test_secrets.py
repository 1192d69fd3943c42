"""What clients send stays out of logs, events and errors, wherever they put it (S11)."""

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from service.logs import Lines
from service.settings import Settings
from service.store import Store
from tests.contracts.conftest import Api, problem
from tests.contracts.test_lost_answers import Broken
from tests.contracts.world import job_spec
from tests.corpora import pets
from tests.corpora.pictures import png

CANARY = "c4n4ry"
JSON = {"Content-Type": "application/json"}
KEY = f"tl_00000000_{CANARY}{'A' * 45}"


def refusals(api: Api) -> list[Any]:
    """Requests that are refused, with the canary in a header, the query, the path, a body, a file name.

    The name of an unknown field is told, or nobody would find it; what stands in the field is not.
    """
    ours = api.ours.ids
    spec = job_spec(ours["dataset_id"], name=[CANARY], training={"optimizer": CANARY, "epochs": CANARY})
    explain = {"files": {"file": ("a.png", png())}, "data": {"spec": f'{{"method": "{CANARY}"}}'}}
    resume = {"Last-Event-ID": CANARY, "Accept": "text/event-stream"}
    image = {"file": (f"{CANARY}.png", CANARY.encode())}
    return [
        api.client.get("/v1/jobs", headers={"Authorization": f"Bearer {KEY}"}),
        api.client.get(f"/v1/jobs?api_key={KEY}"),
        api.call("GET", "/v1/jobs", headers={"Host": f"{CANARY}.example"}),
        api.call("GET", f"/v1/jobs?cursor={CANARY}&limit={CANARY}"),
        api.call("GET", f"/v1/jobs/{ours['job_id']}/events", headers=resume),
        api.call("GET", f"/v1/models/{ours['model_id']}/artifacts/model.safetensors", headers={"Range": CANARY}),
        api.call("POST", "/v1/jobs", json=spec),
        api.call("POST", "/v1/jobs", content=f'{{"{CANARY}', headers=JSON),
        api.call("POST", "/v1/jobs", content=f'{{"{CANARY}": 1, "{CANARY}": 2}}', headers=JSON),
        api.call("POST", "/v1/jobs", json=job_spec(CANARY)),
        api.call("POST", "/v1/jobs", json=job_spec(ours["dataset_id"], backbone={"name": CANARY})),
        api.call("POST", "/v1/jobs", content=CANARY, headers={"Content-Type": f"text/{CANARY}"}),
        api.call("POST", f"/v1/jobs/{ours['job_id']}/rerun", json={"apply": [CANARY]}),
        api.call("POST", "/v1/jobs", json=spec, headers={"Idempotency-Key": CANARY * 100}),
        api.call("PUT", f"/v1/aliases/{CANARY}", json={"model_id": CANARY}),
        api.call("POST", "/v1/keys", key=api.ours.admin_key, json={"project": CANARY}),
        api.upload(CANARY.encode(), name=f"{CANARY}.zip"),
        api.upload(pets.plain(), modality=CANARY),
        api.upload(pets.plain(), metadata=CANARY),
        api.call("POST", f"/v1/models/{ours['model_id']}/predictions", files=image),
        api.call("POST", f"/v1/models/{ours['model_id']}/explanations", **explain),
    ]  # fmt: skip


def acceptances(api: Api) -> list[Any]:
    """Requests that are taken, with the canary wherever a client may write what it likes."""
    ours = api.ours.ids
    named = {"name": CANARY, "metadata": {CANARY: CANARY}}
    headers = {"Idempotency-Key": CANARY, "X-Secret": CANARY, "User-Agent": CANARY}
    fields = {"name": CANARY, "metadata": json.dumps({CANARY: CANARY})}
    return [
        api.call("GET", f"/v1/jobs?name={CANARY}&secret={CANARY}", headers=headers),
        api.call("POST", "/v1/jobs", json=job_spec(ours["dataset_id"], **named), headers=headers),
        api.upload(pets.plain(), **fields),
        api.call("POST", f"/v1/models/{ours['model_id']}/predictions", files={"file": (f"{CANARY}.png", png())}),
    ]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """All that was logged on the server's side, with tracebacks."""
    caplog.set_level(logging.DEBUG)

    def text() -> str:
        formatter = Lines("%(name)s %(message)s")
        ours = [record for record in caplog.records if not record.name.startswith(("httpx", "asyncio"))]
        return "\n".join(formatter.format(record) for record in ours)

    return text


def test_s11_refusals_repeat_nothing(api: Api, logged: Callable[[], str]) -> None:
    for answer in refusals(api):
        assert answer.status_code >= 400, answer.request.url
        document = problem(answer, answer.status_code, answer.json()["type"].removeprefix("/problems/"))
        assert CANARY not in json.dumps({name: document[name] for name in document if name != "instance"})
        assert CANARY not in str(answer.headers)
    assert CANARY not in logged()


def test_s11_what_is_taken_is_not_logged_nor_told_in_events(api: Api, logged: Callable[[], str]) -> None:
    answers = acceptances(api)
    assert [answer.status_code for answer in answers] == [200, 201, 201, 202]
    events = api.call("GET", f"/v1/jobs/{answers[1].json()['id']}/events")
    assert events.json()["data"]
    assert CANARY not in events.text
    assert CANARY not in logged()


def test_s11_figures_repeat_nothing(make_api: Callable[..., Api], logged: Callable[[], str]) -> None:
    """Labels are routes and methods of the document: neither paths nor methods that a client makes up."""
    operator = "operator-9c4e17d2b05fa863e1"
    api = make_api(admin_key=operator)
    refusals(api)
    acceptances(api)
    for method, path in (
        (CANARY.upper(), "/v1/jobs"),
        ("GET", f"/{CANARY}"),
        (CANARY, "/healthz"),
        (CANARY, "/metrics"),
    ):
        assert api.call(method, path).status_code in (404, 405)
    figures = api.call("GET", "/metrics", key=operator)
    assert figures.status_code == 200
    assert 'route="/v1/jobs"' in figures.text
    assert CANARY not in figures.text.lower()
    assert CANARY not in logged().lower()


def test_s11_failures_are_logged_without_what_was_sent(
    make_api: Callable[..., Api], logged: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that fails carries its parameters, which are the client's: the log has the statement alone."""
    api = make_api()
    spec = job_spec(api.ours.ids["dataset_id"], name=CANARY)
    headers = {"Idempotency-Key": CANARY}
    monkeypatch.setitem(api.client.app.state._state, "nudges", Broken())  # type: ignore[attr-defined]
    answers = [api.call("POST", "/v1/jobs", json=spec, headers=headers), api.upload(pets.plain(), name=f"{CANARY}.zip")]
    for answer in answers:
        problem(answer, 500, "internal")
    with api.store.work() as work:
        work.session.connection().exec_driver_sql("DROP TABLE events")
    # SQLite tells of a table that is not there as it tells of a database that is not there.
    told = (503, "unavailable") if api.store.engine.dialect.name == "sqlite" else (500, "internal")
    problem(api.call("POST", "/v1/jobs", json=spec), *told)
    with api.store.work() as work:
        work.session.connection().exec_driver_sql("ALTER TABLE jobs RENAME COLUMN name TO title")
    answers += [api.call("POST", "/v1/jobs", json=spec), api.call("GET", f"/v1/jobs?name={CANARY}", headers=headers)]
    for answer in answers[2:]:
        problem(answer, *told)
    assert "INSERT INTO jobs" in logged()
    assert not [answer for answer in answers if CANARY in answer.text + str(answer.headers)]
    assert CANARY not in logged()


def test_s11_settings_and_engines_show_no_secret(tmp_path: Any) -> None:
    url = f"postgresql+psycopg://tunelens:{CANARY}@127.0.0.1:1/x"
    settings = Settings(data_dir=tmp_path, admin_key=CANARY * 9, database_url=url, broker_url=f"redis://:{CANARY}@b/0",
                        artifacts_url=f"s3://key:{CANARY}@bucket")  # fmt: skip
    assert CANARY not in repr(settings) + str(settings)
    store = Store(url)
    assert CANARY not in repr(store.engine)
    with pytest.raises(Exception, match="connection") as caught, store.read() as work:
        work.keys.live("x")
    assert CANARY not in str(caught.value)
    store.close()
