"""Job specs with a search, and its trials' course on a surface whose best point is known."""

import math
from typing import Any

from service.specs.jobs import JobSpec
from service.specs.points import early_params
from service.specs.resolving import DatasetFacts, resolve
from service.specs.search_space import Params

SPACE: dict[str, Any] = {
    "training.learning_rate": {"low": 1e-5, "high": 1.0, "log": True},
    "training.weight_decay": {"low": 0.0, "high": 1.0},
    "training.batch_size": {"choices": [16, 32, 64]},
}


def search_spec(space: dict[str, Any] | None = None, *, training: dict[str, Any] | None = None, **more: Any) -> JobSpec:
    """A resolved spec of a small network; what is not a field of the spec goes to its tuning."""
    fields = {name: more.pop(name) for name in list(more) if name in JobSpec.model_fields}
    request: dict[str, Any] = {
        "dataset_id": "ds_x",
        "backbone": {"name": "small_cnn"},
        "training": {"epochs": 30, **(training or {})},
        "tuning": {"space": SPACE if space is None else space, **more},
        **fields,
    }
    return resolve(JobSpec.model_validate(request), DatasetFacts(median_side=32))


def loss(params: Params) -> float:
    """A bowl with its bottom, 0, at a learning rate of 0.01 and a weight decay of 0.3."""
    rate, decay = float(params["training.learning_rate"] or 0), float(params["training.weight_decay"] or 0)
    return (math.log10(rate) + 2.0) ** 2 + (decay - 0.3) ** 2


def points(spec: JobSpec, count: int) -> list[Params | None]:
    """The parameters of the first trials, as far as they wait for no results."""
    return [early_params(spec, number) for number in range(count)]
