"""Attributions in a terminal: words in colours, columns with bars. Red speaks for the answer, blue against it."""

from rich.table import Table
from rich.text import Text

from client.errors import Json

FOR, AGAINST = (200, 30, 45), (40, 90, 200)
BAR_WIDTH = 24
SHOWN_FEATURES = 20


def colored_text(target: Json) -> Text:
    """The words of a text on colours as strong as they count, under what they speak for."""
    words = target["attributions"]
    largest = max(abs(word["attribution"]) for word in words) or 1.0
    line = Text.assemble((str(target["label"]), "bold"), f"  {_space(target)}\n")
    end = words[0]["start"]
    for word in words:
        line.append(" " if word["start"] > end else "")
        line.append(word["token"], _style(word["attribution"] / largest))
        end = word["end"]
    return line


def feature_table(target: Json) -> Table:
    """The columns of a row by what they add, the largest first."""
    title = "value" if target["label"] is None else str(target["label"])
    table = Table(
        header_style="dim", box=None, pad_edge=False, title=f"{title}  {_space(target)}", title_justify="left"
    )
    table.add_column("column")
    table.add_column("value")
    table.add_column("attribution", justify="right")
    table.add_column("")
    found = sorted(target["attributions"], key=lambda one: -abs(one["attribution"]))
    largest = abs(found[0]["attribution"]) or 1.0
    for one in found[:SHOWN_FEATURES]:
        share = one["attribution"]
        table.add_row(one["feature"], _cell(one["value"]), f"{share:+.4g}", _bar(share / largest))
    rest = found[SHOWN_FEATURES:]
    if rest:
        table.add_row(f"{len(rest)} others", "", f"{sum(one['attribution'] for one in rest):+.4g}", "", style="dim")
    return table


def summary_table(summary: list[Json]) -> Table:
    """The columns by how much they matter over all rows, the largest first."""
    measure = "importance" if "importance" in summary[0] else "mean_absolute_attribution"
    table = Table(header_style="dim", box=None, pad_edge=False)
    table.add_column("column")
    table.add_column(measure.replace("_", " "), justify="right")
    table.add_column("")
    largest = max(abs(entry[measure]) for entry in summary) or 1.0
    for entry in summary[:SHOWN_FEATURES]:
        table.add_row(entry["feature"], f"{entry[measure]:.4g}", _bar(entry[measure] / largest))
    return table


def _space(target: Json) -> str:
    base = "" if target["base_value"] is None else f", from {target['base_value']:.4g}"
    return f"{target['space'].replace('_', ' ')} {target['output_value']:.4g}{base}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _bar(share: float) -> Text:
    red, green, blue = FOR if share > 0 else AGAINST
    return Text("█" * round(BAR_WIDTH * abs(share)), f"rgb({red},{green},{blue})")


def _style(share: float) -> str:
    ink = FOR if share > 0 else AGAINST
    mixed = (round(255 + (part - 255) * min(1.0, abs(share)) * 0.75) for part in ink)
    return f"black on rgb({','.join(map(str, mixed))})"
