"""The files of a trained model of tables: `config.json`, its weights, `background.parquet`. None can hold code.

`config.json` names the other files with their SHA-256; whatever does not match is not read, so that XGBoost's native
reader sees only bytes that this module wrote. The same model gives the same bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from service.errors import ArtifactCorrupt
from service.specs.base import JsonObject, Spec
from service.specs.estimators import Estimator, MlpSpec
from service.specs.tables import ColumnSchema
from worker.estimators.background import read_rows, write_rows
from worker.estimators.boosted import Boosted
from worker.estimators.encoding import Encoding
from worker.estimators.predictors import Linear, Predictor
from worker.estimators.trained_table import TableProblem, TrainedTable

CONFIG_FILE, BACKGROUND_FILE = "config.json", "background.parquet"
FORMAT = "tunelens-table-1"
WeightsFile = Literal["model.safetensors", "model.ubj"]


class _Input(Spec):
    columns: list[ColumnSchema]
    target: str | None = None
    ignored: list[str] = Field(default_factory=list)


class _TargetScale(Spec):
    mean: float = 0.0
    std: float = 1.0


class _Config(Spec):
    """`config.json`, as far as using the model takes it."""

    model_config = ConfigDict(extra="ignore")

    format: Literal["tunelens-table-1"] = "tunelens-table-1"
    problem: TableProblem
    classes: list[str]
    temperature: float = Field(1.0, gt=0.0)
    input: _Input
    weights: WeightsFile
    backbone: None = None
    estimator: Estimator
    encoding: Encoding
    center: list[float]
    target: _TargetScale = Field(default_factory=_TargetScale)
    files: dict[str, str]


def save_table(trained: TrainedTable, folder: Path, *, training: JsonObject | None = None) -> list[str]:
    """Writes the model's files into `folder`; returns their names, `config.json` last.

    `training` is what the configuration says of how it was trained; using the model does not take it.
    """
    weights: WeightsFile = "model.ubj" if isinstance(trained.predictor, Boosted) else "model.safetensors"
    contents: dict[str, bytes] = {weights: _weights(trained.predictor), BACKGROUND_FILE: write_rows(trained.background)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    config = _Config(
        problem=trained.problem,
        classes=trained.classes,
        temperature=trained.temperature,
        input=_Input(columns=list(trained.schema), target=trained.target, ignored=list(trained.ignored)),
        weights=weights,
        estimator=trained.spec,
        encoding=trained.encoding,
        center=trained.center.tolist(),
        target=_target_scale(trained.predictor),
        files={name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    )
    description = config.model_dump(mode="json") | ({"training": training} if training else {})
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    return [*contents, CONFIG_FILE]


def load_table(
    config: JsonObject, files: Mapping[str, bytes], *, device: str = "cpu", threads: int = 1
) -> TrainedTable:
    """The model of a `config.json` and the files that it names.

    Args:
        config: the parsed `config.json`.
        files: bytes by name: the weights and the background rows.
        device: of an `mlp`; the others compute on the CPU.
        threads: of XGBoost.

    Raises:
        ArtifactCorrupt: another format, a file is missing or damaged, or the parts do not fit together.
    """
    try:
        parsed = _Config.model_validate(config)
    except ValidationError as error:
        raise ArtifactCorrupt("The model's configuration is damaged, or of another format.") from error
    weights, background = (_checked(name, parsed, files) for name in (parsed.weights, BACKGROUND_FILE))
    schema = tuple(parsed.input.columns)
    if [column.name for column in schema] != [column.name for column in parsed.encoding.columns]:
        raise ArtifactCorrupt("The model's configuration is damaged.")
    if len(parsed.center) != parsed.encoding.width:
        raise ArtifactCorrupt("The model's configuration is damaged.")
    return TrainedTable(
        problem=parsed.problem,
        spec=parsed.estimator,
        schema=schema,
        classes=parsed.classes,
        encoding=parsed.encoding,
        predictor=_predictor(parsed, weights, device=device, threads=threads),
        background=read_rows(background, schema),
        center=np.array(parsed.center),
        temperature=parsed.temperature,
        target=parsed.input.target,
        ignored=tuple(parsed.input.ignored),
    )


def _weights(predictor: Predictor) -> bytes:
    if isinstance(predictor, Boosted):
        return predictor.to_ubj()
    if isinstance(predictor, Linear):
        return save({"coef": np.ascontiguousarray(predictor.coef), "intercept": predictor.intercept})
    from worker.estimators.network import Network

    assert isinstance(predictor, Network)
    return predictor.to_safetensors()


def _target_scale(predictor: Predictor) -> _TargetScale:
    if isinstance(predictor, Boosted | Linear):
        return _TargetScale()
    from worker.estimators.network import Network

    assert isinstance(predictor, Network)
    return _TargetScale(mean=predictor.shift, std=predictor.scale)


def _checked(name: str, config: _Config, files: Mapping[str, bytes]) -> bytes:
    content = files.get(name)
    if content is None or hashlib.sha256(content).hexdigest() != config.files.get(name):
        raise ArtifactCorrupt(f"The model's {name} is missing or damaged.")
    return content


def _predictor(config: _Config, content: bytes, *, device: str, threads: int) -> Predictor:
    outputs, width = max(len(config.classes), 1), config.encoding.width
    if isinstance(config.estimator, MlpSpec):
        return _network(config, content, device)
    if config.estimator.kind == "linear":
        return _linear(content, (outputs, width))
    boosted = Boosted.from_ubj(content, classes=len(config.classes), threads=threads)
    if boosted.width != width:
        raise ArtifactCorrupt("The model's trees do not fit its configuration.")
    return boosted


def _network(config: _Config, content: bytes, device: str) -> Predictor:
    import torch

    from worker.estimators.network import Network, build_mlp

    assert isinstance(config.estimator, MlpSpec)
    network = build_mlp(config.encoding, config.estimator, max(len(config.classes), 1))
    target = config.target
    return Network(network, torch.device(device), target.mean, target.std).load_safetensors(content)


def _linear(content: bytes, shape: tuple[int, int]) -> Linear:
    try:
        arrays = load(content)
        linear = Linear(arrays["coef"], arrays["intercept"])
    except (SafetensorError, KeyError) as error:
        raise ArtifactCorrupt("The model's weights do not fit its configuration.") from error
    if linear.coef.shape != shape or linear.intercept.shape != shape[:1]:
        raise ArtifactCorrupt("The model's weights do not fit its configuration.")
    return linear
