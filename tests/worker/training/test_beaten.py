"""A trial that another one has beaten writes its configuration alone; scores and weights are those of any trial."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.specs.tuning import Monitor
from tests.worker.training.orders import order, run, scored, spec
from worker.training.order import ToBeat


@pytest.mark.parametrize("metric", ["validation_loss", "validation_accuracy"])
@pytest.mark.parametrize("by", [-0.01, 0.0, 0.01])
def test_only_what_is_strictly_worse_is_left_out(metric: Monitor, by: float, tmp_path: Path) -> None:
    first, _ = run(order(tmp_path, spec(), scratch="first"))
    mine = scored(first, "validation", metric.removeprefix("validation_"))
    better = by < 0 if metric == "validation_loss" else by > 0
    again, _ = run(replace(order(tmp_path, spec(), scratch="again"), to_beat=ToBeat(metric, mine + by)))

    assert again.metrics == first.metrics
    names = [file.name for file in again.files]
    assert names == (["config.json"] if better else [file.name for file in first.files])
