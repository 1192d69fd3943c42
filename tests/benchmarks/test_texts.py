"""The benchmark of texts runs without its data, and deals as trials do."""

import sys

import pytest

from benchmarks import texts
from service.specs.jobs import JobSpec
from service.specs.resolving import DatasetFacts, resolve
from worker.data.texts.samples import TextSamples


def test_without_data_it_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["texts.py"])
    texts.main()
    assert "debian_sections.jsonl" in capsys.readouterr().out


def test_every_text_is_dealt_to_one_part() -> None:
    samples = TextSamples([f"t{n}" for n in range(40)], ["a"] * 20 + ["b"] * 20, [f"{n // 2}" for n in range(40)], {})
    spec = resolve(JobSpec.model_validate({"dataset_id": "ds_x"}), DatasetFacts(("text_classification",), 40))
    dealt = texts.dealt_of(samples, spec)
    assert sorted(row for rows in dealt.values() for row in rows) == list(range(40))
    assert all(row ^ 1 in rows for rows in dealt.values() for row in rows), "texts of the same words stay together"
