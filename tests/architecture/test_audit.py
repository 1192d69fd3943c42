"""What `make check` does with what pip-audit finds."""

import importlib.util
import json
import re
import socket
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from tests.architecture.tree import ROOT

FOUND = [
    {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]},
    {"name": "b", "version": "1", "vulns": []},
    {"name": "c", "skip_reason": "not on PyPI"},
]


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_exception_has_an_end(audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exceptions = tmp_path / "exceptions"
    exceptions.write_text("# comment\n\nCVE-1 2026-01-31 not reached from here\n")
    monkeypatch.setattr(audit, "EXCEPTIONS", exceptions)
    assert audit.findings(FOUND, audit.excused(date(2026, 1, 31))) == []
    assert audit.findings(FOUND, audit.excused(date(2026, 2, 1))) == ["a 1: PYSEC-1, fixed in ['2']"]


@pytest.mark.parametrize("line", ["CVE-1", "CVE-1 2026-01-31", "CVE-1 soon not reached", "CVE-1 2026-13-01 a reason"])
def test_an_exception_needs_a_day_and_a_reason(
    line: str, audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exceptions = tmp_path / "exceptions"
    exceptions.write_text(line)
    monkeypatch.setattr(audit, "EXCEPTIONS", exceptions)
    with pytest.raises(ValueError):  # noqa: PT011  # whatever it is, `make check` fails
        audit.excused(date(2026, 1, 1))


def test_exceptions_can_be_read(audit: ModuleType) -> None:
    audit.excused(date(2026, 1, 1))


class Advisories(BaseHTTPRequestHandler):
    """Answers as osv.dev does: one weakness is known, of `six` 1.17.0."""

    weakness: ClassVar = {
        "id": "PYSEC-2099-1",
        "aliases": ["CVE-2099-1"],
        "summary": "a weakness",
        "affected": [
            {
                "package": {"name": "six", "ecosystem": "PyPI"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
            }
        ],
    }

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = (asked["package"]["name"], asked["version"]) == ("six", "1.17.0")
        body = json.dumps({"vulns": [self.weakness]} if known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Not on the terminal."""


@pytest.fixture
def service(audit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Arguments that have pip-audit ask a service of this machine about two pins."""
    pins = tmp_path / "pins.txt"
    named = ("pip-audit==2.10.1", "six==1.17.0")
    pins.write_text("".join(f"{pin} \\\n    --hash=sha256:{'0' * 64}\n" for pin in named))
    monkeypatch.setattr(audit, "PINS", pins)
    monkeypatch.setattr(audit, "EXCEPTIONS", tmp_path / "exceptions")
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever).start()
        cache = ["--cache-dir", str(tmp_path / "cache")]
        yield ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/v1/query", *cache]
        server.shutdown()


def test_s46_what_a_service_knows_fails_unless_it_is_excused(
    audit: ModuleType, service: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """With pip-audit itself."""
    audit.EXCEPTIONS.write_text("")
    assert audit.main(service) == 1
    told = capfd.readouterr().out
    assert told == "pip-audit: 2 dependencies, 0 unknown, 1 to mend\n  six 1.17.0: PYSEC-2099-1, fixed in ['2.0']\n"
    audit.EXCEPTIONS.write_text("CVE-2099-1 2999-01-01 not reached from here\n")
    assert audit.main(service) == 0
    assert "0 to mend" in capfd.readouterr().out


def test_s46_without_a_service_it_says_that_nothing_was_checked(
    audit: ModuleType, service: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    away = ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{port}/", "--timeout", "1"]
    assert audit.main(away) == 0
    assert "SKIPPED" in capfd.readouterr().out


def pinned(line: str) -> tuple[str, str]:
    """Name, as PEP 503 writes it, and version."""
    name, _, rest = line.partition("==")
    return re.sub(r"[-_.]+", "-", name).lower(), rest.split()[0]


@dataclass(frozen=True)
class Pin:
    version: str
    hashes: frozenset[str]


def hashed(name: str) -> dict[str, Pin]:
    """What a file of hashes pins."""
    found: dict[str, Pin] = {}
    for line in (ROOT / name).read_text().replace("\\\n", "").splitlines():
        package, version = pinned(line)
        found[package] = Pin(version, frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", line)))
    return found


def needed(*extras: str) -> set[str]:
    """Names of what pyproject.toml asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {pinned(re.split(r"[\[<>=,]", line)[0] + "==0")[0] for line in asked}


def test_s46_every_pin_has_its_hashes() -> None:
    """`make hashes` writes them; what is changed in one file alone would be installed unchecked, or not at all."""
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    found = hashed("hashes.txt")
    assert {(name, pin.version) for name, pin in found.items()} == {pinned(line) for line in pins}
    assert all(pin.hashes for pin in found.values())


@pytest.mark.parametrize(("image", "extras"), [("api", ["s3"]), ("worker", ["s3", "worker"])])
def test_s46_images_hold_what_is_hashed_and_nothing_else(image: str, extras: list[str]) -> None:
    """The same files as `make install` takes, and nothing that comes along unasked."""
    everything, here = hashed("hashes.txt"), hashed(f"docker/{image}.hashes.txt")
    assert needed(*extras) <= here.keys()
    assert all(pin.hashes for pin in here.values())
    assert {name: everything[name] for name in here.keys() & everything.keys()} == {
        name: pin for name, pin in here.items() if name in everything
    }
    assert ("torch" in here) == (image == "worker")
    text = (ROOT / "docker" / f"{image}.Dockerfile").read_text().replace("\\\n", "")
    options = [line.split("pip install", 1)[1].split() for line in re.split(r"&&|\n", text) if "pip install" in line]
    common = ["--disable-pip-version-check", "--no-deps"]
    assert options == [
        [*common, "--require-hashes", "-r", f"docker/{image}.hashes.txt"],
        [*common, "--no-build-isolation", "."],
    ]
