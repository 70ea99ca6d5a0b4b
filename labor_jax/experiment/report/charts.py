"""Charts as HTML: numbers in, a figure with an inline SVG out.

matplotlib draws them. It knows no CSS variables, so it draws with stand-in colours that are then
replaced: a page's light, dark and printed forms share one SVG. Text stays text, in the page's font,
and a chart is as wide as a phone, so that its text is never scaled below what can be read.
"""

import io
import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends import backend_svg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from labor_jax.experiment.report.page import Html, escaped, joined

SERIES = 8
"""How many colours there are for lines and bars; more series repeat them, lines with dashes."""

_WIDTH, _HEIGHT = 380, 250  # CSS pixels
_FONT = 11
_BOTTOM = 40  # for numbers and name of the axis
_VARIABLES = ("ink", "muted", "rule", "accent", *(f"series-{i + 1}" for i in range(SERIES)))
_STAND_INS = {name: f"#fe01{number:02x}" for number, name in enumerate(_VARIABLES)}
_MARKERS = "os^Dv<>p"
_DASHES = ((), (5, 2), (2, 2), (7, 2, 2, 2))  # lengths on and off; () is solid


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
      name: in the legend.
      x: positions.
      y: values; None or NaN leaves a gap.
      spread: half the height of a band around the line, at each position; None for no band.
      points: whether to mark each position; one without neighbours always is, to be seen.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    spread: Sequence[float | None] | None = None
    points: bool = True


class Level(NamedTuple):
    """A horizontal line with its name on it."""

    name: str
    value: float


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str = "",
    levels: Sequence[Level] = (),
    boundaries: Sequence[tuple[float, str]] = (),
    percent: bool = False,
    from_zero: bool = False,
    format_x: Callable[[float], str] | None = None,
    x_range: tuple[float, float] | None = None,
) -> Html:
    """Lines over an axis.

    Args:
      title: above the chart.
      lines: what to draw; without a finite value the chart says that there is nothing to show.
      x_label: below the axis.
      y_label: beside it.
      levels: horizontal lines.
      boundaries: positions of vertical lines, and what begins there ("" for no words).
      percent: whether values are shares that are shown as percentages.
      from_zero: whether the value axis starts at 0, or holds it if values are negative.
      format_x: how positions are written; None for plain numbers.
      x_range: the first and the last position that is shown; None for those of the lines.
    """
    values = [_floats(line.y) for line in lines]
    if not any(np.isfinite(each).any() for each in values):
        return _nothing(title)
    factor = 100 if percent else 1
    with mpl.rc_context(_style(title)):
        figure, axes = _figure(_WIDTH, _HEIGHT, left=62 if y_label else 48, bottom=_BOTTOM)
        for number, (line, y) in enumerate(zip(lines, values, strict=True)):
            colour, x = _series(number), np.asarray(line.x, float)
            marker = _MARKERS[number % len(_MARKERS)]
            marked = slice(None) if line.points else _isolated(y)
            dashes = _dashes(number)
            style = (0, dashes) if dashes else "solid"
            axes.plot(x, factor * y, color=colour, linewidth=1.8, linestyle=style)
            axes.plot(x[marked], factor * y[marked], marker, color=colour, markersize=5)
            if line.spread is not None:
                band = _floats(line.spread)
                low, high = factor * (y - band), factor * (y + band)
                axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        # Of two that are close, the lower one's name stands below it and the other's above.
        for number, level in enumerate(sorted(levels, key=lambda level: level.value)):
            _draw_level(axes, factor * level.value, level.name, number)
        axes.margins(x=0.04, y=0.1)
        if x_range:
            axes.set_xlim(*x_range)
        if boundaries:
            axes.grid(False, axis="x")  # else its lines look like boundaries
        _draw_boundaries(axes, boundaries)
        if from_zero:
            low, high = axes.get_ylim()
            negative = any((each < 0).any() for each in values)
            axes.set_ylim(low if negative else 0, max(high, 0))
        write = format_x or _plain
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        if percent:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        svg = _svg(figure, title)
    names = [line.name for line in lines] if len(lines) > 1 else []
    return _framed(title, svg, names)


