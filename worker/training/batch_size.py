"""The largest batch that fits: tried on a GPU, estimated on a CPU."""

from pathlib import Path

import torch
from torch import Tensor, nn

from worker.data.device_memory import is_out_of_memory
from worker.training.learner import Learner
from worker.training.memory import peak_memory_bytes
from worker.training.reporting import Reporter
from worker.training.setting import Setting
from worker.training.trying import undone

LARGEST = 1024
SMALLEST = 2
LEAST_STEPS_ON_CPU = 20
SMALLEST_ON_CPU = 8
SHARE_OF_GPU = 0.9
SHARE_OF_MEMORY = 0.5
GRADIENTS_AND_WORKSPACE = 2.0
"""Peak memory of a backward pass on a CPU, in sizes of what the forward pass keeps for it: 1.0 to 1.4 on seven
networks of the catalogue, and some room."""


def largest_batch(setting: Setting, reporter: Reporter) -> int:
    """A power of two, at most 1024 and a quarter of the train split, at least 2.

    On CUDA sizes are tried from the top, with two optimizer steps each, until one leaves a tenth of the GPU free.
    On a CPU a larger batch soon stops being faster, and fewer steps learn less: there it is at most a twentieth of
    the train split (but 8 always may be), and it must fit into half of the memory that is available, by what one
    forward pass keeps for each sample.

    Raises:
        Stopped: the sink asked for it.
    """
    train = len(setting.dealt["train"])
    on_gpu = setting.device.type == "cuda"
    steps_kept = LARGEST if on_gpu else max(SMALLEST_ON_CPU, train // LEAST_STEPS_ON_CPU)
    size = _power_of_two(min(LARGEST, train // 4, steps_kept))
    if not on_gpu:
        kept = kept_bytes(setting) * GRADIENTS_AND_WORKSPACE
        return _power_of_two(min(size, int(SHARE_OF_MEMORY * available_bytes() / kept)))
    setting.subject.earlier_peak_bytes = peak_memory_bytes(setting.device) or 0
    while size > SMALLEST and not _fits_on_gpu(setting, reporter, size):
        reporter.check()
        size //= 2
    return size


def _power_of_two(most: int) -> int:
    return max(SMALLEST, 1 << max(0, most.bit_length() - 1))


def _fits_on_gpu(setting: Setting, reporter: Reporter, size: int) -> bool:
    """Whether two steps fit, and leave some room."""
    torch.cuda.reset_peak_memory_stats(setting.device)
    try:
        if not steps_fit(setting, reporter, size):
            return False
        free, _total = torch.cuda.mem_get_info(setting.device)
        there_is = free + torch.cuda.memory_reserved(setting.device)
        return torch.cuda.max_memory_reserved(setting.device) <= SHARE_OF_GPU * there_is
    finally:
        torch.cuda.empty_cache()


def steps_fit(setting: Setting, reporter: Reporter, size: int) -> bool:
    """Whether memory suffices for two steps: the second has the optimizer's state beside the activations."""
    chosen = (setting.dealt["train"] * -(-size // len(setting.dealt["train"])))[:size]
    batch = setting.subject.batch(chosen)
    tried = setting.with_training(batch_size=size, learning_rate=1e-6)
    try:
        with undone(setting):
            learner = Learner(tried, reporter)
            learner.passes.may_halve = False
            tried.subject.prepare_training(tried.order.spec.training.epochs)
            for _ in range(2):
                learner.learn(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def kept_bytes(setting: Setting) -> float:
    """What a forward pass keeps per sample for the backward pass."""
    with undone(setting):
        setting.subject.prepare_training(setting.order.spec.training.epochs)
        batch = setting.subject.batch(setting.dealt["train"][:2])
        with setting.precision.autocast():
            return saved_bytes(setting.learned, *setting.subject.arguments(batch.inputs)) / len(batch.targets)


def saved_bytes(network: nn.Module, *arguments: Tensor) -> int:
    """Bytes of the tensors that autograd saves in a forward pass, each once, parameters and buffers left out."""
    own = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict(keep_vars=True).values()}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(*arguments)
    return sum(size for place, size in sizes.items() if place not in own)


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that can still be had: the machine's, or what is left of the control group's limit (v2 or v1)."""
    lines = (root / "proc/meminfo").read_text().splitlines()
    [available] = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    groups = root / "sys/fs/cgroup"
    pairs = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
    for limit, usage in pairs:
        if (groups / limit).is_file() and (text := (groups / limit).read_text().strip()) != "max":
            available = min(available, max(0, int(text) - int((groups / usage).read_text())))
    return available
