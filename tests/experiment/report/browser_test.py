"""The report in a real browser: on a phone and a desktop, light and dark.

The pictures of docs/report.md are taken by this file: after `labor-jax run spl
--config.schedule=short`, run it with `LABOR_SCREENSHOTS=docs` and
`LABOR_REPORT=$PWD/runs/spl_short_street_seed0/report.html`.
"""

import base64
import io
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from labor_jax.experiment import report
from labor_jax.experiment.report import comparison_page
from tests.annotation.labelling_tool.browser import chromium, set_size
from tests.finished_runs import UNASKED, answered_store, write_run
from tests.slow import all_but

FORMS = [
    (width, scheme) for width in (1280, 390) for scheme in ("light", "dark")
]  # CSS pixels, and what the reader's system prefers
FAST = [(1280, "light"), (390, "dark")]

HEIGHTS = {1280: 2300, 390: 1500}  # of the pictures

WIDTH = "return document.documentElement.scrollWidth"

# The contrast of each text with what is behind it, the least with its text.
LEAST_CONTRAST = """
const parse = (colour) => (colour.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
const over = (top, below) => {
  const alpha = top.length > 3 ? top[3] : 1;
  return [0, 1, 2].map((i) => alpha * top[i] + (1 - alpha) * below[i]);
};
const luminance = (colour) => {
  const [r, g, b] = colour.map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  const behind = [];
  for (let each = element; each; each = each.parentElement) {
    behind.unshift(parse(getComputedStyle(each).backgroundColor));
  }
  return behind.reduce((below, top) => over(top, below), [255, 255, 255]);
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let least = [99, ""];
while (walker.nextNode()) {
  const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
  if (!text || element.closest("script, style, details:not([open])")) continue;
  const style = getComputedStyle(element);
  const colour = parse(element.closest("svg") ? style.fill : style.color);
  const pair = [luminance(over(colour, ground(element))), luminance(ground(element))];
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  if (ratio < least[0]) least = [ratio, text];
}
return least;
"""


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as chrome:
        yield chrome


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return tmp_path_factory.mktemp("report") / "report.html"


@pytest.fixture
def address(folder, pair, store, finished, written):
    """Where the report lies: of a small run, or of the one that the pictures are taken of."""
    if not written.exists():
        report.write_report(folder, finished, pair, store, output=written)
    return f"file://{os.environ.get('LABOR_REPORT', written)}"


def show(chrome, address, width, scheme):
    set_size(chrome, width, 900)
    chrome.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    chrome.get(address)


def picture(chrome, width, height):
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    options = {"captureBeyondViewport": True, "clip": clip}
    data = chrome.execute_cdp_cmd("Page.captureScreenshot", options)["data"]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


@pytest.mark.parametrize(("width", "scheme"), all_but(FAST, FORMS))
def test_the_page_fits_and_can_be_read(chrome, address, tmp_path, width, scheme):
    show(chrome, address, width, scheme)
    assert chrome.execute_script(WIDTH) == width
    contrast, text = chrome.execute_script(LEAST_CONTRAST)
    assert contrast >= 4.5, text
    shot = picture(chrome, width, HEIGHTS[width])
    dark = shot.convert("L").resize((1, 1)).getpixel((0, 0)) < 128
    assert dark == (scheme == "dark")
    output = pathlib.Path(os.environ.get("LABOR_SCREENSHOTS", tmp_path))
    shot.save(output / f"report-{width}-{scheme}.webp", quality=70)


def test_nothing_is_asked_of_the_network_and_no_script_fails(chrome, address):
    chrome.get_log("browser")
    show(chrome, address, 1280, "light")
    loaded = chrome.execute_script(
        "return performance.getEntriesByType('resource').map((each) => each.name)"
    )
    assert [each for each in loaded if not each.startswith("data:")] == []
    assert chrome.get_log("browser") == []


def test_a_click_sorts_the_classes_and_enlarges_a_picture(chrome, address):
    show(chrome, address, 1280, "light")
    column = "return [...document.querySelectorAll('.sortable tbody tr')].map((row) => row.cells"
    change = chrome.find_element("xpath", "//th//button[text()='answers']")
    for descending in (True, False):
        change.click()
        shown = chrome.execute_script(f"{column}[row.cells.length - 1].textContent)")
        counts = [int(each.replace(",", "")) for each in shown]
        assert counts == sorted(counts, reverse=descending) and len(set(counts)) > 1
    panel = chrome.find_element("css selector", ".gallery .panel")
    before = panel.rect["width"]
    panel.find_element("tag name", "button").click()
    assert panel.rect["width"] > 2 * before
    assert chrome.execute_script(WIDTH) == 1280


def test_print_is_light_and_unfolded(chrome, address):
    show(chrome, address, 1280, "dark")
    chrome.execute_script("dispatchEvent(new Event('beforeprint'))")
    options = {"media": "print"}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", options)
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert chrome.execute_script(ground) == "rgb(255, 255, 255)"
    assert not chrome.find_elements("css selector", "details:not([open])")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """The page that compares runs of four settings with long names, each with answers."""
    folder = tmp_path_factory.mktemp("comparison")
    runs = []
    for radius in range(4):
        fields = {"method": f"a_method_with_a_long_name_{radius}", "acquisition__radius": radius}
        runs.append(write_run(folder / str(radius), miou=0.4 + radius / 20, **fields))
        labels = np.full((4, 18, 32), UNASKED, np.uint8)
        labels[:, radius::5, ::7] = radius % 3
        answered_store(runs[-1] / "labels.sqlite", [labels]).close()
    return f"file://{comparison_page.write(runs, folder / 'comparison.html').page}"


@pytest.mark.parametrize(("width", "scheme"), all_but(FAST, FORMS))
def test_a_comparison_fits_and_can_be_read(chrome, comparison, width, scheme):
    show(chrome, comparison, width, scheme)
    chrome.execute_script(
        "document.querySelectorAll('details').forEach((each) => each.open = true)"
    )
    assert chrome.execute_script(WIDTH) == width
    contrast, text = chrome.execute_script(LEAST_CONTRAST)
    assert contrast >= 4.5, text
    assert chrome.get_log("browser") == []