def bar_chart(
    title: str,
    names: Sequence[str],
    series: dict[str, Sequence[float | None]],
    *,
    x_label: str = "",
    percent: bool = False,
    spreads: dict[str, Sequence[float | None]] | None = None,
) -> Html:
    """Horizontal bars, a group for each name; a missing value has none.

    Args:
      title: above the chart.
      names: of the groups, from top to bottom.
      series: values by the series' name.
      x_label: below the axis.
      percent: whether values are shares that are shown as percentages.
      spreads: half the lengths of error bars, by the series' name.
    """
    values = {name: _floats(each) for name, each in series.items()}
    if not names or not any(np.isfinite(each).any() for each in values.values()):
        return _nothing(title)
    factor, thickness = 100 if percent else 1, 0.8 / len(values)
    with mpl.rc_context(_style(title)):
        height = 8 + _BOTTOM + len(names) * (10 + 8 * len(values))
        figure, axes = _figure(_WIDTH, height, left=_label_width(names), bottom=_BOTTOM)
        for number, (name, lengths) in enumerate(values.items()):
            error = None if not spreads else factor * _floats(spreads[name])
            axes.barh(
                np.arange(len(names)) + (number - (len(values) - 1) / 2) * thickness,
                factor * np.nan_to_num(lengths),
                thickness,
                color=_series(number),
                xerr=error,
                error_kw={"ecolor": _STAND_INS["ink"], "elinewidth": 1},
            )
        axes.set_yticks(np.arange(len(names)), [_shortened(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.axvline(0, color=_STAND_INS["muted"], linewidth=1)
        axes.grid(False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        if percent:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))
        axes.set_xlabel(x_label)
        svg = _svg(figure, title)
    return _framed(title, svg, list(values) if len(values) > 1 else [])


def matrix_chart(
    title: str,
    values: Sequence[Sequence[float]],
    row_names: Sequence[str],
    column_names: Sequence[str],
    *,
    row_label: str,
    column_label: str,
) -> Html:
    """A matrix of shares: the larger a cell's share, the stronger its colour.

    Args:
      title: above the chart.
      values: `[rows, columns]`, 0 to 1; NaN leaves a cell empty.
      row_names: from top to bottom.
      column_names: from left to right.
      row_label: what the rows are.
      column_label: what the columns are.
    """
    shares = np.asarray(values, float)
    if not np.isfinite(shares).any():
        return _nothing(title)
    rows, columns = shares.shape
    cell = 18  # pixels
    with mpl.rc_context(_style(title)):
        left, bottom = 16 + _label_width(row_names), 16 + _label_width(column_names)
        size = (left + cell * columns + 22, bottom + cell * rows + 8)
        figure, axes = _figure(*size, left=left, bottom=bottom)
        for row, column in np.argwhere(np.isfinite(shares)):
            share = float(shares[row, column])
            corner = (column - 0.5, row - 0.5)
            if share >= 0.005:
                square = Rectangle(corner, 1, 1, color=_STAND_INS["accent"], alpha=share, lw=0)
                axes.add_patch(square)
                axes.text(
                    column,
                    row,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=_STAND_INS["ink"],
                )
        axes.set_xlim(-0.5, columns - 0.5)
        axes.set_ylim(rows - 0.5, -0.5)
        axes.set_xticks(range(columns), [_shortened(name) for name in column_names], rotation=90)
        axes.set_yticks(range(rows), [_shortened(name) for name in row_names])
        axes.set_xlabel(column_label)
        axes.set_ylabel(row_label)
        axes.grid(False)
        svg = _svg(figure, title)
    return _framed(title, svg, [], wide=True)


def _style(title: str) -> dict[str, Any]:
    """matplotlib's settings; with the title as salt, no two charts of a page share an id."""
    ink, muted, rule = (_STAND_INS[name] for name in ("ink", "muted", "rule"))
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "text.parse_math": False,
        "font.size": _FONT,
        "text.color": ink,
        "axes.edgecolor": muted,
        "axes.labelcolor": ink,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.unicode_minus": True,
        "grid.color": rule,
        "grid.linewidth": 0.8,
        "xtick.color": muted,
        "ytick.color": muted,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
    }


def _figure(width: float, height: float, *, left: float, bottom: float) -> tuple[Figure, Any]:
    """A figure and its axes, with so many pixels for labels. Finding them takes most of the time
    of a chart, so they are told: see `_label_width`."""
    figure = Figure(figsize=(width / 72, height / 72))  # 72 an inch, so a point is a pixel
    figure.patch.set_visible(False)
    right, top = 22, 8
    shares = (left / width, bottom / height, (width - left - right) / width)
    return figure, figure.add_axes((*shares, (height - bottom - top) / height))


def _label_width(names: Sequence[str]) -> float:
    """About how many pixels the longest of some shortened names takes."""
    return 16 + 0.56 * _FONT * max(len(_shortened(name)) for name in names)


def _draw_level(axes: Any, value: float, name: str, number: int) -> None:
    """The lowest two are named at the right, the others at the left: curves mostly rise."""
    above, right = number % 2 == 1, number < 2
    axes.axhline(value, color=_STAND_INS["muted"], linewidth=1.2, linestyle=(0, (5, 3)))
    axes.annotate(
        name,
        (1 if right else 0, value),
        xytext=(-2 if right else 4, 2 if above else -2),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        color=_STAND_INS["muted"],
        fontsize=9,
        ha="right" if right else "left",
        va="bottom" if above else "top",
    )


def _draw_boundaries(axes: Any, boundaries: Sequence[tuple[float, str]]) -> None:
    """Vertical lines with their words, but for words that would run into those before."""
    first, last = axes.get_xlim()
    free_from = -math.inf
    for position, words in boundaries:
        axes.axvline(position, color=_STAND_INS["rule"], linewidth=1)
        if words and position >= free_from:
            axes.annotate(
                words,
                (position, 1),
                xytext=(3, -3),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                color=_STAND_INS["muted"],
                fontsize=9,
                va="top",
            )
            free_from = position + (last - first) * (5.5 * len(words) + 6) / _WIDTH


_FONT_FAMILY = re.compile(r" *font-family: [^;\"]*;")
_GROUP_ID = re.compile(r'<g id="[^"]*">')


def _svg(figure: Figure, title: str) -> Html:
    """The figure's SVG element, to stand in a page."""
    buffer = io.StringIO()
    backend_svg.FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = re.sub(r' (xmlns(:xlink)?|version)="[^"]*"', "", text)
    text = _GROUP_ID.sub("<g>", text)
    text = _FONT_FAMILY.sub("", text)
    for name, stand_in in _STAND_INS.items():
        text = text.replace(stand_in, f"var(--{name})")
    width, height = (float(each) for each in figure.get_size_inches() * 72)
    size = f'width="{width:.0f}" height="{height:.0f}"'
    text = re.sub(
        r'width="[\d.]+pt" height="[\d.]+pt"|height="[\d.]+pt" width="[\d.]+pt"', "", text
    )
    return Html(text.replace("<svg", f'<svg {size} role="img" aria-label="{escaped(title)}"', 1))


def _framed(title: str, svg: Html, legend: Sequence[str], *, wide: bool = False) -> Html:
    entries = joined(
        f'<li><i style="background:{_legend_mark(number)}"></i>{escaped(name)}</li>'
        for number, name in enumerate(legend)
    )
    keys = f'<ul class="legend">{entries}</ul>' if legend else ""
    kind = "chart wide" if wide else "chart"
    return Html(
        f'<figure class="{kind}"><figcaption>{escaped(title)}</figcaption>'
        f'<div class="scroll">{svg}</div>{keys}</figure>'
    )


def _nothing(title: str) -> Html:
    return Html(
        f'<figure class="chart"><figcaption>{escaped(title)}</figcaption>'
        '<p class="muted">Nothing was measured.</p></figure>'
    )


def _isolated(values: np.ndarray) -> np.ndarray:
    """Which values have a gap on both sides, bool[N]."""
    known = np.isfinite(values)
    beside = np.pad(known, 1)
    return known & ~beside[:-2] & ~beside[2:]


def _plain(value: float) -> str:
    """A position as it is read: "20,000", "0.5"."""
    return f"{value:,.10g}"


def _series(number: int) -> str:
    return _STAND_INS[f"series-{number % SERIES + 1}"]


def _dashes(number: int) -> tuple[int, ...]:
    return _DASHES[number // SERIES % len(_DASHES)]


def _legend_mark(number: int) -> str:
    """The CSS background of a series in a legend, dashed as its line."""
    colour = f"var(--series-{number % SERIES + 1})"
    dashes = _dashes(number)
    if not dashes:
        return colour
    ends = list(itertools.accumulate(dashes, initial=0))
    stops = ", ".join(
        f"{'transparent' if place % 2 else colour} {start}px {end}px"
        for place, (start, end) in enumerate(itertools.pairwise(ends))
    )
    return f"repeating-linear-gradient(90deg, {stops})"


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def _shortened(name: str, length: int = 18) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
