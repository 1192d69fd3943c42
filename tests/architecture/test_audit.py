"""What `make check` does with what pip-audit finds."""

import importlib.util
import re
from datetime import date
from pathlib import Path
from types import ModuleType

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


def test_exceptions_can_be_read(audit: ModuleType) -> None:
    audit.excused(date(2026, 1, 1))


def pinned(line: str) -> tuple[str, str]:
    """Name, as PEP 503 writes it, and version."""
    name, _, rest = line.partition("==")
    return re.sub(r"[-_.]+", "-", name).lower(), rest.split()[0]


def test_s46_every_pin_has_its_hashes() -> None:
    """`make hashes` writes them; what is changed in one file alone would be installed unchecked, or not at all."""
    lines = (ROOT / "hashes.txt").read_text().replace("\\\n", "").splitlines()
    assert all("--hash=sha256:" in line for line in lines)
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    assert {pinned(line) for line in lines} == {pinned(line) for line in pins}
