"""PyTorch's own archive (`.pt2`), without the pickle that PyTorch puts into it by default.

The archive is a zip of JSON and of tensors as raw bytes. Two of its parts may be pickles: the inputs that the graph
was traced with, and tensors of kinds that have no raw form. We write neither, and look into every archive afterwards.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from service.errors import ExportFailed
from worker.exporting.answers import Answers

NOTES_FILE = "tunelens.json"
TENSOR_LISTS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
MARK = re.compile(rb"[A-Za-z0-9_.]{0,64}\n?")
"""Versions, byte order and the like; an empty file is one too."""


def write_torch_export(program: ExportedProgram, target: Path, notes: Mapping[str, Any]) -> None:
    """Writes the archive; `notes` go beside the graph as JSON.

    Raises:
        ExportFailed: the archive would hold something that could carry code.
    """
    torch.export.save(program, target, extra_files={NOTES_FILE: json.dumps(notes)})
    check_carries_no_code(target)


def run_program(program: ExportedProgram, images: Tensor) -> Answers:
    """What the graph answers to [n, 3, s, s] float32 in 0..1."""
    with torch.no_grad():
        outputs = program.module()(images)
    return Answers(outputs["logits"], outputs["probabilities"])


def check_carries_no_code(path: Path) -> None:
    """Every member must be JSON, a short mark, or a tensor that is listed as raw bytes.

    Raises:
        ExportFailed: one is not.
    """
    with zipfile.ZipFile(path) as archive:
        members = {name.partition("/")[2]: name for name in archive.namelist()}
        raw: set[str] = set()
        for listing in TENSOR_LISTS:
            raw |= _raw_tensors(archive.read(members[listing]), listing.rpartition("/")[0])
        for member, name in members.items():
            if member not in raw and not _is_plain(archive, name):
                raise ExportFailed("The archive would hold a member that is neither JSON nor a plain tensor.")


def _raw_tensors(listing: bytes, folder: str) -> set[str]:
    """Members that a reader takes for raw bytes."""
    entries = json.loads(listing)["config"].values()
    return {f"{folder}/{entry['path_name']}" for entry in entries if entry["use_pickle"] is False}


def _is_plain(archive: zipfile.ZipFile, name: str) -> bool:
    data = archive.read(name)
    if not name.endswith(".json"):
        return MARK.fullmatch(data) is not None
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
