"""Whatever the doctor stumbles over is a finding of its part: addresses that cannot be used, databases that refuse."""

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.doctor.checks import examine
from service.doctor.findings import Finding, Patient
from service.doctor.reasons import why_not
from service.settings import Settings
from service.store import Store
from tests.postgres import PostgresServer


def told(settings: Settings) -> dict[str, Finding]:
    """By part, what is wrong with a deployment of these settings; no words of their addresses."""
    patient = Patient(settings)
    findings = examine(patient)
    patient.close()
    assert "s3cr3t" not in repr(findings)
    return {finding.part: finding for finding in findings if finding.level == "wrong"}


@pytest.mark.parametrize(
    "url", ["postgres://u:s3cr3t@db/x", "s3cr3t", "postgresql://u:s3cr3t@db:port/x", "mysql://u:s3cr3t@db/x"]
)
def test_a_database_address_that_cannot_be_used(tmp_path: Path, url: str) -> None:
    wrong = told(Settings(data_dir=tmp_path, database_url=url))
    assert "postgresql+psycopg://" in wrong["database"].remedy
    assert "broker" not in wrong, "the others are still looked at"


@pytest.mark.parametrize("url", ["foo://:s3cr3t@b/0", "redis://:s3cr3t@b:port/0"])
def test_a_broker_address_that_cannot_be_used(sqlite_store: Store, tmp_path: Path, url: str) -> None:
    broken = Settings(data_dir=tmp_path, broker_url=url, database_url=url_of(sqlite_store))
    wrong = told(broken)
    assert "redis://" in wrong["broker"].remedy
    assert wrong.keys() <= {"broker", "secrets", "workers"}


def test_artifacts_whose_address_cannot_be_used(sqlite_store: Store, tmp_path: Path) -> None:
    wrong = told(Settings(data_dir=tmp_path, artifacts_url="foo://s3cr3t", database_url=url_of(sqlite_store)))
    assert "ARTIFACTS_URL" in wrong["artifacts"].remedy
    assert wrong.keys() == {"artifacts", "workers"}


def url_of(store: Store) -> str:
    return store.engine.url.render_as_string(hide_password=False)


def test_why_a_database_does_not_let_us_in(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.create_database()
    reasons = {
        "the user or the password": url.replace("postgres@", "nobody:s3cr3t@"),
        "no database of this name": f"{url}_missing",
        "name of its host": "postgresql://u:s3cr3t@nowhere.invalid/x",
        "Nothing answers": "postgresql://u:s3cr3t@127.0.0.1:1/x",
    }
    for words, wrong_url in reasons.items():
        assert words in told(Settings(data_dir=tmp_path, database_url=wrong_url))["database"].says


def test_a_wrong_password_is_named_whether_the_driver_knows_its_state_or_its_words() -> None:
    class Refused(Exception):
        sqlstate = "28P01"

    words = Exception('FATAL:  password authentication failed for user "s3cr3t"')
    for original in (Refused("localised"), words):
        finding = why_not("database", OperationalError("", {}, original))
        assert finding.says == "It refuses the user or the password."
