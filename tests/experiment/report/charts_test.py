"""Charts: well-formed SVG that shows its numbers, in the page's colours."""

import math
import re
from xml.etree import ElementTree

import pytest

from labor_jax.experiment.report import charts
from labor_jax.experiment.report.charts import Level, Line

MINUS = "\N{MINUS SIGN}"
HOSTILE = 'a <b> & "c" $x_1$ \\frac{'


def svg_of(chart):
    """The chart's only SVG, parsed: it is well-formed once its links have their namespace."""
    (text,) = re.findall(r"<svg.*</svg>", chart, flags=re.DOTALL)
    return ElementTree.fromstring(
        text.replace("<svg", '<svg xmlns:xlink="http://www.w3.org/1999/xlink"', 1)
    )


def texts(chart):
    return [each.text for each in svg_of(chart).iter("text")]


def every_kind(title, name):
    return [
        charts.line_chart(
            title,
            [Line(name, [0, 1], [0.1, 0.2]), Line("b", [0, 1], [0.2, None], spread=[0.1, None])],
            x_label=name,
            y_label=name,
            levels=[Level(name, 0.3)],
            boundaries=[(0.5, name)],
            percent=True,
        ),
        charts.bar_chart(title, [name, "z"], {name: [0.5, None], "b": [0.1, 0.2]}, percent=True),
        charts.matrix_chart(
            title, [[1, 0], [0.25, 0.75]], [name, "z"], [name, "z"], row_label="r", column_label="c"
        ),
    ]


@pytest.mark.parametrize("kind", range(3))
def test_names_come_out_as_they_went_in(kind):
    chart = every_kind(HOSTILE, HOSTILE[:14])[kind]
    assert HOSTILE[:14] in texts(chart)
    assert "<b>" not in chart and "&lt;b&gt;" in chart


@pytest.mark.parametrize("kind", range(3))
def test_colours_are_the_pages_and_nothing_is_outside(kind):
    chart = every_kind("t", "n")[kind]
    assert "var(--series-1)" in chart or "var(--accent)" in chart
    assert not re.search(r"#[0-9a-f]{6}\b(?=[;\"])", chart)
    assert "http" not in chart and "font-family" not in chart


def test_two_charts_share_no_id():
    """Inline SVGs share the page's ids, so one chart would clip the other."""
    ids = [
        set(re.findall(r' id="([^"]*)"', chart))
        for title in ("one", "two")
        for chart in [every_kind(title, "n")[0]]
    ]
    assert ids[0] and not ids[0] & ids[1]


def test_a_chart_is_the_same_each_time():
    assert every_kind("t", "n") == every_kind("t", "n")


def test_levels_and_boundaries_are_named():
    chart = charts.line_chart(
        "t",
        [Line("ppl", [0, 1], [0.2, 0.4])],
        x_label="hours",
        levels=[Level("source only", 0.1), Level("supervised", 0.5)],
        boundaries=[(0.5, "round 2")],
    )
    assert {"hours", "source only", "supervised", "round 2"} <= set(texts(chart))
    assert "legend" not in chart  # of a single line the title says it all


def test_a_gap_stays_a_gap():
    chart = charts.line_chart(
        "t", [Line("a", [0, 1, 2, 3, 4], [0.2, 0.3, math.nan, 0.5, 0.6])], x_label="x"
    )
    line = next(
        each.get("d")
        for each in svg_of(chart).iter("path")
        if "stroke: var(--series-1)" in (each.get("style") or "") and each.get("clip-path")
    )
    assert line.count("M") == 2


def test_a_position_without_neighbours_is_marked_all_the_same():
    def marks(*values):
        line = Line("a", range(len(values)), values, points=False)
        return charts.line_chart("t", [line], x_label="x").count("fill: var(--series-1)")

    assert marks(0.1, 0.2, 0.3) == 0
    assert marks(0.1, None, 0.2, 0.3) > 0 and marks(0.1) > 0


def test_without_numbers_there_is_a_sentence():
    for chart in (
        charts.line_chart("t", [Line("a", [0], [None])], x_label="x"),
        charts.line_chart("t", [], x_label="x"),
        charts.bar_chart("t", [], {"a": []}),
        charts.bar_chart("t", ["a"], {"a": [None]}),
        charts.matrix_chart("t", [[math.nan]], ["a"], ["a"], row_label="r", column_label="c"),
    ):
        assert "Nothing was measured." in chart and "<svg" not in chart


def test_a_matrix_writes_whole_percents():
    chart = charts.matrix_chart(
        "t",
        [[0.996, 0.004], [0.25, 0.75]],
        ["a", "b"],
        ["a", "b"],
        row_label="r",
        column_label="c",
    )
    assert {"100", "25", "75"} <= set(texts(chart)) and "0" not in texts(chart)


def test_more_series_than_colours_repeat_them_with_dashes():
    count = 3 * charts.SERIES
    lines = [Line(str(number), [0, 1], [number, number]) for number in range(count)]
    chart = charts.line_chart("t", lines, x_label="x")
    keys = re.findall(r'<i style="background:([^"]*)">', chart)
    assert len(set(keys)) == count and keys[0] == "var(--series-1)"
    assert keys[charts.SERIES] == (
        "repeating-linear-gradient(90deg, var(--series-1) 0px 5px, transparent 5px 7px)"
    )
    drawn = {
        each.get("style")
        for each in svg_of(chart).iter("path")
        if "stroke: var(--series-1)" in (each.get("style") or "") and each.get("clip-path")
    }
    assert len(drawn) == 3 and sum("stroke-dasharray" in style for style in drawn) == 2


@pytest.mark.parametrize(
    ("values", "shown", "not_shown"),
    [
        ([-0.2, -0.3], {"0.0", f"{MINUS}0.3"}, {"0.1"}),
        ([0.2, 0.3], {"0.0", "0.3"}, {f"{MINUS}0.1"}),
        ([-0.2, 0.2], {f"{MINUS}0.2", "0.0", "0.2"}, set()),
    ],
)
def test_an_axis_from_zero_goes_below_it_for_negative_values(values, shown, not_shown):
    chart = charts.line_chart("t", [Line("a", [0, 1], values)], x_label="x", from_zero=True)
    assert shown <= set(texts(chart)) and not not_shown & set(texts(chart))
