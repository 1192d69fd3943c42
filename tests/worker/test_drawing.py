import pytest
from matplotlib.figure import Figure

from worker.drawing import as_label, saved


def test_a_figure_in_two_forms() -> None:
    figure = Figure(figsize=(1, 1), layout="constrained")
    figure.add_subplot().set_title(as_label("5$ and 6$", 24))
    files = saved(figure, "one")
    assert [*files] == ["one.png", "one.svg"]
    assert files["one.png"].startswith(b"\x89PNG")
    assert b"<dc:date>" not in files["one.svg"], "the same picture is the same file"


@pytest.mark.parametrize(
    ("name", "label"), [("cats", "cats"), ("a" * 9, "a" * 7 + "…"), ("$x$", r"\$x\$"), ("a" * 8, "a" * 8)]
)
def test_labels_are_cut_and_are_no_mathematics(name: str, label: str) -> None:
    assert as_label(name, 8) == label
