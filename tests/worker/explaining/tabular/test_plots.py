import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from service.errors import Invalid
from service.specs.tables import ColumnSchema
from tests.worker.explaining.tabular.models import LABELS, explain, mixed, numbers, values_of, written
from worker.explaining.tabular.plots import MOST_SPREAD, bar_png, beeswarm_png, swarm
from worker.explaining.tabular.plotted import plotted
from worker.explaining.tabular.summaries import summarise


def test_the_summary_is_the_mean_over_targets_and_rows() -> None:
    trained, table = mixed("gradient_boosting", 3)
    found = explain(trained, table.take(np.arange(30)), targets=LABELS)
    expected = np.mean([np.abs(values_of(found, place)) for place in range(3)], axis=(0, 1))
    summary = summarise(found)
    names = [column.name for column in table.schema]
    assert [one["feature"] for one in summary] == [names[place] for place in np.argsort(-expected, kind="stable")]
    assert [one["mean_absolute_attribution"] for one in summary] == pytest.approx(sorted(expected, reverse=True))


def test_of_two_classes_the_second_is_shown_whatever_was_predicted() -> None:
    trained, table = mixed("gradient_boosting", 2)
    rows = table.take(np.arange(30))
    predicted = plotted(explain(trained, rows), table.schema, None)
    asked = plotted(explain(trained, rows, targets=["yes"]), table.schema, "yes")
    assert predicted.attributions == pytest.approx(asked.attributions, abs=1e-12)
    assert predicted.axis_label == "attribution to the log-odds of yes"
    assert predicted.coloured == [True, True, False, False, True]
    assert predicted.numbers[:, 4] == pytest.approx(rows.values["seen"], abs=1e-5, nan_ok=True)
    assert np.isnan(predicted.numbers[:, 2:4]).all()
    assert predicted.numbers[:, :2] == pytest.approx(
        np.stack([rows.values["age"], rows.values["member"]], axis=1), nan_ok=True
    )


def test_of_more_classes_a_label_that_was_explained() -> None:
    trained, table = mixed("linear", 3)
    found = explain(trained, table.take(np.arange(5)), targets=["no", "maybe"])
    assert plotted(found, table.schema, "maybe").attributions == pytest.approx(values_of(found, 1))
    assert plotted(found, table.schema, None).axis_label == "attribution to the logit of the predicted class"
    with pytest.raises(Invalid):
        plotted(found, table.schema, "yes")


def test_dots_of_like_attribution_lie_side_by_side() -> None:
    crowd = np.concatenate([np.zeros(50), [1.0, 5.0]])
    offsets = swarm(crowd)
    assert len(set(offsets[:50])) == 50
    assert np.abs(offsets).max() <= MOST_SPREAD
    assert offsets[50:].tolist() == [0.0, 0.0]
    assert swarm(np.zeros(0)).tolist() == []


def colours(png: bytes) -> set[tuple[int, ...]]:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    assert picture.width > 800
    return {colour for _, colour in picture.getcolors(1 << 24) or []}  # type: ignore[misc]


def test_pictures_of_every_kind_of_column_with_odd_names() -> None:
    before = dict(matplotlib.rcParams)
    trained, table = mixed("gradient_boosting", 2)
    found = explain(trained, table.take(np.arange(60)))
    assert found.items
    names = ["$x_1", "a\nb" * 60, "50 % ^ {", "\\frac", "_"]
    schema = [ColumnSchema(name=name, kind=column.kind) for name, column in zip(names, table.schema, strict=True)]
    swarmed = colours(beeswarm_png(found, schema))
    assert (0x9C, 0xA3, 0xAF) in swarmed
    assert any(blue > 200 and red < 60 for red, _, blue in swarmed)
    assert any(red > 200 and green < 60 and blue < 130 for red, green, blue in swarmed)
    assert (0x3B, 0x6F, 0xB6) in colours(bar_png(found))
    labels = [LABELS[place % 2] for place in range(200)]
    assert (0x3B, 0x6F, 0xB6) in colours(bar_png(explain(trained, table, "permutation", truth=labels, repeats=1)))
    assert dict(matplotlib.rcParams) == before


def test_more_than_twenty_columns_are_summed_in_the_last_line() -> None:
    background = np.random.default_rng(0).normal(size=(5, 30))
    trained = written(lambda x: x @ np.arange(30.0), background)
    found = explain(trained, trained.background)
    few = explain(written(lambda x: x @ np.arange(20.0), background[:, :20]), numbers(background[:, :20]))

    def height(png: bytes) -> int:
        return Image.open(io.BytesIO(png)).height

    assert height(bar_png(found)) - height(bar_png(few)) == pytest.approx(0.34 * 144, abs=2)
    swarms = [
        height(beeswarm_png(one, schema)) for one, schema in ((found, trained.schema), (few, trained.schema[:20]))
    ]
    assert swarms[0] - swarms[1] == pytest.approx(0.34 * 144, abs=2)
    assert (0x9C, 0xA3, 0xAF) in colours(bar_png(found))
    assert (0x9C, 0xA3, 0xAF) not in colours(bar_png(few))
