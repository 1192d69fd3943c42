"""A text with its attributions as a picture: the words in colours, a legend, and the strongest words as bars."""

import io
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from worker.explaining.rendering import AGAINST, FOR
from worker.explaining.results import TargetExplanation
from worker.explaining.text.rendering import MOST_COVER, facts, finite, pieces, strongest

WIDTH, MARGIN, LINE = 880, 28, 34
SIZE, SMALL = 19, 15
BARS, BAR_LINE, NAME_WIDTH = 8, 26, 230
MOST_LINES = 400
INK, SOFT, RULE = (17, 17, 17), (110, 110, 110), (221, 221, 221)

Colour = tuple[int, int, int]


def text_png(text: str, target: TargetExplanation) -> bytes:
    """One target's attributions over the text, as an RGB PNG of `WIDTH` pixels and as many lines as it takes.

    Signs that the font (DejaVu Sans) does not have are drawn as boxes. Behind the last word that the network read, or
    behind `MOST_LINES` lines, stands an ellipsis.

    Args:
        text: as the user sent it.
        target: what `explain_texts` found of it.
    """
    lines = _wrapped(text, target)
    read_all = not text[max((word["end"] for word in target.attributions), default=0) :].strip()
    if len(lines) > MOST_LINES or not read_all:
        lines = [*lines[:MOST_LINES], [(0, "…", None)]]
    scores = [(word["token"], finite(word["attribution"])) for word in target.attributions]
    bars = sorted(scores, key=lambda score: -abs(score[1]))[:BARS]
    top = MARGIN + 64
    legend = top + LINE * len(lines) + 18
    height = legend + 58 + BAR_LINE * len(bars) + MARGIN // 2
    picture = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(picture)
    draw.text(
        (MARGIN, MARGIN), _fitting(str(target.label), _font(SIZE + 3, bold=True)), INK, _font(SIZE + 3, bold=True)
    )
    draw.text((MARGIN, MARGIN + 32), facts(target), SOFT, _font(SMALL))
    largest = strongest(target)
    for row, line in enumerate(lines):
        _draw_line(draw, line, top + LINE * row, largest)
    _draw_legend(draw, legend, largest)
    for row, (token, value) in enumerate(bars):
        _draw_bar(draw, token, value, legend + 50 + BAR_LINE * row, largest)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


Placed = tuple[float, str, float | None]
"""How far from the margin, what, and its attribution."""


def _wrapped(text: str, target: TargetExplanation) -> list[list[Placed]]:
    """The text in lines; breaks of its own are kept, words are only cut where one alone does not fit."""
    font, most = _font(SIZE), WIDTH - 2 * MARGIN
    lines: list[list[Placed]] = [[]]
    x = 0.0
    for piece, value in pieces(text, target):
        for part in _parts(piece, value, font, most):
            if part == "\n":
                lines.append([])
                x = 0.0
                continue
            length = font.getlength(part)
            if x + length > most and x > 0:
                lines.append([])
                x = 0.0
                if part.isspace():
                    continue
            lines[-1].append((x, part, value))
            x += length
    return lines


def _parts(piece: str, value: float | None, font: ImageFont.FreeTypeFont, most: int) -> list[str]:
    """What is not to be cut: a word, or a stretch of what lies between words; line breaks by themselves."""
    if value is None:
        shown = "".join("\n" if sign in "\r\n\u2028\u2029" else " " if sign.isspace() else sign for sign in piece)
        return [part for line in shown.split("\n") for part in ("\n", line)][1:]
    parts = [""]
    for sign in piece:
        if parts[-1] and font.getlength(parts[-1] + sign) > most:
            parts.append("")
        parts[-1] += sign
    return parts


def _draw_line(draw: ImageDraw.ImageDraw, line: list[Placed], top: float, largest: float) -> None:
    font = _font(SIZE)
    for x, part, value in line:
        left = MARGIN + x
        if value is not None:
            box = (left - 1, top + 2, left + font.getlength(part) + 1, top + LINE - 5)
            draw.rounded_rectangle(box, 4, _over_white(value / largest))
        draw.text((left, top + 4), part, INK, font)


def _draw_legend(draw: ImageDraw.ImageDraw, top: float, largest: float) -> None:
    font = _font(SMALL)
    draw.line((MARGIN, top - 8, WIDTH - MARGIN, top - 8), RULE)
    against, speaks_for = f"against {-largest:+.3g}", f"{largest:+.3g} for this class"
    left = MARGIN + font.getlength(against) + 10
    draw.text((MARGIN, top + 4), against, SOFT, font)
    for step in range(201):
        draw.line((left + step, top + 6, left + step, top + 22), _over_white(step / 100 - 1))
    draw.text((left + 211, top + 4), speaks_for, SOFT, font)


def _draw_bar(draw: ImageDraw.ImageDraw, token: str, value: float, top: float, largest: float) -> None:
    font = _font(SMALL)
    middle, longest = (WIDTH + NAME_WIDTH) / 2, (WIDTH - NAME_WIDTH) / 2 - MARGIN - 74
    end = middle + longest * value / largest
    draw.text((MARGIN, top), _fitting(" ".join(token.split()), font, NAME_WIDTH - 20), INK, font)
    draw.rectangle((min(middle, end), top + 2, max(middle, end), top + 17), _over_white(value / largest))
    draw.line((middle, top - 2, middle, top + 21), RULE)
    number = f"{value:+.3g}"
    place = end + 6 if value >= 0 else end - 6 - font.getlength(number)
    draw.text((place, top), number, SOFT, font)


def _over_white(strength: float) -> Colour:
    """The colour of a signed strength in [-1, 1]."""
    cover = MOST_COVER * min(1.0, abs(strength))
    red, green, blue = (round(255 + cover * (ink - 255)) for ink in (FOR if strength > 0 else AGAINST))
    return red, green, blue


def _fitting(name: str, font: ImageFont.FreeTypeFont, most: int = WIDTH - 2 * MARGIN) -> str:
    """As much of a name as there is room for."""
    if font.getlength(name) <= most:
        return name
    kept = next(end for end in range(len(name), -1, -1) if font.getlength(name[:end] + "…") <= most)
    return name[:kept] + "…"


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)
