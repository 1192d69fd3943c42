from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.metrics import log_loss, mean_squared_error

from service.errors import ArtifactCorrupt
from service.specs.estimators import GradientBoostingSpec, RandomForestSpec
from worker.estimators.boosted import Boosted
from worker.estimators.boosting import BestRound, BoostingPlan, RoundRecord, Samples, fit_boosted
from worker.estimators.losses import calibrated, cross_entropy, squared_error

SAMPLED: dict[str, Any] = {"row_sample": 0.6, "column_sample": 0.5, "max_depth": 3}
GBTREE = GradientBoostingSpec(kind="gradient_boosting", **SAMPLED)
DART = GradientBoostingSpec(kind="gradient_boosting", booster="dart", rate_drop=0.3, **SAMPLED)
FOREST = RandomForestSpec(kind="random_forest", trees=20, max_depth=4)
PROBLEMS = {"binary": (load_breast_cancer, 2), "three classes": (load_wine, 3), "regression": (load_diabetes, 0)}


def problem(name: str) -> tuple[Samples, Samples, int]:
    load, classes = PROBLEMS[name]
    rows, targets = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(rows))
    rows, targets = rows[order], targets[order]
    rows[::7, 0] = np.nan
    third = len(rows) // 3
    return Samples(rows[third:], targets[third:]), Samples(rows[:third], targets[:third]), classes


def plan_of(spec: Any, classes: int, rounds: int = 12) -> BoostingPlan:
    return BoostingPlan(spec, classes, 1 if spec.kind == "random_forest" else rounds, 0.1, seed=3)


def fit(plan: BoostingPlan, name: str, on_round: Callable[[RoundRecord], bool] = lambda _: True) -> xgboost.Booster:
    train, validation, _ = problem(name)
    return fit_boosted(plan, train, validation=validation, on_round=on_round)


