"""Pieces of HTML: escaped, well nested, and complete in themselves."""

from labor_jax.experiment.report import page
from tests.experiment.report.pages import Page

HOSTILE = '<script>alert("x")</script>'


def test_whatever_enters_is_escaped_once():
    body = page.section(
        HOSTILE,
        page.paragraph(HOSTILE),
        page.items([HOSTILE]),
        page.tiles([page.Tile(HOSTILE, HOSTILE, HOSTILE)]),
        page.table([HOSTILE, "n"], [(HOSTILE, page.Cell(HOSTILE, 1.0))], sortable=True),
        page.folded(HOSTILE, HOSTILE, page.heading(HOSTILE)),
        page.swatch((0, 128, 255), HOSTILE),
        lead=HOSTILE,
    )
    text = page.page(HOSTILE, [body])
    found = Page(text)
    assert len(found.named("script")) == 1  # the page's own
    assert sum(text.strip() == HOSTILE for text in found.texts) == 16
    assert "&amp;lt;" not in text


def test_what_is_typed_is_code():
    assert page.with_code("`a <b>`, `c`; it`s") == "<code>a &lt;b&gt;</code>, <code>c</code>; it`s"
    flags = page.with_code("`report --a=1 --b`")
    assert flags == "<code>report <span>--a=1</span> <span>--b</span></code>"


def test_a_page_refers_to_nothing_outside():
    text = page.page("t", [page.paragraph("p")])
    assert "http" not in text and "//" not in text and "@import" not in text
    assert 'name="viewport"' in text and text.startswith("<!doctype html>")


def test_what_is_empty_is_left_out():
    assert page.section("t", "", page.items([]), lead="words") == ""
    assert page.side_by_side(["", ""]) == ""


def test_cells_sort_by_their_keys():
    text = page.table(["class", "IoU"], [("road", page.Cell("9%", 0.09)), ("car", "-")])
    assert '<td class="number" data-key="0.09">9%</td>' in text
    assert "<button" not in text
    assert 'data-key=""' in page.table(["IoU"], [(page.Cell("-", None),)])


def test_bars_stay_within_their_cell():
    assert "width:50.0%" in page.bar(0.5)
    assert "width:100.0%" in page.bar(1.5) and "width:0.0%" in page.bar(-1)
    assert "left:25.0%" in page.bar(0.5, 0.25) and "left" not in page.bar(0.5)
