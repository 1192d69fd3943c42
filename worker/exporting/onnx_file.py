"""ONNX: the graph with its weights in one file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from onnx.checker import ValidationError
from onnx.shape_inference import InferenceError
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors
from torch import Tensor
from torch.export import ExportedProgram
from torch.onnx import OnnxExporterError

from service.errors import ExportFailed
from worker.exporting.answers import Answers
from worker.exporting.graph import BATCH, OUTPUTS

OPSET = 20
STACK_TRACE = "pkg.torch.onnx.stack_trace"
ERRORS_ONLY = 3
CANNOT_RUN = (
    *(runtime_errors.Fail, runtime_errors.InvalidGraph, runtime_errors.InvalidProtobuf),
    *(runtime_errors.NotImplemented, runtime_errors.RuntimeException),
)
"""They have no base of their own."""


def write_onnx(program: ExportedProgram, target: Path, notes: Mapping[str, Any]) -> None:
    """Writes and checks the file; `notes` become its `metadata_props`, what is not text as JSON.

    Raises:
        ExportFailed: an operator has no counterpart in ONNX, or the file is not valid.
    """
    try:
        converted = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=list(OUTPUTS),
            dynamic_shapes={"images": {0: BATCH}},
            verbose=False,
        )
        assert converted is not None
        for node in converted.model.graph.all_nodes():
            node.metadata_props.pop(STACK_TRACE, None)
        for name, value in notes.items():
            converted.model.metadata_props[name] = value if isinstance(value, str) else json.dumps(value)
        converted.save(target, external_data=False)
        onnx.checker.check_model(target, full_check=True)
    except (OnnxExporterError, ValidationError, InferenceError) as error:
        raise ExportFailed(f"The network cannot be written as ONNX ({type(error).__name__}).") from error


def run_onnx(path: Path, images: Tensor, threads: int) -> Answers:
    """What ONNX Runtime answers to [n, 3, s, s] float32 in 0..1.

    Raises:
        ExportFailed: it cannot run the file.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        logits, probabilities = session.run(list(OUTPUTS), {"images": images.numpy()})
    except CANNOT_RUN as error:
        raise ExportFailed(f"ONNX Runtime cannot run the file ({type(error).__name__}).") from error
    return Answers(torch.from_numpy(logits), torch.from_numpy(probabilities))
