"""The report escapes whatever a client wrote."""

from datetime import UTC, datetime

from service.jobs.report import render_report
from service.jobs.schemas import EpochRead, JobRead, Progress, TrialMetrics, TrialRead
from service.specs.diagnosis import Diagnosis, Evidence, Remedy
from service.specs.jobs import JobSpec
from tests.searches import search_spec

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


def test_a_search_is_one_line_a_trial_and_the_best_trials_epochs() -> None:
    progress = Progress(trials_finished=3, trials_total=3, epoch=1, epochs=1, fraction=1.0, estimated_seconds_left=None)
    spec = search_spec({"training.learning_rate": {"low": 0.001, "high": 0.1}})
    epoch = EpochRead(epoch=1, train_loss=0.1, validation_loss=0.25, train_accuracy=1.0, validation_accuracy=1.0,
                      learning_rate=0.1, seconds=1.0)  # fmt: skip
    trials = [
        TrialRead.model_construct(
            number=number, state=state, params={"training.learning_rate": 0.0123456} if number else {}, best_epoch=1,
            metrics=TrialMetrics(validation={"loss": loss} if loss else None),
            stopped_by="pruner" if state == "pruned" else "epochs", epochs=[epoch] if number == 1 else [],
        )
        for number, state, loss in ((0, "succeeded", 0.5), (1, "succeeded", 0.25), (2, "pruned", None))
    ]  # fmt: skip
    job = JobRead.model_construct(
        id="job_1", name="search", metadata={}, state="succeeded", dataset_id="ds_1", spec=spec, warnings=[],
        progress=progress, best_trial=1, model_id=None, metrics=None, diagnosis=None, problem=None, device=None,
        created_at=datetime.now(UTC), started_at=None, finished_at=None,
    )  # fmt: skip
    page = render_report(job, trials, {"tuning_history": b"png"})
    assert page.count("<h2>Trial ") == 1
    assert "<h2>Trial 1: succeeded" in page
    assert (
        "<tr class=best><td>1</td><td>0.2500</td><td>1</td><td>epochs</td><td>training.learning_rate = 0.01235" in page
    )
    assert "<td>2</td><td>n/a</td><td>1</td><td>pruner</td>" in page
    assert 'alt="tuning_history"' in page


def test_of_many_rounds_some_are_shown() -> None:
    rounds = [
        EpochRead(epoch=number, train_loss=2e-5, validation_loss=4e7, train_accuracy=None, validation_accuracy=None,
                  validation_rmse=0.5, validation_mae=0.25, validation_r2=0.75, learning_rate=0.1, seconds=0.0)
        for number in range(1, 302)
    ]  # fmt: skip
    trial = TrialRead.model_construct(number=0, state="succeeded", params={}, best_epoch=100, metrics=TrialMetrics(),
                                      stopped_by="epochs", epochs=rounds)  # fmt: skip
    progress = Progress(trials_finished=1, trials_total=1, epoch=1, epochs=1, fraction=1.0, estimated_seconds_left=None)
    metrics = {"test": {"rmse": 12.5, "r2": 0.75}, "baseline": {"rmse": 25.0, "r2": 0.0}}
    job = JobRead.model_construct(
        id="job_1", name=None, metadata={}, state="succeeded", dataset_id="ds_1", spec=JobSpec(dataset_id="ds_1"),
        warnings=[], progress=progress, best_trial=0, model_id=None, metrics=metrics, diagnosis=None, problem=None,
        device=None, created_at=datetime.now(UTC), started_at=None, finished_at=None,
    )  # fmt: skip
    page = render_report(job, [trial], {})
    assert "<tr class=best><td>100</td><td>2e-05</td><td>4e+07</td><td>0.5000</td>" in page
    assert "<th>validation rmse</th>" in page
    assert "<td>1</td>" in page
    assert "<td>301</td>" in page
    assert "<p>52 of 301 epochs.</p>" in page
    assert "<td>rmse</td><td>12.5000</td><td>25.0000</td>" in page
    assert "accuracy" not in page.partition("<h2>Spec")[0]
