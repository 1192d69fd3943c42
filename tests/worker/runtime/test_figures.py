"""What a worker says of its GPUs, whatever `nvidia-smi` answers."""

from pathlib import Path

import pytest

from worker.runtime.figures import Figures


def driver(folder: Path) -> tuple[Figures, Path]:
    """An `nvidia-smi` that prints what is in a file, and fails without it."""
    script, answer = folder / "nvidia-smi", folder / "answer"
    script.write_text(f'#!/bin/sh\nexec cat "{answer}"\n')
    script.chmod(0o755)
    return Figures(smi=str(script)), answer


def gpus(figures: Figures) -> list[str]:
    return [line for line in figures.text().splitlines() if line.startswith("tunelens_gpu_memory_bytes{")]


def test_memory_of_each_gpu_that_tells_it(tmp_path: Path) -> None:
    figures, answer = driver(tmp_path)
    answer.write_bytes(b"0, 3, 4\n1, 5, [N/A]\n2, [N/A], [N/A]\n3, [Unknown Error], \xff\nGPU is lost\n")
    assert gpus(figures) == [
        'tunelens_gpu_memory_bytes{gpu="0",of="used"} 3.145728e+06',
        'tunelens_gpu_memory_bytes{gpu="0",of="total"} 4.194304e+06',
    ]


def test_what_nvidia_smi_said_last_is_forgotten_when_it_answers_no_more(tmp_path: Path) -> None:
    figures, answer = driver(tmp_path)
    answer.write_text("0, 3, 4\n")
    assert len(gpus(figures)) == 2
    answer.unlink()
    assert gpus(figures) == []


def test_without_a_gpu_nvidia_smi_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, answer = driver(tmp_path)
    answer.write_text("0, 3, 4\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus(Figures()) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert len(gpus(Figures())) == 2
