"""What strangers have put into a file stays out of the workers' logs and figures (S11).

The owner of a dataset is told which file or column is at fault: that is what `problem` is for.
"""

import logging
import multiprocessing
from pathlib import Path

import pytest

from service.logs import Lines
from service.store import Store
from tests.corpora import pets
from tests.corpora.zip_writer import Part, write_zip
from tests.worker.runtime.test_validations import TABLE, add, claim, make_runtime
from worker.runtime.child import Reporter, _ending
from worker.runtime.messages import Crashed, Failed
from worker.runtime.validations import ValidationRun
from worker.runtime.work import ValidationOrder, work_validation

CANARY = "c4n4ry"


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, as it would be written."""
    caplog.handler.setFormatter(Lines("%(name)s %(message)s"))
    caplog.set_level(logging.DEBUG)
    return caplog


def test_s11_a_child_that_crashes_over_a_cell_does_not_log_it(lines: pytest.LogCaptureFixture) -> None:
    def work(payload: str, reporter: object) -> float:
        return float(payload)

    ending = _ending(work, CANARY, None)  # type: ignore[arg-type]
    assert ending == Crashed("The work crashed with ValueError.")
    assert "in work\n" in lines.text
    assert CANARY not in lines.text


@pytest.mark.parametrize(
    ("modality", "content"),
    [
        ("tabular", f"{CANARY},y\n{CANARY},1\n{CANARY}2,2,3\n".encode()),
        ("image", write_zip([*pets.parts(), Part(f"{CANARY}/{CANARY}.png", CANARY.encode())])),
    ],
    ids=["column names and cells", "file names"],
)
def test_s11_names_and_cells_of_a_rejected_dataset_are_not_logged(
    modality: str, content: bytes, sqlite_store: Store, tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    """By the child, here in this process, nor by who started it."""
    runtime = make_runtime(sqlite_store, tmp_path)
    options = TABLE if modality == "tabular" else {}
    (tmp_path / "upload").write_bytes(content)
    order = ValidationOrder(modality, tmp_path / "upload", options, tmp_path / "samples", runtime.weight_sources)
    _ours, theirs = multiprocessing.Pipe()
    ending = _ending(work_validation, order, Reporter(theirs))
    assert isinstance(ending, Failed)

    dataset_id = add(sqlite_store, modality, options, content)
    ValidationRun(runtime, claim(runtime))._conclude(ending)
    with sqlite_store.read() as work:
        assert work.datasets.get(dataset_id).problem == ending.problem
    assert CANARY not in lines.text
    assert CANARY not in runtime.figures.text()