@pytest.mark.parametrize("spec", [GBTREE, DART, FOREST], ids=["gbtree", "dart", "forest"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_answers_are_xgboosts_own(name: str, spec: Any) -> None:
    _, validation, classes = problem(name)
    booster = fit(plan_of(spec, classes), name)
    boosted = Boosted.from_ubj(bytes(booster.save_raw("ubj")), classes=classes)
    reference = booster.predict(xgboost.DMatrix(validation.encoded))
    outputs = boosted.outputs(validation.encoded)
    assert outputs.shape == (len(validation.targets), classes or 1)
    if classes == 0:
        np.testing.assert_allclose(outputs[:, 0], reference, rtol=1e-6)
    else:
        shares = calibrated(outputs, 1.0)
        np.testing.assert_allclose(shares[:, 1] if classes == 2 else shares, reference, atol=1e-6)


@pytest.mark.parametrize("spec", [GBTREE, DART], ids=["gbtree", "dart"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_resumed_fit_comes_to_the_same_model(name: str, spec: Any) -> None:
    train, validation, classes = problem(name)
    plan, whole, halves, kept = plan_of(spec, classes), [], [], []

    def keep_and_stop(record: RoundRecord) -> bool:
        halves.append(record)
        kept.append(record.to_ubj())
        return record.round < 5

    uninterrupted = fit(plan, name, lambda record: whole.append(record) or True)
    fit(plan, name, keep_and_stop)
    resumed = fit_boosted(
        plan, train, validation=validation, on_round=lambda record: halves.append(record) or True, start=kept[-1]
    )
    assert [record.round for record in halves] == list(range(1, 13))
    assert bytes(uninterrupted.save_raw("ubj")) == bytes(resumed.save_raw("ubj"))
    for one, other in zip(whole, halves, strict=True):
        assert (one.train_loss, one.validation_loss) == (other.train_loss, other.validation_loss)
        np.testing.assert_array_equal(one.validation_outputs, other.validation_outputs)


def test_a_finished_fit_has_nothing_to_resume() -> None:
    train, validation, classes = problem("binary")
    plan = plan_of(GBTREE, classes)
    done = bytes(fit(plan, "binary").save_raw("ubj"))
    again = fit_boosted(plan, train, validation=validation, on_round=lambda _: pytest.fail("a round more"), start=done)
    assert bytes(again.save_raw("ubj")) == done


@pytest.mark.parametrize("spec", [GBTREE, FOREST], ids=["gbtree", "forest"])
def test_the_seed_decides(spec: Any) -> None:
    plan = plan_of(spec, 2)
    first, second = (bytes(fit(plan, "binary").save_raw("ubj")) for _ in range(2))
    assert first == second
    assert bytes(fit(replace(plan, seed=4), "binary").save_raw("ubj")) != first


def test_each_round_draws_other_rows_and_columns() -> None:
    """With the seed of a round alone, and not the round, all trees of a pure-noise fit would use the same columns."""
    booster = fit(plan_of(GBTREE, 2, rounds=8), "binary")
    used = booster.trees_to_dataframe().query("Feature != 'Leaf'").groupby("Tree")["Feature"].agg(frozenset)
    assert len(set(used)) > 4


@pytest.mark.parametrize("spec", [GBTREE, DART, FOREST], ids=["gbtree", "dart", "forest"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_reported_scores_are_those_of_the_model_so_far(name: str, spec: Any) -> None:
    train, validation, classes = problem(name)

    def check(record: RoundRecord) -> bool:
        boosted = Boosted.from_ubj(record.to_ubj(), classes=classes)
        for samples, loss, accuracy in (
            (train, record.train_loss, record.train_accuracy),
            (validation, record.validation_loss, record.validation_accuracy),
        ):
            outputs = boosted.outputs(samples.encoded)
            if classes:
                expected = log_loss(samples.targets, calibrated(outputs, 1.0))
                assert accuracy == (outputs.argmax(1) == samples.targets).mean()
            else:
                expected = mean_squared_error(samples.targets, outputs[:, 0])
                assert accuracy is None
            assert loss == pytest.approx(expected, rel=1e-5)
        np.testing.assert_allclose(record.validation_outputs, boosted.outputs(validation.encoded), rtol=1e-5, atol=1e-6)
        return True

    fit(plan_of(spec, classes, rounds=6), name, check)


@pytest.mark.parametrize("spec", [GBTREE, DART], ids=["gbtree", "dart"])
def test_the_best_round_is_the_model_as_it_was_then(spec: Any) -> None:
    _, validation, classes = problem("binary")
    best, outputs = BestRound(spec), []

    def see(record: RoundRecord) -> bool:
        if record.round == 4:
            best.see(record)
            outputs.append(record.validation_outputs)
        return True

    booster = fit(plan_of(spec, classes), "binary", see)
    model = best.model(booster, classes=classes)
    np.testing.assert_allclose(model.outputs(validation.encoded), outputs[0], atol=1e-6)
    sliced = Boosted(booster[:4], classes).outputs(validation.encoded)
    assert np.allclose(sliced, outputs[0], atol=1e-6) == (spec is GBTREE)  # why DART's bytes are kept


def test_the_defaults_learn_an_interaction_of_two_columns() -> None:
    """Trees that see half the columns would see one of the two, and learn nothing: columns are drawn for each level."""
    rows = np.random.default_rng(0).normal(size=(600, 2))
    samples = Samples(rows, (rows[:, 0] * rows[:, 1] > 0).astype(np.int64))
    plan = plan_of(GradientBoostingSpec(kind="gradient_boosting"), 2, rounds=40)
    accuracies: list[float | None] = []
    fit_boosted(
        plan, samples, validation=samples, on_round=lambda record: accuracies.append(record.train_accuracy) or True
    )
    assert accuracies[-1] is not None
    assert accuracies[-1] > 0.95


def test_weights_move_the_answers_to_the_rare_class() -> None:
    generator = np.random.default_rng(0)
    rows, targets = generator.normal(size=(400, 2)), (np.arange(400) % 10 == 0).astype(np.int64)
    balanced = np.where(targets == 1, 5.0, 5 / 9)
    shares = []
    for weights in (None, balanced):
        samples = Samples(rows, targets, weights)
        plan = plan_of(GradientBoostingSpec(kind="gradient_boosting", max_depth=1), 2, rounds=5)
        booster = fit_boosted(plan, samples, validation=samples, on_round=lambda _: True)
        outputs = Boosted(booster, 2).outputs(rows)
        shares.append(float(calibrated(outputs, 1.0)[:, 1].mean()))
    assert shares[0] == pytest.approx(0.1, abs=0.02)
    assert shares[1] == pytest.approx(0.5, abs=0.05)


def test_losses_are_what_they_say() -> None:
    logits, targets = np.array([[2.0, -1.0], [1e4, -1e4]]), np.array([1, 0])
    assert cross_entropy(logits, targets) == pytest.approx(np.log1p(np.exp(3.0)) / 2)
    assert squared_error(np.array([[1.0], [4.0]]), np.array([2.0, 2.0])) == 2.5


@pytest.mark.parametrize("spec", [GBTREE, DART], ids=["gbtree", "dart"])
def test_threads_get_the_answers_that_one_alone_gets(spec: Any) -> None:
    _, validation, classes = problem("three classes")
    booster = fit(plan_of(spec, classes), "three classes")
    boosted = Boosted.from_ubj(bytes(booster.save_raw("ubj")), classes=classes, threads=2)
    alone = boosted.outputs(validation.encoded)
    with ThreadPoolExecutor(6) as pool:
        for number, found in enumerate(pool.map(lambda n: boosted.outputs(validation.encoded[n % 50 :]), range(300))):
            np.testing.assert_array_equal(found, alone[number % 50 :])


def test_damaged_trees_are_refused() -> None:
    whole = bytes(fit(plan_of(GBTREE, 2), "binary").save_raw("ubj"))
    for damaged in (b"", b"{}", whole[:-1], whole[: len(whole) // 2] + b"}", b"\x80" + whole):
        with pytest.raises(ArtifactCorrupt):
            Boosted.from_ubj(damaged, classes=2)
    with pytest.raises(ArtifactCorrupt, match="another number of classes"):
        Boosted.from_ubj(whole, classes=3)
