"""Pages and pictures of texts: nothing runs, nothing is lost, colours mean what the legend says."""

import io
from html.parser import HTMLParser

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from worker.explaining.results import ItemExplanation, TargetExplanation
from worker.explaining.text.picture import WIDTH, text_png
from worker.explaining.text.rendering import text_html
from worker.explaining.text.units import words_of

HOSTILE = (
    "good <script>alert('x')</script> & \"bad\" <img src=x onerror=y>\n久石 \U0001f600 \U0001f468\u200d\U0001f469 ok"
)


def target_of(text: str, scores: dict[str, float], *, label: str = "a", until: int | None = None) -> TargetExplanation:
    words = words_of(text, [(i, i + 1) for i in range(len(text) if until is None else until)])
    attributions = [
        {"token": text[word.start : word.end], "start": word.start, "end": word.end,
         "attribution": scores.get(text[word.start : word.end], 0.0)}
        for word in words
    ]  # fmt: skip
    return TargetExplanation(label, "probability", 0.2, 0.9, None, None, attributions, None, False)


def item_of(*targets: TargetExplanation, truncated: bool = False) -> ItemExplanation:
    return ItemExplanation({}, list(targets), None, truncated=truncated)


class Read(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.spans: dict[str, dict[str, str | None]] = {}
        self._inside: dict[str, str | None] | None = None
        self._part = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "p":
            self._part = ("class", "text") in attrs
        if tag == "span":
            self._inside = dict(attrs)

    def handle_data(self, data: str) -> None:
        if self._part:
            self.text += data
            if self._inside:
                self.spans[data] = self._inside
        self._inside = None

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self._part = False


def test_a_text_stays_a_text() -> None:
    page = text_html(HOSTILE, item_of(target_of(HOSTILE, {"good": 0.5, "bad": -0.25}, label="<b>&")))
    read = Read(page)
    assert read.tags == {"html", "head", "meta", "title", "style", "body", "section", "h2", "p", "span"}
    assert read.attributes == {"lang", "charset", "name", "content", "class", "dir", "title", "style"}
    assert read.text == HOSTILE
    assert "://" not in page
    assert "&lt;b&gt;&amp;" in page


def test_numbers_and_colours_of_words() -> None:
    read = Read(text_html("good bad ok", item_of(target_of("good bad ok", {"good": 0.5, "bad": -0.25}))))
    assert read.spans["good"] == {"title": "+0.5", "style": "background: rgba(255, 20, 80, 0.600)"}
    assert read.spans["bad"] == {"title": "-0.25", "style": "background: rgba(0, 125, 250, 0.300)"}
    assert read.spans["ok"] == {"title": "+0", "style": "background: rgba(0, 125, 250, 0.000)"}


def test_each_target_has_its_part_and_the_unread_is_shown() -> None:
    text = "good bad unread words"
    targets = [target_of(text, {"good": 1.0}, label=label, until=8) for label in ("one", "two")]
    page = text_html(text, item_of(*targets, truncated=True))
    assert page.count("<section>") == 2
    assert '<span class="unread"> unread words</span>' in page
    assert "one</h2>" in page
    assert "two</h2>" in page


def pixels(png: bytes) -> NDArray[np.int64]:
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.mode, picture.width) == ("PNG", "RGB", WIDTH)
    return np.asarray(picture).astype(np.int64)


def test_words_are_red_for_and_blue_against() -> None:
    text = "i" * 60 + " " + "l" * 60
    rows = pixels(text_png(text, target_of(text, {"i" * 60: 0.5, "l" * 60: -0.5})))[95:120]
    red, blue = (np.median(rows[:, columns].reshape(-1, 3), axis=0) for columns in (slice(60, 300), slice(400, 600)))
    assert red[0] > red[2] + 60
    assert blue[2] > blue[0] + 60


def test_long_texts_take_more_lines_and_paragraphs_stay() -> None:
    short, long = ("the film was good " * count for count in (2, 60))
    heights = [len(pixels(text_png(text, target_of(text, {"good": 1.0})))) for text in (short, long)]
    assert heights[1] > heights[0] + 200
    broken = "a\n\nb\nc"
    assert len(pixels(text_png(broken, target_of(broken, {})))) > len(pixels(text_png("a b c", target_of("a b c", {}))))
    endless = "a\n" * 2000
    assert len(pixels(text_png(endless, target_of(endless, {"a": 1.0})))) < 16_000


@pytest.mark.parametrize(
    "text", [HOSTILE, "x" * 3000, "久" * 500, "\U0001f600" * 200, "a\u0301\u0302" * 50, "שלום العربية", "!"]
)
def test_any_text_is_drawn(text: str) -> None:
    target = target_of(text, {"good": 0.5}, label="L" * 400)
    assert pixels(text_png(text, target)).min() < 100
    assert Read(text_html(text, item_of(target))).text == text


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_attributions_that_say_nothing_are_drawn_too(value: float) -> None:
    target = target_of("good film", {"good": value, "film": value})
    assert pixels(text_png("good film", target)).shape[1] == WIDTH
    assert Read(text_html("good film", item_of(target))).text == "good film"
