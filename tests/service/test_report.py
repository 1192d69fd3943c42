"""The report escapes whatever a client wrote."""

from datetime import UTC, datetime

from service.jobs.report import render_report
from service.jobs.schemas import JobRead, Progress
from service.specs.diagnosis import Diagnosis, Evidence, Remedy
from service.specs.jobs import JobSpec

HOSTILE = '<img src=x onerror="alert(1)">'


def test_s43_names_are_text() -> None:
    progress = Progress(trials_finished=0, trials_total=1, epoch=0, epochs=1, fraction=0.0, estimated_seconds_left=None)
    metrics = {
        "test": {
            "loss": 0.5,
            "intervals": {"loss": [0.25, 0.75]},
            "per_class": [{"name": HOSTILE, "precision": 1.0, "recall": None, "support": 1}],
        }
    }
    diagnosis = Diagnosis(
        verdict="overfitting", confidence=0.75, summary=HOSTILE,
        evidence=[Evidence(measure="loss_gap_ratio", value=2.5, threshold=None, comment=HOSTILE)],
        remedies=[Remedy(id="more-dropout", title=HOSTILE, rationale=HOSTILE, patch={"name": HOSTILE})],
    )  # fmt: skip
    job = JobRead.model_construct(
        id="job_1", name=HOSTILE, metadata={}, state="succeeded", dataset_id="ds_1", spec=JobSpec(dataset_id=HOSTILE),
        warnings=[], progress=progress, best_trial=0, model_id=None, metrics=metrics, diagnosis=diagnosis, problem=None,
        device=None, created_at=datetime.now(UTC), started_at=None, finished_at=None,
    )  # fmt: skip
    page = render_report(job, [], {})
    assert "<img" not in page
    assert page.count("&lt;img src=x onerror=") >= 8
    assert "2.5000" in page
    assert "0.5000" in page
    assert "<td>0.2500 to 0.7500</td>" in page
