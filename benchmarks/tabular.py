"""Jobs on tables with nothing set but the estimator, beside scikit-learn's HistGradientBoosting with its defaults.

    python -m benchmarks.tabular [--seeds 5]

Every figure of ours is of a whole trial, as a worker runs it: reading, dealing, fitting, early stopping on validation,
calibration, scores on test. HistGradientBoosting gets the rows of the same deal; it is fitted on train alone, and on
train with validation, as it has no use for the latter.

Figures are of the test split: mean ± standard deviation over the seeds; `lead` is the mean over the seeds of how much
better the estimator is than HistGradientBoosting on train, ± its standard error: more than two of them below 0 would
be beyond noise.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from service.specs.tables import TableOptions
from worker.backbones.sources import WeightSources
from worker.data.disk_cache import DiskCache
from worker.data.tables.validation import TableValidation, validate_table
from worker.training.order import TrialOrder
from worker.training.trial import run_trial

DATASETS = {"breast_cancer": load_breast_cancer, "wine": load_wine, "diabetes": load_diabetes}
ESTIMATORS: dict[str, dict[str, Any]] = {
    "mlp": {"kind": "mlp"},
    "linear": {"kind": "linear"},
    "gradient_boosting": {"kind": "gradient_boosting"},
    "gradient_boosting, dart": {"kind": "gradient_boosting", "booster": "dart"},
    "random_forest": {"kind": "random_forest"},
}
REFERENCES = {
    "HistGradientBoosting (train)": ("train",),
    "HistGradientBoosting (train + validation)": ("train", "validation"),
}
BASE = next(iter(REFERENCES))
Figures = dict[str, float]


class Quiet:
    """A reporter that nobody listens to."""

    def stop_requested(self) -> bool:
        return False

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments, **_data: None


@dataclass(frozen=True)
class Uploaded:
    """A dataset of scikit-learn's as a client would upload it, once validated."""

    rows: NDArray[np.float64]
    targets: NDArray[Any]
    samples: Path
    validated: TableValidation

    @property
    def is_regression(self) -> bool:
        return self.validated.manifest.problems[0] == "tabular_regression"


def upload(name: str, folder: Path) -> Uploaded:
    rows, targets = DATASETS[name](return_X_y=True)
    names = [f"x{place}" for place in range(rows.shape[1])]
    cells = [[*map(repr, row.tolist()), f"class {target}" if name != "diabetes" else repr(float(target))]
             for row, target in zip(rows, targets, strict=True)]  # fmt: skip
    path, samples = folder / f"{name}.csv", folder / f"{name}.parquet"
    path.write_text("\n".join(",".join(line) for line in [[*names, "y"], *cells]) + "\n")
    validated = validate_table(
        path, format="csv", options=TableOptions(target="y"), output=samples, progress=lambda _done, _total: None
    )
    return Uploaded(rows, targets, samples, validated)


def trial(given: Uploaded, estimator: dict[str, Any], seed: int, scratch: Path) -> Figures:
    """Test figures of a job's only trial; its deal lies in `scratch` afterwards."""
    asked = JobSpec.model_validate({"dataset_id": "ds_0", "estimator": estimator, "seed": seed})
    facts = DatasetFacts.of("tabular", given.validated.profile.model_dump())
    scratch.mkdir(parents=True)
    order = TrialOrder(
        resolve(asked, facts), given.samples, given.validated.manifest, "0" * 64, scratch,
        DiskCache(scratch / "cache", 2**30), WeightSources(),
    )  # fmt: skip
    test = run_trial(order, Quiet()).metrics["test"]
    return (
        shown(test["accuracy"], test["log_loss"]) if "accuracy" in test else {"r2": test["r2"], "-rmse": -test["rmse"]}
    )


def shown(accuracy: float, log_loss: float) -> Figures:
    """Each the larger the better."""
    return {"accuracy": accuracy, "-log_loss": -log_loss}


def reference(given: Uploaded, splits: tuple[str, ...], dealt: dict[str, list[int]], seed: int) -> Figures:
    fitted = [row for split in splits for row in dealt[split]]
    rows, truth = given.rows[dealt["test"]], given.targets[dealt["test"]]
    if given.is_regression:
        model = HistGradientBoostingRegressor(random_state=seed).fit(given.rows[fitted], given.targets[fitted])
        error = float(((model.predict(rows) - truth) ** 2).mean())
        return {"r2": 1.0 - error / float(truth.var()), "-rmse": -(error**0.5)}
    model = HistGradientBoostingClassifier(random_state=seed).fit(given.rows[fitted], given.targets[fitted])
    probabilities = model.predict_proba(rows)
    places = np.searchsorted(model.classes_, truth)
    likely = np.maximum(probabilities[np.arange(len(truth)), places], 1e-300)
    return shown(float((probabilities.argmax(1) == places).mean()), float(-np.log(likely).mean()))


def by_seed(given: Uploaded, seeds: int, folder: Path) -> Iterator[dict[str, Figures]]:
    for seed in range(seeds):
        found = {}
        for name, estimator in ESTIMATORS.items():
            scratch = folder / f"{name}-{seed}"
            found[name] = trial(given, estimator, seed, scratch)
            dealt = json.loads((scratch / "split.json").read_text())
        for name, splits in REFERENCES.items():
            found[name] = reference(given, splits, dealt, seed)
        yield found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    seeds: int = parser.parse_args().seeds
    for name in DATASETS:
        with tempfile.TemporaryDirectory() as folder:
            given = upload(name, Path(folder))
            found = list(by_seed(given, seeds, Path(folder)))
        for measure in found[0][BASE]:
            print(f"\n{name}, {measure}, {seeds} seeds")
            base = np.array([one[BASE][measure] for one in found])
            for estimator in found[0]:
                values = np.array([one[estimator][measure] for one in found])
                leads = values - base
                error = leads.std(ddof=1) / seeds**0.5
                print(
                    f"  {estimator:<42} {values.mean():9.4f} ± {values.std(ddof=1):.4f}"
                    f"   lead {leads.mean():+.4f} ± {error:.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
