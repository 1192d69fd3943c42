"""Each method against something independent: shap, lime, captum, or a count by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients
from lime import lime_text

from service.specs.explanations import MethodParameters
from tests.worker.explaining.text.asking import explained, values
from tests.worker.explaining.text.planted import planted
from worker.backbones.text_network import TextNetwork
from worker.backbones.trained_text import TrainedText
from worker.explaining.meter import Meter
from worker.explaining.results import FloatArray
from worker.explaining.text.integrated_gradients import margins, path_points
from worker.explaining.text.lime import perturbations
from worker.explaining.text.occlusion import windows
from worker.explaining.text.partition import TextPartition
from worker.explaining.text.subject import HiddenWords, subject_of

TEXT = "the song was awful and the film by this actor is great"
WORDS = TEXT.split()


def quiet() -> Meter:
    return Meter(1, lambda _done, _total: None)


def probabilities(trained: TrainedText, texts: list[str]) -> FloatArray:
    with torch.inference_mode():
        found: FloatArray = trained.probabilities(trained.logits(trained.encode(texts))).double().numpy()
    return found


def halves(first: int, last: int, rows: list[list[float]], leaves: int) -> int:
    """The linkage of a row that is halved again and again; returns the node of [first, last)."""
    if last - first == 1:
        return first
    middle = first + (last - first) // 2
    one, other = halves(first, middle, rows, leaves), halves(middle, last, rows, leaves)
    rows.append([one, other, last - first, last - first])
    return leaves + len(rows) - 1


def test_owen_values_equal_shaps(either: TrainedText) -> None:
    """On the same tree, with a budget for every context, both are exact."""
    shap = pytest.importorskip("shap")  # never skips, but keeps warnings of matplotlib apart

    subject = subject_of(either, TEXT)
    m = len(subject.words)
    answers = HiddenWords(either, subject, [0, 1, 2], quiet())
    rows: list[list[float]] = []
    halves(0, m, rows, m)
    masker = shap.maskers.Partition(np.zeros((1, m)), clustering=np.array(rows))
    reference = shap.PartitionExplainer(lambda shown: answers(shown > 0.5), masker)(
        np.ones((1, m)), max_evals=10_000, silent=True
    )
    method = TextPartition(MethodParameters(evaluations=2000))
    ours = method.attribute(either, subject, [0, 1, 2], quiet())
    for k, attribution in enumerate(ours):
        np.testing.assert_allclose(attribution.values, reference.values[0][:, k], atol=1e-5)
        assert attribution.base_value == pytest.approx(reference.base_values[0][k], abs=1e-5)


@pytest.mark.parametrize("evaluations", [32, 60, 500])
def test_owen_values_add_up_on_any_budget(either: TrainedText, evaluations: int) -> None:
    texts = [planted(31 + i, "bad", words=(25, 30))[0] for i in range(4)]
    served = probabilities(either, texts)
    found = explained(either, texts, "shap", targets=either.classes, parameters={"evaluations": evaluations})
    for item, row in zip(found.items, served, strict=True):
        for target, answer in zip(item.targets, row, strict=True):
            assert target.base_value is not None
            assert abs(target.base_value + values(target).sum() - answer) <= 1e-5
            assert target.output_value == pytest.approx(answer, abs=1e-6)
            assert target.additivity is not None
            assert target.additivity["passed"]
        assert np.abs(np.sum([values(target) for target in item.targets], axis=0)).max() <= 1e-6
    assert found.evaluations["forward"] <= 4 * evaluations


def test_lime_agrees_with_the_lime_package(trained: TrainedText) -> None:
    explainer = lime_text.LimeTextExplainer(
        split_expression=r"\s+", bow=False, mask_string="", random_state=0, feature_selection="none"
    )
    reference = explainer.explain_instance(
        TEXT, lambda texts: probabilities(trained, texts), labels=(0, 1), num_samples=2000
    )
    found = explained(trained, [TEXT], "lime", targets=["bad", "good"], parameters={"samples": 2000})
    for k, target in enumerate(found.items[0].targets):
        theirs = np.zeros(len(WORDS))
        for place, weight in reference.local_exp[k]:
            theirs[place] = weight
        np.testing.assert_allclose(values(target), theirs, atol=0.06)
        assert np.corrcoef(values(target), theirs)[0, 1] > 0.98
    assert target.fit is not None
    assert target.fit["r2"] == pytest.approx(reference.score, abs=0.03)


def test_limes_weights_have_the_signs_of_what_words_do(trained: TrainedText) -> None:
    text = "the song was awful and the film by this actor is slow"
    (target,) = explained(trained, [text], "lime", targets=["bad"]).items[0].targets
    other = explained(trained, [text], "lime", targets=["none"], seed=5).items[0].targets[0]
    place = text.split().index("awful")
    assert values(target).argmax() == values(other).argmin() == place
    assert values(target)[place] > 0.5 > -0.5 > values(other)[place]
    few = explained(trained, [text], "lime", targets=["bad"], parameters={"features": 1}).items[0].targets[0]
    assert np.flatnonzero(values(few)).tolist() == [place]


def test_lime_removes_one_to_all_words() -> None:
    present = perturbations(4000, 8, 0)
    assert present[0].all()
    removed = (~present[1:]).sum(axis=1)
    np.testing.assert_allclose(np.bincount(removed, minlength=9)[1:] / 3999, 1 / 8, atol=0.02)
    np.testing.assert_allclose(present[1:].mean(axis=0), 3.5 / 8, atol=0.03)


def test_integrated_gradients_equal_captums(either: TrainedText) -> None:
    subject = subject_of(either, TEXT)
    hidden_id = either.encoder.mask_id if either.encoder.mask_id is not None else either.encoder.pad_id
    hidden = np.where(subject.word_of < len(subject.words), hidden_id, subject.ids)
    with torch.no_grad():
        text, start = (either.embeddings(torch.from_numpy(ids)[None]) for ids in (subject.ids, hidden))

    def answer(embedded: torch.Tensor) -> torch.Tensor:
        mask = torch.ones(embedded.shape[:2], dtype=torch.int64)
        return margins(either, either.logits_from_embeddings(embedded, mask))

    found = explained(either, [TEXT], "integrated_gradients", targets=either.classes)
    for k, target in enumerate(found.items[0].targets):
        theirs = IntegratedGradients(answer).attribute(text, start, target=k, n_steps=500)
        of_tokens = theirs.sum(-1)[0].double().detach().numpy()
        expected = [of_tokens[list(word.tokens)].sum() for word in subject.words]
        scale = np.abs(expected).sum()
        np.testing.assert_allclose(values(target), expected, atol=0.01 * scale)
        assert target.space == "logit"


@pytest.mark.parametrize("steps", [8, 9, 32, 511])
def test_path_points_integrate_smooth_functions(steps: int) -> None:
    turn = 1 / (1 + np.exp(-80 * (np.linspace(0, 1, 17) - 0.2)))
    for answers in (turn[:, None], np.zeros((17, 1)), np.stack([turn, 1 - turn], axis=1)):
        places, shares = path_points(answers, steps)
        assert len(places) == len(shares) == steps
        assert shares.sum() == pytest.approx(1.0)
        assert (np.diff(places) > 0).all()
        assert 0 < places[0] < places[-1] < 1
        assert (shares * places**5).sum() == pytest.approx(1 / 6)


def test_path_points_find_a_sharp_turn() -> None:
    """The integral of the derivative of a steep sigmoid is its rise: the even rule misses it by tenths."""

    def rise(x: FloatArray) -> FloatArray:
        return 1 / (1 + np.exp(-200 * (x - 0.13)))

    places, shares = path_points(rise(np.linspace(0, 1, 17))[:, None], 32)
    slope = 200 * rise(places) * (1 - rise(places))
    assert (shares * slope).sum() == pytest.approx(1.0, abs=0.01)


def test_gradients_are_doubled_until_they_add_up(either: TrainedText) -> None:
    """Eight points miss the change by several hundredths; what that costs is counted."""
    text = "the song was awful and the film by this actor is slow"
    few, many = (
        explained(either, [text], "integrated_gradients", targets=["bad"], parameters={"steps": steps})
        for steps in (8, 64)
    )
    assert few.evaluations["backward"] in (8 + 16, 8 + 16 + 32)
    assert many.evaluations["backward"] == 64
    assert few.parameters["steps"] == 8
    one, other = (found.items[0].targets[0] for found in (few, many))
    assert one.additivity is not None
    assert one.additivity["passed"]
    np.testing.assert_allclose(values(one), values(other), atol=0.02 * np.abs(values(other)).sum())


def test_two_classes_are_explained_in_log_odds(trained: TrainedText) -> None:
    head = trained.network.head
    two = type(head)(head.in_features, 2, dropout=0.0)
    with torch.no_grad():
        two.weight.copy_(head.weight[:2])
        assert two.bias is not None
        two.bias.copy_(head.bias[:2])
    network = TextNetwork(trained.network.body, two, trained.network.pooling).eval().requires_grad_(False)
    pair = replace(trained, network=network, classes=["bad", "good"], temperature=1.7)
    text = "the song was awful and the film by this actor is slow"
    bad, good = explained(pair, [text], "integrated_gradients", targets=["bad", "good"]).items[0].targets
    served = probabilities(pair, [text])[0]
    assert bad.space == good.space == "log_odds"
    assert bad.output_value == pytest.approx(np.log(served[0] / served[1]), abs=1e-4)
    np.testing.assert_allclose(values(bad), -values(good), atol=1e-5)
    assert bad.additivity is not None
    assert bad.additivity["passed"]


def test_occlusion_is_what_is_lost(either: TrainedText) -> None:
    """Against texts that lack the word, tokenized anew."""
    whole = probabilities(either, [TEXT])[0]
    target = explained(either, [TEXT], "occlusion", targets=["good"]).items[0].targets[0]
    without = [" ".join(WORDS[:i] + WORDS[i + 1 :]) for i in range(1, len(WORDS))]
    losses = whole[1] - probabilities(either, without)[:, 1]
    np.testing.assert_allclose(values(target)[1:], losses, atol=1e-5)


def test_a_window_is_left_out_as_one(trained: TrainedText) -> None:
    whole = probabilities(trained, [TEXT])[0]
    target = explained(trained, [TEXT], "occlusion", targets=["bad"], parameters={"window": 3}).items[0].targets[0]
    without = [" ".join(WORDS[:i] + WORDS[i + 3 :]) for i in range(len(WORDS) - 2)]
    losses = whole[0] - probabilities(trained, without)[:, 0]
    expected = [np.mean([losses[k] for k in range(len(losses)) if k <= i < k + 3]) for i in range(len(WORDS))]
    np.testing.assert_allclose(values(target), expected, atol=1e-5)


def test_windows() -> None:
    assert windows(3, 2).astype(int).tolist() == [[1, 1, 0], [0, 1, 1]]
    assert windows(2, 5).astype(int).tolist() == [[1, 1]]
