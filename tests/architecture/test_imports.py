"""What import-linter cannot say: contracts that name every module, and imports that really do not happen."""

import subprocess
import sys
import tomllib
from typing import Any

import pytest

from tests.architecture.tree import ROOT, imports, modules

WORKER_MAY_IMPORT = {"specs", "store", "settings", "errors", "logs", "queue", "sweeper"}
BEHIND_QUEUE = {"file_broker", "redis_bells", "bells", "courier"}
CODE_BEARING = ("pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal")
HEAVY = ("torch", "torchvision", "timm", "shap", "captum", "optuna", "sklearn", "matplotlib", "safetensors", "worker")


def contract(name: str) -> dict[str, Any]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return next(found for found in contracts if found["name"].startswith(name))


def test_the_worker_contract_forbids_every_other_part_of_the_service() -> None:
    parts = {path.stem if path.is_file() else path.name for path in (ROOT / "service").iterdir()}
    others = {f"service.{part}" for part in parts - WORKER_MAY_IMPORT - BEHIND_QUEUE if not part.startswith("__")}
    listed = set(contract("worker takes from service only")["forbidden_modules"]) - {"client"}
    assert listed == others


@pytest.mark.parametrize("module", modules(), ids=str)
def test_no_module_imports_a_code_bearing_format(module: Any) -> None:
    assert [name for name in imports(module) if name.split(".")[0] in CODE_BEARING] == []


@pytest.mark.parametrize("imported", ["service.app", "service.sweeper", "service.store.migrate", "client.cli"], ids=str)
def test_it_imports_where_nothing_heavy_is_installed(imported: str) -> None:
    program = f"""
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import {imported}
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr


def test_a_control_workers_own_process_holds_no_torch() -> None:
    program = "import sys, worker.app, worker.tasks.registry; sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_no_module_reads_what_may_hold_code() -> None:
    """`.pt2` archives are written for others; nothing here opens one."""
    readers = ("torch.export.load", "load_pt2", "torch.jit.load")
    texts = {module: (ROOT / module).read_text() for module in modules()}
    assert [module for module, text in texts.items() if any(reader in text for reader in readers)] == []


def test_compute_says_nowhere_that_weights_may_hold_code() -> None:
    texts = {module: (ROOT / module).read_text() for module in modules()}
    assert [module for module, text in texts.items() if "weights_only=False" in text] == []
