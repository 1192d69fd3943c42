"""What runs code by mistake is refused by ruff (S34, S46): each line here would be, wherever it stood."""

import json
import subprocess
import sys

import pytest

from tests.architecture.tree import ROOT

BANNED = [
    "import pickle\npickle.loads(b'')",
    "import cloudpickle",
    "import joblib",
    "import dill",
    "import marshal",
    "import shelve",
    "import torch\ntorch.load('x', weights_only=False)",
    "import torch\ntorch.load('x')",
    "import yaml\nyaml.load('x', Loader=yaml.Loader)",
    "import yaml\nyaml.unsafe_load('x')",
    "import subprocess\nsubprocess.run('x', shell=True, check=True)",
    "import os\nos.system('x')",
    "eval('x')",
    "exec('x')",
]


@pytest.mark.parametrize("code", BANNED, ids=lambda code: code.partition("\n")[2] or code)
def test_s34_ruff_refuses(code: str) -> None:
    options = ["--no-cache", "--output-format", "json", "--stdin-filename", "service/example.py", "-"]
    command = [sys.executable, "-m", "ruff", "check", *options]
    found = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)
    codes = {str(fault["code"]) for fault in json.loads(found.stdout)}
    assert any(name == "TID251" or name.startswith("S") for name in codes), (codes, found.stderr)
