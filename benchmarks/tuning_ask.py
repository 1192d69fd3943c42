"""What a search costs beside its trials: asking for trial 1,000, and judging an epoch among 100 trials.

Every trial has ended with ten (of the judged search: thirty) recorded values; rows are read from SQLite each time.

    python benchmarks/tuning_ask.py [--repeats 9]
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.specs.base import new_id
from service.specs.jobs import JobSpec
from service.specs.points import random_point
from service.specs.resolving import DatasetFacts, resolve
from service.store import Store
from service.store.migrate import upgrade
from service.store.tables import DatasetRow, EpochRow, JobRow, TrialRow
from worker.runtime.assignments import Assignment
from worker.runtime.judging import is_hopeless
from worker.runtime.search import read_records
from worker.tuning.study import ask

SPACE: dict[str, Any] = {
    "training.learning_rate": {"low": 1e-5, "high": 0.1, "log": True},
    "training.weight_decay": {"low": 1e-4, "high": 0.1, "log": True},
    "training.batch_size": {"choices": [16, 32, 64]},
}


def make_spec(**tuning: Any) -> JobSpec:
    request = {"dataset_id": "ds_x", "backbone": {"name": "small_cnn"},
               "tuning": {"space": SPACE, "trials": 1000, **tuning}}  # fmt: skip
    return resolve(JobSpec.model_validate(request), DatasetFacts(median_side=32))


def add_search(store: Store, spec: JobSpec, *, trials: int, epochs: int) -> str:
    """A job whose trials have all ended; its id."""
    generator, job_id = random.Random(0), new_id("job")
    with store.work() as work:
        project = work.keys.project("default").id
        dataset = DatasetRow(id=new_id("ds"), project_id=project, labels={}, modality="image", state="ready",
                             digest="0" * 64, size_bytes=1)  # fmt: skip
        work.session.add(dataset)
        work.session.flush()
        work.jobs.add(JobRow(id=job_id, project_id=project, labels={}, dataset_id=dataset.id, dataset_digest="0" * 64,
                             state="running", spec=spec.model_dump()))  # fmt: skip
        for number in range(trials):
            losses = [generator.random() for _ in range(epochs)]
            metrics = {"validation": {"loss": min(losses), "confusion_matrix": [[1] * 10] * 10}}
            row = TrialRow(id=new_id("trl"), job_id=job_id, number=number, state="succeeded", metrics=metrics,
                           params=random_point(spec, number) if number else {})  # fmt: skip
            work.session.add(row)
            work.session.flush()
            work.session.add_all(
                EpochRow(trial_id=row.id, epoch=epoch, record={"epoch": epoch, "validation_loss": loss, "seconds": 1.0,
                                                               "train_loss": loss, "validation_accuracy": 0.5})
                for epoch, loss in enumerate(losses, start=1)
            )  # fmt: skip
    return job_id


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    work()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return round(statistics.median(taken), 4)


def measure_ask(store: Store, spec: JobSpec, repeats: int) -> float:
    job_id = add_search(store, spec, trials=1000, epochs=10)

    def question() -> None:
        with store.read() as work:
            records = read_records(work, job_id, spec)
        ask(spec, records)

    return median_seconds(question, repeats)


def measure_judging(store: Store, pruner: str, repeats: int) -> float:
    spec = make_spec(pruner=pruner)
    job_id = add_search(store, spec, trials=101, epochs=30)
    with store.work() as work:
        last = work.trials.of(job_id)[-1]
        last.state, last.metrics = "running", None
        work.session.query(EpochRow).filter(EpochRow.trial_id == last.id, EpochRow.epoch > 20).delete()
    assignment = Assignment(job_id, 100, spec, {}, "", 0.0, 1.0)

    def judge() -> None:
        with store.read() as work:
            epochs = work.trials.epochs(last.id)
        is_hopeless(store, assignment, epochs)

    return median_seconds(judge, repeats)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=9)
    repeats: int = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'tunelens.db'}")
        upgrade(store.engine)
        result = {
            "ask_for_trial_1000_seconds": measure_ask(store, make_spec(), repeats),
            "judge_an_epoch_seconds": {
                pruner: measure_judging(store, pruner, repeats) for pruner in ("median", "percentile", "hyperband")
            },
        }
        store.close()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
