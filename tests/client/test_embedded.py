import json
import os
import socket
import stat
import threading
from pathlib import Path

import httpx
import pytest

from client.embedded import Embedded, EmbeddedError, Programs, is_in_use, running_url, service_programs
from client.supervisor import StartFailed

MIGRATE = ["-c", "import os, pathlib; pathlib.Path(os.environ['TUNELENS_DATA_DIR'], 'migrated').touch()"]
WORKER = ["-c", "import signal; signal.pause()"]
API = """
import http.server, pathlib, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    answers = [503, 503, 200]
    def do_GET(self):
        self.send_response(self.answers[0] if len(self.answers) == 1 else self.answers.pop(0))
        self.end_headers()
    def log_message(self, *arguments): pass
assert pathlib.Path(os.environ["TUNELENS_DATA_DIR"], "migrated").exists()
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def programs(host: str, port: int) -> Programs:
    api = ["-c", API, host, str(port)]
    return [("database migration", "migrate", MIGRATE), ("API", "api", api), ("train worker", "train", WORKER)]


def embedded(data_dir: Path, said: list[str] | None = None) -> Embedded:
    return Embedded(data_dir, port=0, say=(said if said is not None else []).append, programs=programs)


def test_it_migrates_starts_becomes_ready_and_stops(tmp_path: Path) -> None:
    said: list[str] = []
    service = embedded(tmp_path / "data", said)
    try:
        service.start()
        assert httpx.get(f"{service.url}/readyz", trust_env=False).status_code == 200
        assert running_url(service.data_dir) == service.url
        assert set(service.phases) == {"database", "processes"}
        assert stat.S_IMODE(service.data_dir.stat().st_mode) == 0o700
    finally:
        service.stop()
    assert "Stopped cleanly" in said[-1]
    assert running_url(service.data_dir) is None


def test_a_data_directory_serves_one_service_at_a_time(tmp_path: Path) -> None:
    first, second = embedded(tmp_path), embedded(tmp_path)
    assert not is_in_use(tmp_path)
    try:
        first.start()
        assert is_in_use(tmp_path)
        with pytest.raises(EmbeddedError, match=f"in use by {first.url}"):
            second.start()
        second.stop()
    finally:
        first.stop()
    assert not is_in_use(tmp_path)
    again = embedded(tmp_path)
    try:
        again.start()
    finally:
        again.stop()


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = Embedded(tmp_path, port=taken.getsockname()[1], say=print, programs=programs)
        with pytest.raises(EmbeddedError, match="--port 0"):
            service.start()
        service.stop()
    assert not (tmp_path / "migrated").exists()


def test_a_program_that_ends_while_starting_is_a_failed_start(tmp_path: Path) -> None:
    def broken(host: str, port: int) -> Programs:
        return [*programs(host, port), ("explain worker", "explain", ["-c", "raise SystemExit('no such thing')"])]

    service = Embedded(tmp_path, port=0, say=print, programs=broken)
    try:
        with pytest.raises(StartFailed, match="explain worker did not start: exit code 1") as caught:
            service.start()
        assert caught.value.child.log_tail() == "no such thing"
    finally:
        service.stop()


def test_a_killed_worker_comes_back_while_it_is_tended(tmp_path: Path) -> None:
    came_back = threading.Event()

    def say(message: str) -> None:
        if "started again" in message:
            came_back.set()

    service = Embedded(tmp_path, port=0, say=say, programs=programs)
    tender = threading.Thread(target=service.tend)
    try:
        service.start()
        tender.start()
        worker = service.supervisor.children[-1]
        assert worker.pid is not None
        os.kill(worker.pid, 9)
        assert came_back.wait(10)
    finally:
        service.supervisor.ask_to_stop()
        tender.join(10)
        service.stop()


def test_the_admin_key_is_the_environments_or_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = embedded(tmp_path)
    service.key_file.write_text("tl_file\n")
    monkeypatch.delenv("TUNELENS_ADMIN_KEY", raising=False)
    assert service.admin_key == "tl_file"
    monkeypatch.setenv("TUNELENS_ADMIN_KEY", "tl_environment")
    assert service.admin_key == "tl_environment"


@pytest.mark.parametrize("content", ["", "{}", "[]", "no json", json.dumps({"url": 3})])
def test_an_unreadable_lock_names_no_address(tmp_path: Path, content: str) -> None:
    (tmp_path / "supervisor.lock").write_text(content)
    assert running_url(tmp_path) is None


def test_the_service_is_an_api_and_two_workers() -> None:
    names = [name for _, name, _ in service_programs("127.0.0.1", 8000)]
    assert names == ["migrate", "api", "train", "explain"]
