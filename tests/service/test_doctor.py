"""Each fault that the doctor knows, made; and a deployment in which nothing is wrong."""

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import update

from service.doctor import __main__ as doctor
from service.doctor.checks import LITTLE_BYTES, examine
from service.doctor.findings import Finding, Patient
from service.settings import Settings
from service.store import Store
from service.store.engine import now_seconds
from service.store.migrate import alembic_config
from service.store.tables import ArtifactRow, TrialRow
from tests.nudges import Recorded
from tests.rows import add_job, add_project
from tests.storages import use_failing_storage
from tests.worker.runtime.test_claims import make_runtime
from worker.presence import Presence
from worker.runtime.figures import Figures
from worker.runtime.memory import MemoryLimits


@pytest.fixture
def patient(store: Store, tmp_path: Path) -> Patient:
    """All of whose workers are there."""
    with store.work() as work:
        work.workers.seen("host:1", ["train", "control"], {})
        work.workers.seen("host:2", ["explain"], {})
    return Patient(Settings(data_dir=tmp_path), store, Recorded())


def found(patient: Patient, part: str) -> list[Finding]:
    return [finding for finding in examine(patient) if finding.part == part and finding.level != "well"]


def test_nothing_is_wrong_with_a_healthy_one(patient: Patient) -> None:
    findings = examine(patient)
    assert {finding.level for finding in findings} == {"well"}
    parts = ["secrets", "disk", "database", "schema", "broker", "artifacts", "workers", "workers", "workers", "queues"]
    assert [finding.part for finding in findings] == parts
    with patient.store.read() as work:
        assert work.artifacts.unowned(-60.0) == [], "it leaves nothing behind"


def test_weak_and_open_secrets(patient: Patient) -> None:
    (patient.settings.data_dir / "admin.key").write_text("tl_key")
    (patient.settings.data_dir / "admin.key").chmod(0o644)
    patient.settings.admin_key = "changeme"
    weak, readable = found(patient, "secrets")
    assert (weak.level, readable.level) == ("wrong", "wrong")
    assert "TUNELENS_ADMIN_KEY" in weak.says
    assert readable.remedy.startswith("chmod 600")


def test_how_much_memory_children_may_take(patient: Patient) -> None:
    figures = [Figures(), Figures()]
    figures[0].limits(MemoryLimits(3 * 1024**3, 2 * 1024**3))
    figures[1].limits(MemoryLimits(0, 0))
    with patient.store.work() as work:
        work.workers.seen("host:1", ["train", "control"], {}, figures=figures[0].text())
        work.workers.seen("host:2", ["explain"], {}, figures=figures[1].text())
    well, look = (finding for finding in examine(patient) if finding.part == "memory")
    assert (well.level, look.level) == ("well", "look")
    assert well.says == "A child of host:1 may take 3.0 GiB for computing, 2.0 GiB for reading."
    assert "TUNELENS_MEMORY_LIMIT_BYTES" in look.remedy


def test_trials_that_wait_for_more_devices_than_there_are(patient: Patient) -> None:
    project = add_project(patient.store)
    for devices in (1, 4):
        job_id, _ = add_job(patient.store, project)
        with patient.store.work() as work:
            job = work.jobs.get(job_id)
            assert job is not None
            job.spec = job.spec | {"limits": {"wall_seconds": 60, "devices": devices}}
            work.workers.seen("host:1", ["train", "control"], {}, devices=2)
    (finding,) = found(patient, "devices")
    assert (finding.level, finding.says) == ("look", "Trials wait for 4 devices; no worker has more than 2.")
    with patient.store.work() as work:
        work.workers.seen("host:3", ["train"], {}, devices=4)
    assert found(patient, "devices") == []


def test_gpus_that_a_worker_does_without(patient: Patient) -> None:
    figures = Figures()
    figures.left_out("1", "RuntimeError: no kernel image is available.")
    with patient.store.work() as work:
        work.workers.seen("host:1", ["train", "control"], {}, devices=1, figures=figures.text())
    (finding,) = found(patient, "devices")
    assert finding.level == "look"
    assert finding.says == "host:1 does without GPU 1: RuntimeError: no kernel image is available."


