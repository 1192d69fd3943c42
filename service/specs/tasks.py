"""Names of tasks and queues: all that the API and the workers share of Celery."""

from typing import Literal

Queue = Literal["train", "explain", "control"]
QUEUES: tuple[Queue, ...] = ("train", "explain", "control")

VALIDATE_DATASETS = "tunelens.validate_datasets"
RUN_TRIALS = "tunelens.run_trials"
EXPLAIN = "tunelens.explain"
PREDICT = "tunelens.predict"
ADVANCE_JOB = "tunelens.advance_job"
EXPORT_MODELS = "tunelens.export_models"

QUEUE_OF: dict[str, Queue] = {
    VALIDATE_DATASETS: "control",
    ADVANCE_JOB: "control",
    EXPORT_MODELS: "control",
    RUN_TRIALS: "train",
    EXPLAIN: "explain",
    PREDICT: "explain",
}
