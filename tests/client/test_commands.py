import io
import zipfile
from pathlib import Path

import httpx
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from client.cli import app
from client.commands.datasets import _as_zip
from client.commands.jobs import assign
from client.demo import DemoFailed, _expect, job_spec
from client.digits import write_digits
from client.errors import Json, ProblemError, TunelensError
from client.figures import metrics_table
from client.progress import JobView, watch
from client.reporting import connect
from client.sse import Event
from service.specs.jobs import JobSpec


def epoch(number: int, loss: float) -> Event:
    return Event(seq=number + 1, type="epoch", data={"epoch": number, "train_loss": loss, "validation_loss": loss})


EVENTS = [
    Event(1, "state", message="running", data={"state": "running"}),
    epoch(1, 0.75),
    epoch(2, 0.25),
    Event(4, "warning", level="warning", message="the loss is high"),
    Event(5, "state", message="succeeded", data={"state": "succeeded"}),
]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNELENS_ADMIN_KEY", "TUNELENS_API_KEY", "TUNELENS_URL", "TUNELENS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_job_is_shown_epoch_by_epoch(is_terminal: bool) -> None:
    output = io.StringIO()
    view = watch(Console(file=output, force_terminal=is_terminal, width=120), EVENTS, JobView(5))
    assert [row["epoch"] for row in view.rows] == [1, 2]
    assert "0.2500" in output.getvalue()
    assert "the loss is high" in output.getvalue()


def test_an_epoch_told_twice_is_shown_once() -> None:
    view = watch(Console(file=io.StringIO()), [epoch(1, 0.5), epoch(1, 0.4)], JobView(1))
    assert [row["validation_loss"] for row in view.rows] == [0.4]


@pytest.mark.parametrize("metrics", [{}, {"test": {"accuracy": 0.5, "confusion_matrix": [[1]]}, "baseline": {}}])
def test_metrics_are_shown_as_far_as_there_are_any(metrics: Json) -> None:
    output = io.StringIO()
    Console(file=output).print(metrics_table(metrics))
    assert ("0.5000" in output.getvalue()) == bool(metrics)
    assert "confusion" not in output.getvalue()


def test_assignments_reach_into_the_spec() -> None:
    document: Json = {"training": {"epochs": 3}}
    for text in ("training.epochs=10", "backbone.name=resnet18", "early_stopping=null", "backbone.dropout=0.1"):
        assign(document, text)
    assert document == {
        "training": {"epochs": 10},
        "backbone": {"name": "resnet18", "dropout": 0.1},
        "early_stopping": None,
    }


@pytest.mark.parametrize("text", ["training.epochs", "=1", "training.epochs.more=1"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"PATH=VALUE|not an object"):
        assign({"training": {"epochs": 3}}, text)


def test_a_folder_of_pictures_becomes_a_zip(tmp_path: Path) -> None:
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    (tmp_path / "pets" / "cat" / "1.PNG").write_bytes(b"png")
    (tmp_path / "pets" / "notes.txt").write_text("no picture")
    with _as_zip(tmp_path / "pets") as archive, zipfile.ZipFile(archive) as file:
        assert (archive.name, file.namelist()) == ("pets.zip", ["cat/1.PNG"])
    (tmp_path / "pets" / "metadata.csv").write_text("file_name\ncat/1.PNG\n")
    with _as_zip(tmp_path / "pets") as archive, zipfile.ZipFile(archive) as file:
        assert file.namelist() == ["cat/1.PNG", "metadata.csv"]
    assert not archive.exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(TunelensError, match="no pictures"), _as_zip(tmp_path / "empty"):
        pass


def test_the_demo_asks_for_what_the_service_takes() -> None:
    assert JobSpec.model_validate(job_spec("ds_1", epochs=10)).training.epochs == 10


def test_the_digits_are_all_there_and_ten_are_held_back(tmp_path: Path) -> None:
    count, held_back = write_digits(tmp_path / "digits.zip")
    with zipfile.ZipFile(tmp_path / "digits.zip") as file:
        names = file.namelist()
        assert Image.open(io.BytesIO(file.read(names[0]))).size == (32, 32)
    assert (count, len(names), len(set(names))) == (1787, 1787, 1787)
    assert {name.split("/")[0] for name in names} == {digit.label for digit in held_back} == set("0123456789")
    assert Image.open(io.BytesIO(held_back[0].large_png)).size == (320, 320)


def test_the_demo_fails_with_the_services_own_reason() -> None:
    with pytest.raises(ProblemError, match="the loss stopped being finite"):
        _expect({"id": "job_1", "state": "failed", "problem": {"detail": "the loss stopped being finite"}}, "succeeded")
    with pytest.raises(DemoFailed, match="job_1 is cancelled"):
        _expect({"id": "job_1", "state": "cancelled"}, "succeeded")


def test_commands_find_the_service_that_runs_here(tmp_path: Path) -> None:
    (tmp_path / "supervisor.lock").write_text('{"url": "http://127.0.0.1:1234"}')
    (tmp_path / "admin.key").write_text("tl_x\n")
    with connect(None, None, tmp_path) as tunelens:
        assert tunelens._transport.url("/v1/jobs") == "http://127.0.0.1:1234/v1/jobs"
        assert tunelens._transport._http.headers["Authorization"] == "Bearer tl_x"
    with pytest.raises(TunelensError, match="No key"):
        connect(None, None, tmp_path / "elsewhere")


def test_an_unreachable_service_is_told_in_a_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: httpx.Client, *_args: object, **_options: object) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    monkeypatch.setattr(httpx.Client, "request", refuse)
    monkeypatch.setattr("client.transport.time.sleep", lambda _seconds: None)
    result = CliRunner().invoke(app, ["--url", "http://127.0.0.1:9", "--key", "tl_x", "jobs", "list"])
    assert result.exit_code == 1
    assert "does not answer" in result.output
    assert "Traceback" not in result.output
