"""The door: what it refuses, that it answers what serving answers, and that it leaves nothing behind."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from service.errors import Invalid, Stopped
from service.specs.explanations import ExplanationSpec
from tests.worker.explaining.text.asking import METHODS, explained, values
from tests.worker.explaining.text.planted import CLASSES, planted
from worker.backbones.trained_text import TrainedText
from worker.explaining.results import Explanation
from worker.explaining.text.explainer import explain_texts

TEXTS = [planted(500 + i, CLASSES[i % 3], words=(3 + 3 * i, 5 + 3 * i))[0] for i in range(8)]


def as_json(found: Explanation) -> str:
    return json.dumps(dataclasses.asdict(found))


@pytest.mark.parametrize("method", METHODS)
def test_offsets_are_those_of_the_users_text(either: TrainedText, method: str) -> None:
    text = "  Great\U0001f600\U0001f44d\U0001f3fd film,\n久石 said: I don't \U0001f468\u200d\U0001f469 awful!\t"
    words = explained(either, [text], method).items[0].targets[0].attributions
    assert "".join(word["token"] for word in words) == "".join(text.split())
    assert [text[word["start"] : word["end"]] for word in words] == [word["token"] for word in words]
    assert {"film", ",", "久", "石", "don't", "awful", "!"} <= {word["token"] for word in words}


@pytest.mark.parametrize("method", METHODS)
def test_one_word_is_enough(either: TrainedText, method: str) -> None:
    explanation = explained(either, ["awful"], method, targets=["bad"], evaluate=True)
    assert "too-few-words" in {warning["code"] for warning in explanation.warnings}
    item = explanation.items[0]
    (word,) = item.targets[0].attributions
    assert (word["token"], word["start"], word["end"]) == ("awful", 0, 5)
    assert word["attribution"] > 0
    assert not item.targets[0].degenerate
    assert item.quality is None


@pytest.mark.parametrize("method", METHODS)
def test_empty_texts_are_refused_by_number(trained: TrainedText, method: str) -> None:
    with pytest.raises(Invalid) as caught:
        explained(trained, ["fine", "", "  \n", "good"], method)
    assert [fault.loc for fault in caught.value.errors] == [("inputs", 1), ("inputs", 2)]


@pytest.mark.parametrize("method", METHODS)
def test_words_behind_the_limit_are_left_out(either: TrainedText, method: str) -> None:
    long = "awful " + "the film of " * 50
    item, short = explained(either, [long, "awful film"], method, targets=["bad"]).items
    assert item.truncated
    assert not short.truncated
    words = item.targets[0].attributions
    assert len(words) == 80 - (2 if either.encoder.mask_id is not None else 0)
    assert [word["token"] for word in words] == long.split()[: len(words)]
    assert values(item.targets[0]).argmax() == 0


def test_unknown_targets_are_named(trained: TrainedText) -> None:
    with pytest.raises(Invalid) as caught:
        explained(trained, TEXTS[:1], "shap", targets=["bad", "99", "good", "cat"])
    assert [fault.loc for fault in caught.value.errors] == [("targets", 1), ("targets", 3)]


def test_methods_for_pictures_are_refused(trained: TrainedText) -> None:
    with pytest.raises(Invalid) as caught:
        explained(trained, TEXTS[:1], "grad_cam")
    assert [fault.loc for fault in caught.value.errors] == [("method",)]


@pytest.mark.parametrize(
    ("method", "parameters", "at_fault"),
    [
        ("shap", {"baseline": "blur", "steps": 32}, ["baseline", "steps"]),
        ("lime", {"segments": 9}, ["segments"]),
        ("integrated_gradients", {"samples": 100}, ["samples"]),
        ("occlusion", {"evaluations": 100, "layer": "x"}, ["evaluations", "layer"]),
    ],
)
def test_parameters_of_others_are_refused(
    trained: TrainedText, method: str, parameters: dict[str, object], at_fault: list[str]
) -> None:
    with pytest.raises(Invalid) as caught:
        explained(trained, TEXTS[:1], method, parameters=parameters)
    assert [fault.loc for fault in caught.value.errors] == [("parameters", name) for name in at_fault]


@pytest.mark.parametrize("method", METHODS)
def test_explaining_leaves_no_trace(either: TrainedText, method: str) -> None:
    network, tokens = either.network, either.encode(TEXTS)
    with torch.inference_mode():
        before = either.probabilities(either.logits(tokens))
    weights = {name: parameter.clone() for name, parameter in network.state_dict().items()}
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()]
    found = explained(either, TEXTS, method, evaluate=True)
    with torch.inference_mode():
        after = either.probabilities(either.logits(either.encode(TEXTS)))
    assert torch.equal(before, after)
    assert all(torch.equal(weights[name], parameter) for name, parameter in network.state_dict().items())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())
    assert hooks == [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()]
    assert not any(module._backward_hooks or module.training for module in network.modules())
    for item, row in zip(found.items, before.double().numpy(), strict=True):
        assert list(item.prediction["probabilities"].values()) == pytest.approx(row.tolist(), abs=1e-5)
        assert item.prediction["label"] == item.targets[0].label == either.classes[row.argmax()]


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_equals_singles_and_seeds_repeat(either: TrainedText, method: str) -> None:
    together = explained(either, TEXTS, method, evaluate=True)
    assert as_json(together) == as_json(explained(either, TEXTS, method, evaluate=True))
    for text, item in zip(TEXTS, together.items, strict=True):
        alone = explained(either, [text], method, evaluate=True).items[0]
        assert np.abs(values(alone.targets[0]) - values(item.targets[0])).max() <= 1e-5
        assert alone.quality == pytest.approx(item.quality, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_sixteen_at_once_get_what_one_gets(either: TrainedText, method: str) -> None:
    serial = [values(explained(either, [text], method).items[0].targets[0]) for text in TEXTS[:4]]
    with ThreadPoolExecutor(16) as pool:
        parallel = list(pool.map(lambda i: explained(either, [TEXTS[i % 4]], method), range(16)))
    for i, found in enumerate(parallel):
        assert np.abs(values(found.items[0].targets[0]) - serial[i % 4]).max() <= 1e-4


def test_another_seed_draws_others(trained: TrainedText) -> None:
    one, other = (explained(trained, TEXTS[4:], "lime", seed=seed, parameters={"samples": 100}) for seed in (0, 1))
    assert as_json(one) != as_json(other)


@pytest.mark.parametrize("evaluate", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_budget_is_kept_and_reported(trained: TrainedText, method: str, *, evaluate: bool) -> None:
    calls: list[tuple[int, int]] = []
    spec = ExplanationSpec.model_validate({"method": method, "targets": ["bad", "good"], "evaluate": evaluate})
    found = explain_texts(trained, TEXTS, spec, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]
    assert len({total for _, total in calls}) == 1
    assert 0 < found.evaluations["forward"] + found.evaluations["backward"] <= calls[-1][1]
    assert (found.evaluations["backward"] > 0) == (method == "integrated_gradients")


@pytest.mark.parametrize("method", METHODS)
def test_stops_when_asked(trained: TrainedText, method: str) -> None:
    def progress(done: int, _total: int) -> None:
        if done > 20:
            raise Stopped("asked to")

    spec = ExplanationSpec.model_validate({"method": method})
    with pytest.raises(Stopped):
        explain_texts(trained, TEXTS, spec, progress=progress)


def test_what_is_reported(trained: TrainedText, looking_back: TrainedText) -> None:
    shown = explained(trained, TEXTS[:1], "shap")
    assert (shown.method, shown.explainer, shown.fallback) == ("shap", "partition", None)
    assert shown.parameters == {"explainer": "partition", "evaluations": 500, "batch_size": None}
    assert shown.baseline == {"kind": "mask_token", "token": "[MASK]"}
    assert explained(looking_back, TEXTS[:1], "shap").baseline == {"kind": "removed", "token": None}
    assert explained(trained, TEXTS[:1], "lime").baseline == {"kind": "removed", "token": None}
    padded = explained(looking_back, TEXTS[:1], "integrated_gradients")
    assert padded.baseline == {"kind": "pad_token", "token": "<|endoftext|>"}
    assert padded.parameters == {"steps": 32}
    assert explained(trained, TEXTS[:1], "occlusion", parameters={"window": 2}).parameters["window"] == 2


def test_quality_is_null_where_there_is_nothing_to_rank(trained: TrainedText) -> None:
    few, enough = explained(trained, ["awful film of", "awful film of the song"], "shap", evaluate=True).items
    assert few.quality is None
    assert enough.quality is not None
    assert set(enough.quality) == {
        "deletion_auc", "insertion_auc", "random_control", "stability", "randomisation", "reliable",
    }  # fmt: skip