def test_a_full_disk(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(100, 99, LITTLE_BYTES - 1))
    (finding,) = found(patient, "disk")
    assert finding.level == "look"
    patient.settings.data_dir = patient.settings.data_dir / "missing"
    (finding,) = found(patient, "disk")
    assert finding.level == "wrong"


def test_a_database_that_is_away_or_behind(patient: Patient, tmp_path: Path) -> None:
    command.downgrade(alembic_config(patient.store.engine), "-1")
    (finding,) = found(patient, "schema")
    assert (finding.level, finding.remedy) == ("wrong", "python -m service.store.migrate")
    command.upgrade(alembic_config(patient.store.engine), "head")
    away = Patient(patient.settings, Store("postgresql://nobody:pa55w0rd@127.0.0.1:1/x"), patient.nudges)
    (finding,) = found(away, "database")
    assert finding.level == "wrong"
    assert "pa55w0rd" not in repr(examine(away))


def test_a_broker_that_is_away(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorded, "broker_answers", lambda _: False)
    (finding,) = found(patient, "broker")
    assert finding.level == "wrong"


def test_artifacts_that_cannot_be_kept_or_are_left_over(patient: Patient, tmp_path: Path) -> None:
    store = patient.store
    store.artifacts.write(b"left", "text/plain")
    with store.work() as work:
        work.session.execute(update(ArtifactRow).values(created_at=0.0))
    (finding,) = found(patient, "artifacts")
    assert (finding.level, finding.says[:8]) == ("look", "1 belong")
    (tmp_path / "file").touch()
    nowhere = Store(store.engine.url.render_as_string(hide_password=False), f"file://{tmp_path}/file/below")
    (finding,) = found(Patient(patient.settings, nowhere, patient.nudges), "artifacts")
    assert finding.level == "wrong"
    nowhere.close()


def test_queues_without_workers(patient: Patient) -> None:
    with patient.store.work() as work:
        work.workers.gone("host:2")
    (finding,) = found(patient, "workers")
    assert (finding.level, finding.remedy) == ("wrong", "python -m worker explain")


def test_what_waits_and_what_hangs(patient: Patient) -> None:
    add_job(patient.store, add_project(patient.store), trials=2)
    with patient.store.work() as work:
        work.session.execute(update(TrialRow).values(queued_at=now_seconds() - 3600.0))
        work.trials.claim("gone", -5.0)
    hanging, waiting = found(patient, "queues")
    assert hanging.says.startswith("1 trials hang")
    assert waiting.says == "1 trials wait, the first for 60 minutes."


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_as_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(doctor.logging, "disable", lambda _: None)
    monkeypatch.setenv("TUNELENS_DATA_DIR", str(tmp_path))
    assert doctor.main(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    if arguments:
        told = [(one["level"], one["part"]) for one in map(json.loads, lines)]
    else:
        told = [tuple(line.split()[:2]) for line in lines]
    assert ("wrong", "schema") in told
    monkeypatch.setenv("TUNELENS_CACHE_BYTES", "many")
    assert doctor.main(arguments) == 1
    assert "cache_bytes" in capsys.readouterr().out


def test_artifacts_whose_storage_is_away(patient: Patient) -> None:
    use_failing_storage(patient.store, failures=1)
    (finding,) = found(patient, "artifacts")
    assert (finding.level, finding.says) == ("wrong", "Their storage does not answer.")


def test_the_disks_of_workers(patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker tells with its sign of life."""
    usage = namedtuple("usage", ["total", "used", "free"])
    told_by = make_runtime(patient.store, tmp_path)
    told_by.worker_id = "host:3"
    presence = Presence(told_by)
    for free, parts in ((LITTLE_BYTES, []), (LITTLE_BYTES - 1, ["disk"])):
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "disk_usage", lambda _, free=free: usage(0, 0, free))
            presence._say()
        findings = [finding for finding in found(patient, "disk") if "host:3" in finding.says]
        assert [finding.part for finding in findings] == parts * 2
    assert findings[0].says == "2.0 GiB are free at the data folder of host:3."


def test_a_folder_that_is_not_there_yet_is_no_disk_that_is_full(tmp_path: Path) -> None:
    figures = Figures()
    figures.room({"data": tmp_path, "scratch": tmp_path / "missing"})
    assert 'folder="data"' in figures.text()
    assert "scratch" not in figures.text()
