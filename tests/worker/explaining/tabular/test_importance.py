import numpy as np
import pytest
from sklearn.inspection import permutation_importance as reference
from sklearn.linear_model import LinearRegression

from service.errors import Invalid
from tests.worker.explaining.tabular.models import LABELS, explain, fitted, mixed, numbers, written

RANDOM = np.random.default_rng(6)
COLUMNS = RANDOM.normal(size=(400, 5))
TABLE = numbers(COLUMNS)


@pytest.mark.parametrize("name", ["linear", "gradient_boosting"])
def test_the_planted_column_is_on_top_and_noise_is_nothing(name: str) -> None:
    """Judged on rows that the model has not seen, so that noise it has learned by heart does not count."""
    target = (2 * COLUMNS[:, 3] + 0.5 * COLUMNS[:, 1] > 0).astype(int)
    trained = fitted(name, TABLE.take(np.arange(200)), target[:200], classes=2)
    rows = np.arange(200, 400)
    labels = [LABELS[one] for one in target[rows]]
    found = explain(trained, TABLE.take(rows), "permutation", truth=labels, repeats=30)
    assert found.summary is not None
    by_name = {one["feature"]: one for one in found.summary}
    assert [one["feature"] for one in found.summary[:2]] == ["x3", "x1"]
    assert by_name["x3"]["importance"] > 0.3
    assert by_name["x3"]["log_loss_importance"] > 0.3
    assert {one["metric"] for one in found.summary} == {"accuracy"}
    for noise in ("x0", "x2", "x4"):
        assert abs(by_name[noise]["importance"]) <= 2 * by_name[noise]["standard_deviation"] + 0.01
    assert found.parameters == {"repeats": 30}
    assert found.evaluations == {"forward": 200 * (1 + 5 * 30), "backward": 0}
    assert len(found.items) == 200
    assert found.items[0].targets == []


def test_an_unused_column_is_exactly_nothing() -> None:
    trained = written(lambda x: 3 * x[:, 0] + x[:, 2], COLUMNS[:50])
    found = explain(trained, TABLE, "permutation", truth=3 * COLUMNS[:, 0] + COLUMNS[:, 2])
    assert found.summary is not None
    assert {one["feature"]: one["importance"] for one in found.summary if one["feature"] in ("x1", "x3", "x4")} == {
        "x1": 0.0,
        "x3": 0.0,
        "x4": 0.0,
    }


def test_agrees_with_scikit_learn_on_r2() -> None:
    values = 3 * COLUMNS[:, 0] + COLUMNS[:, 2] + RANDOM.normal(size=400)
    model = LinearRegression().fit(COLUMNS, values)
    expected = reference(model, COLUMNS, values, n_repeats=50, random_state=0)
    found = explain(written(model.predict, COLUMNS[:50]), TABLE, "permutation", truth=values, repeats=50)
    assert found.summary is not None
    for one in found.summary:
        place = int(one["feature"][1])
        assert one["metric"] == "r2"
        assert one["importance"] == pytest.approx(expected.importances_mean[place], rel=0.05, abs=0.005)
        assert one["standard_deviation"] == pytest.approx(expected.importances_std[place], rel=0.6, abs=0.002)


def test_a_category_is_shuffled_in_one_piece_and_the_seed_decides() -> None:
    trained, table = mixed("linear", 3)
    labels = [LABELS[place % 3] for place in range(len(table))]
    one, same, other = (explain(trained, table, "permutation", truth=labels, seed=seed).summary for seed in (1, 1, 2))
    assert one == same != other
    assert one is not None
    assert {entry["feature"] for entry in one} == {column.name for column in table.schema}
    assert next(entry["importance"] for entry in one if entry["feature"] == "note") == 0.0


def test_rows_without_a_known_target_are_left_out() -> None:
    trained, table = mixed("linear", 2)
    labels = [LABELS[place % 2] for place in range(len(table))]
    some = [None, "maybe", *labels[2:]]
    found = explain(trained, table, "permutation", truth=some)
    assert found.summary == explain(trained, table.take(np.arange(2, 200)), "permutation", truth=labels[2:]).summary
    assert [warning["code"] for warning in found.warnings] == ["unknown-targets"]
    assert found.warnings[0]["message"].startswith("2 rows")


def test_what_it_cannot_do_is_refused() -> None:
    trained, table = mixed("linear", 2)
    for truth in (None, ["no"] + [None] * 199, ["else"] * 200):
        with pytest.raises(Invalid):
            explain(trained, table, "permutation", truth=truth)
    for asked in ({"evaluate": True}, {"targets": ["no"]}, {"samples": 100}):
        with pytest.raises(Invalid):
            explain(trained, table, "permutation", truth=["no", "yes"] * 100, **asked)
    trained, table = mixed("linear", 0)
    with pytest.raises(Invalid):
        explain(trained, table, "permutation", truth=np.full(200, 3.0))
