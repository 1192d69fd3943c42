"""A text with its attributions as a web page of its own: red words speak for the class, blue ones against it."""

import math
from collections.abc import Iterator
from html import escape

from worker.explaining.rendering import AGAINST, FOR
from worker.explaining.results import ItemExplanation, TargetExplanation

MOST_COVER = 0.6
"""Opacity of the strongest word's colour; black letters stay readable on it."""

_STYLE = """
body { font: 16px/1.9 system-ui, sans-serif; color: #111; background: #fff; max-width: 50em; margin: 2em auto;
       padding: 0 1em; color-scheme: light; }
h2 { font-size: 1.1em; margin: 1.5em 0 0.2em; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #ddd; border-radius: 6px;
        padding: 0.6em 1em; }
.text span { border-radius: 3px; padding: 0.15em 0; }
.unread { color: #999; }
.facts, .legend { color: #555; font-size: 0.85em; line-height: 1.5; }
.scale { display: inline-block; width: 12em; height: 0.8em; border-radius: 3px; vertical-align: middle;
         margin: 0 0.5em; }
"""


def text_html(text: str, item: ItemExplanation) -> str:
    """One explained text as a self-contained page: nothing is loaded, nothing runs, and the text stays text.

    Each target has its own part: the words in colours, relative to the strongest one, with their numbers on hover, and
    a legend. What the network did not read is grey.

    Args:
        text: as the user sent it.
        item: what `explain_texts` found of it.
    """
    parts = "\n".join(_section(text, item, target) for target in item.targets)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>Explanation</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{parts}\n</body>\n</html>\n"
    )


def pieces(text: str, target: TargetExplanation) -> Iterator[tuple[str, float | None]]:
    """The text in order, cut into words with their attributions and what lies between them, up to the last word."""
    done = 0
    for word in target.attributions:
        if word["start"] > done:
            yield text[done : word["start"]], None
        yield text[word["start"] : word["end"]], finite(word["attribution"])
        done = word["end"]


def strongest(target: TargetExplanation) -> float:
    """The largest absolute attribution; 1 where all are 0."""
    return max((abs(finite(word["attribution"])) for word in target.attributions), default=0.0) or 1.0


def finite(value: float) -> float:
    """0 for what is no number."""
    return value if math.isfinite(value) else 0.0


def facts(target: TargetExplanation) -> str:
    """The numbers that belong to a target, in a line."""
    space = target.space.replace("_", "-")
    parts = [f"{space} {target.output_value:.4g}"]
    if target.base_value is not None:
        parts.append(f"{target.base_value:.4g} with every word hidden")
    if target.fit is not None:
        parts.append(f"R² of the surrogate {target.fit['r2']:.3f}")
    return " · ".join(parts)


def _section(text: str, item: ItemExplanation, target: TargetExplanation) -> str:
    largest = strongest(target)
    words = "".join(_piece(piece, value, largest) for piece, value in pieces(text, target))
    end = max((word["end"] for word in target.attributions), default=0)
    rest = text[end:]
    if rest:
        words += f'<span class="unread">{escape(rest)}</span>' if item.truncated else escape(rest)
    unread = " Grey words lie behind the end of what the network reads." if item.truncated else ""
    return (
        f"<section>\n<h2>{escape(str(target.label))}</h2>\n"
        f'<p class="facts">{escape(facts(target))}</p>\n<p class="text" dir="auto">{words}</p>\n'
        f'<p class="legend">against {-largest:+.3g}<span class="scale" style="background: linear-gradient(to right, '
        f'{_colour(AGAINST, 1)}, {_colour(AGAINST, 0)} 50%, {_colour(FOR, 0)} 50%, {_colour(FOR, 1)})"></span>'
        f"{largest:+.3g} for this class.{unread}</p>\n</section>"
    )


def _piece(piece: str, value: float | None, largest: float) -> str:
    if value is None:
        return escape(piece)
    colour = _colour(FOR if value > 0 else AGAINST, abs(value) / largest)
    return f'<span title="{value:+.4g}" style="background: {colour}">{escape(piece)}</span>'


def _colour(ink: tuple[int, int, int], strength: float) -> str:
    red, green, blue = ink
    return f"rgba({red}, {green}, {blue}, {MOST_COVER * strength:.3f})"
