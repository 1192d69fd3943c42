import pytest
import torch

from worker.training.precision import Precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("wanted", "dtype", "replaced"),
    [("auto", torch.float32, False), ("float32", torch.float32, False), ("bfloat16", torch.bfloat16, False),
     ("float16", torch.float32, True)],
)  # fmt: skip
def test_on_a_cpu(wanted: str, dtype: torch.dtype, replaced: bool) -> None:
    precision = Precision(wanted, CPU)  # type: ignore[arg-type]
    with precision.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert (product.dtype, precision.replaced) == (dtype, replaced)
    assert not precision.scaler.is_enabled()
