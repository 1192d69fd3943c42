"""What is deleted is gone from the database and from every machine's folders, logs included."""

import io
import zipfile
from pathlib import Path

import numpy as np
import psycopg
import pytest

from tests.corpora.pictures import chunk
from tests.deployment.deployed import Deployment, client_of, rows
from tests.live import COLOURS, job_spec, square_png, until

pytestmark = pytest.mark.timeout(240)
CANARY = "c4n4ry7e5t"


def marked(picture: bytes) -> bytes:
    """The canary as a comment of the PNG."""
    return picture[:33] + chunk(b"tEXt", b"k\0" + CANARY.encode()) + picture[33:]


def archive() -> bytes:
    """Stored, so that what is in it can be found by its bytes."""
    generator, buffer = np.random.default_rng(3), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for name, colour in COLOURS.items():
            for number in range(12):
                written.writestr(f"{name}/{CANARY}-{number}.png", marked(square_png(generator, colour)))
    return buffer.getvalue()


def places(deployed: Deployment) -> list[str]:
    """Files below the folders of all services, and tables."""
    found = [str(path) for path in deployed.folder.rglob("*") if path.is_file() and CANARY in _text(path)]
    tables = [name for (name,) in rows(deployed, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    with psycopg.connect(deployed.database_url) as connection:
        for table in tables:
            like = f"t::text LIKE '%{CANARY}%' OR t::text LIKE '%{CANARY.encode().hex()}%'"
            counted = connection.execute(f"SELECT count(*) FROM {table} t WHERE {like}").fetchone()  # type: ignore[call-overload]
            found += [table] * bool(counted and counted[0])
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("latin-1")
    except FileNotFoundError:  # it has been swept meanwhile
        return ""


def test_nothing_of_what_is_deleted_stays_anywhere(deployed: Deployment) -> None:
    with client_of(deployed) as client, deployed.http as http:
        dataset = client.upload_dataset(archive(), name=CANARY, wait_seconds=60)
        assert dataset["state"] == "ready", dataset
        job = client.submit_job({**job_spec(dataset["id"], epochs=1), "name": CANARY, "metadata": {"k": CANARY}})
        job = client.wait(job["id"], timeout_seconds=120)
        assert job["state"] == "succeeded", job
        picture = marked(square_png(np.random.default_rng(5), COLOURS["red"]))
        asked = http.post(
            f"/v1/models/{job['model_id']}/explanations",
            files={"file": (f"{CANARY}.png", picture)},
            data={"spec": '{"method": "grad_cam"}'},
            headers={"Prefer": "wait=60", "Idempotency-Key": "once"},
        )
        assert asked.status_code == 200, asked.text
        others = client.upload_dataset(archive(), name=CANARY, wait_seconds=60)
        asked = http.post(
            f"/v1/models/{job['model_id']}/explanations",
            json={"dataset_id": others["id"], "limit": 2, "method": "grad_cam"},
            headers={"Prefer": "wait=60", "Idempotency-Key": "others"},
        )
        assert asked.status_code == 200, asked.text
        kept = places(deployed)
        assert {"datasets", "jobs", "explanations", "artifact_chunks", "idempotency_keys"} <= set(kept)
        assert any("worker-train/cache" in place for place in kept), kept
        assert http.delete(f"/v1/datasets/{others['id']}").status_code == 204
        assert http.get(asked.headers["location"]).status_code == 404
        assert http.delete(f"/v1/jobs/{job['id']}").status_code == 204
        assert http.delete(f"/v1/datasets/{dataset['id']}?cascade=true").status_code == 204
    until(lambda: places(deployed) == [])
    assert rows(deployed, "SELECT count(*) FROM artifacts WHERE owner_id IS NULL AND created_at = 0") == [(0,)]
