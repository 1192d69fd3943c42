"""One export from its order to a file that is known to answer as the served network does."""

from collections.abc import Callable

import torch

from worker.backbones.trained import load_trained
from worker.exporting.answers import check_same, random_pixels, served
from worker.exporting.graph import notes, traced
from worker.exporting.onnx_file import run_onnx, write_onnx
from worker.exporting.order import ExportOrder
from worker.exporting.torch_file import run_program, write_torch_export


def export_model(order: ExportOrder, *, step: Callable[[], None]) -> None:
    """Writes `order.target`.

    Args:
        order: what to write, and where.
        step: called between steps of a few seconds each; may raise `Stopped`.

    Raises:
        ArtifactCorrupt: the weights do not fit their configuration.
        ExportFailed: the network cannot be written in this format, or what was written answers otherwise.
    """
    torch.set_num_threads(order.threads)
    trained = load_trained(order.config, order.weights, torch.device("cpu"))
    pixels = random_pixels(trained)
    expected = served(trained, pixels)
    images = pixels.float() / 255
    step()
    program = traced(trained)
    step()
    noted = notes(trained, order.digest)
    if order.format == "onnx":
        write_onnx(program, order.target, noted)
        step()
        found = run_onnx(order.target, images, order.threads)
    else:
        write_torch_export(program, order.target, noted)
        found = run_program(program, images)
    check_same(expected, found)
