"""The labelling page in a real browser: what it does with keys, mouse, fingers and a lost server.

With `LABOR_SCREENSHOT=docs/annotate.png`, `python -m pytest -k picture` on this file takes README's
picture.
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from labor_jax.annotation import LabelStore
from labor_jax.data import load_pair, street
from labor_jax.experiment.workdir import Workdir
from tests.annotation.labelling_tool import browser
from tests.tiny import tiny_config

_SHAPE = (32, 64)
_ROAD, _SKY, _CAR = (street.CLASSES.index(name) for name in ("road", "sky", "car"))

# Rows and columns of the questions: a segment, a pixel of its own, and another segment.
_QUESTIONS = (
    (slice(4, 9), slice(6, 14)),
    (slice(12, 13), slice(40, 41)),
    (slice(22, 25), slice(50, 55)),
)
_PIXELS = 5 * 8 + 1 + 3 * 5

_CYRILLIC_H = "\N{CYRILLIC SMALL LETTER ER}"  # what a Russian keyboard has at the place of H


def _query():
    query = np.zeros(_SHAPE, bool)
    for question in _QUESTIONS:
        query[question] = True
    return query


def _workdir(path, queries, *, shape=_SHAPE, guesses=None, parts=None, kind="full", **settings):
    """The folder of a run that has asked `queries` of its pool and waits for people.

    The segments of a mask follow the images' edges; those of a full label are as asked.
    """
    config = tiny_config("spl")
    config.data.update(image_size=shape, pool_count=len(queries))
    config.annotation.update(settings)
    Workdir.open(path, config).close()
    names = load_pair(config.pair, config.data).pool.names
    guesses = guesses or [None] * len(queries)
    with LabelStore(path / "labels.sqlite", classes=street.CLASSES) as store:
        store.open_round(1, names)
        parts = parts or [None] * len(queries)
        items = zip(names, queries, [None] * len(queries), guesses, parts, strict=True)
        store.ask_many(1, items, kind=kind)
    return path


def _answers(workdir, image):
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return store.labels(image)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    # A folder's name is shown, so it must be safe to show.
    path = tmp_path_factory.mktemp("runs") / '<b id="x">"it\'s"&amp;'
    # On a slow machine, a lease of two minutes ends before the tests do, and a later one would get
    # the half labelled item of an earlier one.
    return _workdir(path, [_query()] * 60, lease_seconds=1e7)


@pytest.fixture(scope="module")
def address(workdir):
    with browser.labelling_tool(workdir) as address:
        yield address


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser.chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture
def page(chromium, address, request):
    """An item of an annotator's own, opened by somebody who has never been here."""
    page = _visit(chromium, address, annotator=request.node.name)
    yield page
    assert page.errors() == []
    # Otherwise the next test's page would ask whether to leave this one.
    page.wait(lambda: page.chrome.execute_script("return Object.keys(localStorage)").__len__() <= 1)


def _visit(chromium, address, annotator):
    origin = {"origin": address.rstrip("/"), "storageTypes": "all"}
    chromium.execute_cdp_cmd("Storage.clearDataForOrigin", origin)
    chromium.get("about:blank")
    chromium.get_log("browser")  # what an earlier page says of its server, which is gone
    return browser.Page(chromium, address, annotator)


def _whole(page):
    page.element("whole").click()
    return page.still()


def test_one_press_a_question(page, workdir):
    item = page.state()["item"]
    page.press(browser.key_of(_SKY))
    assert page.state()["status"].startswith("Segment 2 of 3 · open · 1 pixel · column 40, row 12")
    page.press("0", browser.key_of(_CAR))
    state = page.state()
    assert state["submit"] and state["status"].startswith("All labelled: Enter submits")
    page.press(page.keys.ENTER)
    assert page.wait_for_item(other_than=item)
    expected = np.full(_SHAPE, 255, np.uint8)
    expected[_QUESTIONS[0]], expected[_QUESTIONS[2]] = _SKY, _CAR
    np.testing.assert_array_equal(_answers(workdir, _image(item)), expected)


def test_enter_goes_to_what_is_open_and_submits_nothing_before(page):
    item = page.state()["item"]
    page.press(browser.key_of(_ROAD), page.keys.ARROW_LEFT, page.keys.ENTER)
    state = page.state()
    assert state["item"] == item and not state["submit"]
    assert state["status"].startswith("Segment 2 of 3 · open")


def test_nothing_outside_of_the_asked_pixels_is_painted(page, workdir):
    item = page.state()["item"]
    view = _whole(page)
    before = _colours(page, view)
    page.choose(_CAR)
    page.click(20, 20, view)
    assert not page.state()["undo"]
    page.press(*"]" * 40)
    page.drag(*[(column, row) for row in range(2, 32, 6) for column in (1, 62)], view=view)
    state = page.state()
    assert state["submit"] and not state["warning"]
    page.mouse("mouseMoved", 1, 1)
    page.state()
    changed = (_colours(page, view) != before).any(-1)
    far = ~ndimage.binary_dilation(_query(), iterations=4)
    assert changed[_query()].mean() > 0.9 and not changed[far].any()
    page.element("submit").click()
    assert page.wait_for_item(other_than=item)
    np.testing.assert_array_equal(_answers(workdir, _image(item)) == _CAR, _query())


def test_a_part_is_painted_and_a_key_labels_the_rest(page, workdir):
    item = page.state()["item"]
    view = _whole(page)
    page.choose(_CAR)
    page.press(*"[" * 5)
    page.drag((6, 5), (9, 5), (9, 7), view=view)
    page.choose(_ROAD)
    page.click(12, 5, view)
    assert page.state()["status"].startswith("Segment 2")
    page.press(browser.key_of(_SKY), browser.key_of(_SKY), page.keys.ENTER)
    assert page.wait_for_item(other_than=item)
    expected = np.where(_query(), _SKY, 255)
    expected[_QUESTIONS[0]] = _ROAD
    expected[5, 6:10] = expected[5:8, 9] = _CAR
    np.testing.assert_array_equal(_answers(workdir, _image(item)), expected)


def test_undo_and_redo_also_of_what_was_done_before_a_reload(page, address):
    item = page.state()["item"]
    page.press(browser.key_of(_SKY), browser.key_of(_CAR))
    page.press("u")
    assert "Segment 2 of 3 · open" in page.state()["status"]
    page.press("U")
    page.press(page.keys.CONTROL + "z" + page.keys.NULL)
    page.wait(lambda: _saved(page))
    page.chrome.refresh()
    assert page.wait_for_item() == item
    state = page.state()
    assert state["undo"] and state["redo"]
    assert "Segment 2 of 3 · open" in state["status"]
    page.element("redo").click()
    page.wait(lambda: "Segment 2 of 3 · car" in _at(page, 2))
    for _ in range(2):
        page.wait(lambda: page.state()["undo"])
        page.element("undo").click()
    page.wait(lambda: not page.state()["undo"])
    assert "Segment 1 of 3 · open" in _at(page, 1)
    page.press(*"uu", browser.key_of(_SKY), *"uuuUUU")
    page.wait(lambda: _saved(page))
    assert "Segment 1 of 3 · sky" in _at(page, 1) and not page.state()["warning"]


def test_pixels_patches_and_fills(page):
    page.press("g")
    assert "· patch · open" in page.state()["status"]
    page.press("f")
    assert "· fill · open" in page.state()["status"]
    page.press("g")
    assert "· pixel · open · 1 pixel" in page.state()["status"]
    before = page.state()["pixel"]
    page.press(browser.key_of(_SKY))
    assert page.state()["pixel"] == before + 1
    page.press(page.keys.ARROW_DOWN)
    assert page.state()["pixel"] == before + 1 + _SHAPE[1]
    page.press("gg", browser.key_of(_ROAD))
    assert page.state()["status"].startswith("Segment 2")
    page.press("p")
    assert page.state()["status"].startswith("Segment 3")


def test_answers_wait_for_a_server_that_is_away_and_survive_a_closed_page(page, address):
    item = page.state()["item"]
    _set_online(page, False)
    page.press(browser.key_of(_SKY), browser.key_of(_CAR))
    page.wait(lambda: "2 answers wait to be saved" in (page.state()["offline"] or ""))
    assert page.state()["status"].startswith("Segment 3")
    _set_online(page, True)
    page.wait(lambda: _saved(page) and not page.state()["offline"])
    page.chrome.refresh()
    assert page.wait_for_item() == item
    assert page.state()["status"].startswith("Segment 3 of 3 · open")
    page.errors()


def test_what_a_crashed_page_left_is_saved_by_the_next(page):
    item = page.state()["item"]
    # The page's own writes never reach the server, as when the browser is killed meanwhile.
    page.chrome.execute_script("window.fetch = () => new Promise(() => {})")
    page.press(browser.key_of(_SKY), browser.key_of(_CAR))
    assert not _saved(page)
    page.chrome.refresh()
    assert page.wait_for_item() == item
    assert _saved(page)
    assert page.state()["status"].startswith("Segment 3 of 3 · open")


def test_answers_to_another_question_are_told_and_those_of_another_run_stay(page):
    item = page.state()["item"]
    page.chrome.execute_async_script(
        """const [item, done] = arguments;
        const letters = JSON.stringify([{
            item, question: "another", action: "marks",
            body: {request: "of another question", lease: "none", label: 1, pixels: [262, 1]},
        }]);
        localStorage.setItem("labor_jax.outbox.another.old", letters);
        fetch("/api/session").then((answer) => answer.json()).then(({ run_id }) => {
            localStorage.setItem(`labor_jax.outbox.${run_id}.old`, letters);
            done();
        });""",
        item,
    )
    page.chrome.refresh()
    assert page.wait_for_item() == item
    state = page.state()
    assert "1 answer could not be saved" in state["warning"]
    assert state["status"].startswith("Segment 1 of 3 · open ·") and not state["undo"]
    assert not _saved(page)
    page.chrome.execute_script("localStorage.removeItem('labor_jax.outbox.another.old')")
    assert _saved(page)
    assert all("409" in error for error in page.errors())


@pytest.mark.slow
def test_left_answers_to_several_items_are_each_saved(page, workdir):
    items = ["1-58-1", "1-59-1"]
    page.chrome.execute_async_script(
        """const [items, annotator, done] = arguments;
        const ask = async (prefer) => (await (await fetch("/api/next", {
            method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify({annotator, prefer}),
        })).json()).item;
        import("/page/edited_item.js").then(async ({ EditedItem }) => {
            const { run_id } = await (await fetch("/api/session")).json();
            const { get } = Object.getOwnPropertyDescriptor(EditedItem.prototype, "question");
            for (const item of items) {
                localStorage.setItem(`labor_jax.outbox.${run_id}.${item}`, JSON.stringify([{
                    item, question: get.call({item: await ask(item)}), action: "marks",
                    body: {request: "left " + item, lease: "old", label: 1, pixels: [262, 1]},
                }]));
            }
            done();
        });""",
        items,
        page.element("annotator").text,
    )
    page.chrome.refresh()
    first = page.wait_for_item()
    page.wait(lambda: _unsaved(page) == 1)
    page.press(*browser.key_of(_SKY) * 3, page.keys.ENTER)
    second = page.wait_for_item(other_than=first)
    assert {first, second} == set(items)
    page.wait(lambda: _saved(page))
    page.press(*browser.key_of(_SKY) * 3, page.keys.ENTER)
    page.wait_for_item(other_than=second)
    assert not page.state()["warning"]
    for item in items:
        labels = _answers(workdir, _image(item))
        assert labels[4, 6] == 1 and (labels[_query()] == _SKY).sum() == _PIXELS - 1
    assert all("409" in error for error in page.errors())


@pytest.mark.slow
def test_answers_wait_until_a_server_with_a_new_token_is_opened(chromium, tmp_path):
    workdir = _workdir(tmp_path / "run", [_query()], lease_seconds=1e7)
    with browser.labelling_tool(workdir, "--token=first") as address:
        page = browser.Page(chromium, address)
        item = page.state()["item"]
    port = address.split(":")[2].split("/")[0]
    with browser.labelling_tool(workdir, "--token=second", f"--port={port}"):
        page.press(browser.key_of(_SKY), browser.key_of(_CAR))
        page.wait(lambda: "2 answers wait to be saved" in (page.state()["offline"] or ""))
        told = "No access: The labelling tool needs its token: open the whole address"
        assert page.state()["offline"].startswith(told)
        assert page.state()["item"] == item and _unsaved(page) == 2
        page.chrome.execute_script("fetch('/?token=second')")
        page.wait(lambda: _saved(page) and not page.state()["offline"])
        page.press(browser.key_of(_ROAD), page.keys.ENTER)
        page.wait(lambda: page.state()["message"])
        assert not page.state()["warning"]
    labels = _answers(workdir, _image(item))
    assert [labels[question].flat[0] for question in _QUESTIONS] == [_SKY, _CAR, _ROAD]
    page.errors()


def test_a_full_storage_is_told_once_and_stops_nothing(page):
    page.chrome.execute_script(
        "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }"
    )
    page.press("]", browser.key_of(_SKY))
    page.wait(lambda: "only while this page is open" in (page.state()["warning"] or ""))
    page.element("warning-close").click()
    page.press(browser.key_of(_CAR))
    page.wait(lambda: _saved(page))
    state = page.state()
    assert state["status"].startswith("Segment 3 of 3") and not state["warning"]


def test_answers_wait_while_another_run_is_served_at_the_address(page):
    page.chrome.execute_script(
        """window.served = window.fetch;
        window.fetch = (path, options) => served(path, options && {
            ...options, body: options.body?.replace(/"run_id":"[^"]*"/, '"run_id":"of before"'),
        });"""
    )
    page.press(browser.key_of(_SKY))
    page.wait(lambda: "reload the page to label the run" in (page.state()["offline"] or ""))
    assert "1 answer waits to be saved" in page.state()["offline"]
    page.chrome.execute_script("window.fetch = window.served")
    page.wait(lambda: _saved(page) and not page.state()["offline"])
    assert all("503" in error for error in page.errors())


def test_a_lost_lease_is_taken_again_and_loses_nothing(page, address):
    item = page.state()["item"]
    page.press(browser.key_of(_SKY))
    page.wait(lambda: _saved(page))
    # The same annotator opens it elsewhere, which makes this page's lease an old one.
    page.chrome.execute_async_script(
        """const [item, annotator, done] = arguments;
        fetch(`/api/items/${item}/reopen`, {
            method: "POST",
            headers: {"Content-Type": "application/json"},
            body: JSON.stringify({annotator, request: "elsewhere " + annotator, seconds: 0}),
        }).then((answer) => done(answer.status));""",
        item,
        page.element("annotator").text,
    )
    page.press(browser.key_of(_CAR))
    page.wait(lambda: _saved(page) and page.state()["item"])
    page.chrome.refresh()
    assert page.wait_for_item() == item
    state = page.state()
    assert state["status"].startswith("Segment 3 of 3 · open") and not state["warning"]
    assert all("409" in error for error in page.errors())


def test_an_item_that_is_taken_by_another_is_told_and_left(page, address):
    item = page.state()["item"]
    page.press(*browser.key_of(_SKY) * 3)
    page.wait(lambda: _saved(page))
    # Somebody else has it, as after a long pause: every step of this page is refused.
    page.chrome.execute_script(
        """const real = window.fetch;
        window.fetch = (path, options) => path.startsWith(`/api/items/${arguments[0]}/`)
            ? Promise.resolve(new Response('{"error": "Grace has it"}', {status: 409}))
            : real(path, options && {...options, body: options.body?.replace("prefer", "after")});
        """,
        item,
    )
    page.press(page.keys.ENTER)
    other = page.wait_for_item(other_than=item)
    state = page.state()
    assert other and "1 answer could not be saved" in state["warning"]
    assert state["status"].startswith("Segment 1 of 3 · open") and _saved(page)


def test_an_image_that_cannot_be_read_is_told_and_another_can_be_opened(page):
    item = page.state()["item"]
    page.chrome.execute_script(
        """const [read, decode] = [window.fetch, HTMLImageElement.prototype.decode];
        let broken = null;
        const isBroken = (address) => {
            const { pathname } = new URL(address, location);
            return pathname.startsWith("/api/images/") && pathname === (broken ??= pathname);
        };
        HTMLImageElement.prototype.decode = function () {
            return isBroken(this.src) ? Promise.reject(new Error()) : decode.call(this);
        };
        window.fetch = (path, options) => isBroken(path)
            ? Promise.resolve(new Response('{"error": "It is damaged"}', {status: 500}))
            : read(path, options);"""
    )
    page.press("s")
    page.wait(lambda: "It is damaged" in (page.state()["offline"] or ""))
    page.press("o")
    button = page.wait(lambda: page.elements("#items-list button[aria-label^='Open']"))[-1]
    page.chrome.execute_script("arguments[0].click()", button)
    opened = page.wait_for_item()
    assert opened != item
    page.wait(lambda: not page.state()["offline"])
    # Whoever waits to try again does it now; the first image isn't wanted any more.
    page.chrome.execute_script("window.dispatchEvent(new Event('online'))")
    assert page.state()["item"] == opened and not page.state()["offline"]


def test_skipped_items_go_to_others_and_done_ones_can_be_corrected(page):
    skipped = page.state()["item"]
    page.press("s")
    item = page.wait_for_item(other_than=skipped)
    page.press(*browser.key_of(_SKY) * 3, page.keys.ENTER)
    page.wait_for_item(other_than=item)
    page.press("o")
    assert page.wait(lambda: len(page.elements("#items-list li")) > 10)
    annotator = page.element("annotator").text
    assert page.wait(lambda: f"{annotator} · 1 item · " in page.element("team").text)
    page.elements("#items-state option[value=done]")[0].click()
    page.wait(lambda: {state.split(" · ")[0] for state in _listed_states(page)} == {"done"})
    button = page.elements("#items-list button[aria-label^='Correct']")[-1]
    page.chrome.execute_script("arguments[0].scrollIntoView()", button)
    button.click()
    page.wait_for_item()
    state = page.wait(lambda: page.state()["submit"] and page.state())
    assert "All labelled" in state["status"]


def test_controls_have_names_and_the_state_is_told(page):
    page.chrome.execute_cdp_cmd("Accessibility.enable", {})
    page.chrome.execute_script("document.querySelector('details').open = true")
    tree = page.chrome.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nodes = [node for node in tree if not node.get("ignored")]
    by_role = {}
    for node in nodes:
        by_role.setdefault(node["role"]["value"], []).append(
            node.get("name", {}).get("value", "").strip()
        )
    controls = ("button", "checkbox", "radio", "slider", "application", "searchbox", "progressbar")
    unnamed = [role for role in controls for name in by_role.get(role, ()) if not name]
    assert unnamed == []
    assert {"button", "checkbox", "radio", "slider", "application"} <= by_role.keys()
    assert {"road", "void / unclear", "Undo", "Submit", "Zoom in"} <= set(by_role["button"])
    assert len(by_role["status"]) == 1
    live = page.element("status")
    assert live.get_attribute("aria-live") == "polite" and "Segment 1 of 3" in live.text


@pytest.mark.slow
def test_everything_is_reached_by_tab_and_shows_its_focus(page):
    assert page.chrome.switch_to.active_element.get_attribute("id") == "canvas"
    reached = []
    while len(reached) < 80 and "help" not in reached:
        page.press(page.keys.TAB)
        reached.append(
            page.chrome.execute_script(
                """const {id, value, textContent, tagName} = document.activeElement;
                const shown = value === "segment" ? document.activeElement.nextSibling
                    : document.activeElement;
                const outline = getComputedStyle(shown).outlineStyle;
                const isUnseen = outline === "none" && tagName !== "BODY";
                return isUnseen ? `no focus on ${id || tagName}` : id || value || textContent;"""
            )
        )
    assert {"help", "items", "zoom-in", "segment", "brush", "opacity"} <= set(reached)
    assert "road1" in reached and not [name for name in reached if name.startswith("no focus")]


@pytest.mark.slow
def test_light_and_dark(page):
    def is_dark():
        colour = page.elements("header")[0].value_of_css_property("background-color")
        return sum(int(value) for value in colour.split("(")[1].split(",")[:3]) < 3 * 128

    def prefer(scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    prefer("light")
    page.wait(lambda: not is_dark())
    prefer("dark")
    page.wait(is_dark)
    page.element("theme").click()
    assert not is_dark()
    page.chrome.refresh()
    page.wait_for_item()
    assert not is_dark(), "a choice is kept"
    prefer("")


@pytest.mark.slow
def test_fingers_label_and_zoom(page):
    browser.set_size(page.chrome, 420, 800, touch=True)
    try:
        page.choose(_CAR)
        view = _whole(page)
        page.touch("touchStart", page.point(8, 6, view))
        page.touch("touchEnd")
        page.wait(lambda: "car" in _at(page, 1))
        view = _whole(page)
        page.press(*"[" * 5)
        page.touch("touchStart", page.point(50, 22, view))
        for column in (52, 54):
            page.touch("touchMove", page.point(column, 22, view))
        page.touch("touchEnd")
        assert "car and open" in _at(page, 3) or "open and car" in _at(page, 3)
        view = _whole(page)
        left, right = page.point(30, 16, view), page.point(34, 16, view)
        page.touch("touchStart", left)
        page.touch("touchStart", left, right)
        for step in range(1, 6):
            page.touch(
                "touchMove", (left[0] - 10 * step, left[1]), (right[0] + 10 * step, right[1])
            )
        page.touch("touchEnd")
        assert page.still()[0] > 1.5 * view[0]
        assert "open" in _at(page, 2)
        for size in ((320, 568), (568, 320), (844, 390)):
            browser.set_size(page.chrome, *size, touch=True)
            void = page.elements("#palette button")[-1]
            for button in (page.element("submit"), void):
                page.wait(lambda button=button: page.chrome.execute_script(_REACHED, button))
    finally:
        browser.set_size(page.chrome, *browser.SIZE)


def test_wheel_and_space_zoom_and_move(page):
    view = _whole(page)
    x, y = page.point(10, 10, view)
    page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-400)
    closer = page.still()
    assert closer[0] > 1.5 * view[0]
    np.testing.assert_allclose(page.point(10, 10, closer), (x, y), atol=closer[0])
    page.drag((10, 10), (12, 11), button="middle", view=closer)
    moved = page.still()
    np.testing.assert_allclose(np.subtract(moved, closer)[1:], (2 * moved[0], moved[0]), atol=2)
    space = {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32}
    page.chrome.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyDown", **space})
    page.drag((12, 11), (10, 10), view=moved)
    page.chrome.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": "keyUp", **space})
    np.testing.assert_allclose(page.still(), closer, atol=2)
    assert not page.state()["undo"]


def test_many_classes_are_found_by_typing(page):
    names = [f"class {number}" for number in range(60)] + ['<i>"x"</i>']
    found = page.chrome.execute_async_script(
        """const [names, done] = arguments;
        import("/page/palette.js").then(({makeEntries, Palette}) => {
            const list = document.createElement("div");
            const search = document.createElement("input");
            document.body.append(search, list);
            const entries = makeEntries(
                names.map((name, number) => ({number, name, color: "#336699"})), 255);
            const chosen = [];
            new Palette(list, search, entries, (entry) => chosen.push(entry.name));
            const isOffered = !search.hidden;
            for (const [text, key] of [["S 57", "Enter"], ["<i>", "Enter"], ["8", "Escape"]]) {
                search.value = text;
                search.dispatchEvent(new Event("input"));
                search.dispatchEvent(new KeyboardEvent("keydown", {key}));
            }
            const tags = list.querySelectorAll("i").length;
            search.remove();
            list.remove();
            done({isOffered, chosen, tags});
        });""",
        names,
    )
    assert found == {"isOffered": True, "chosen": ["class 57", '<i>"x"</i>'], "tags": 0}


@pytest.mark.slow
def test_a_name_is_taken_only_when_it_is_given(chromium, tmp_path):
    workdir = _workdir(tmp_path / "run", [_query()] * 2, lease_seconds=1e7)
    with browser.labelling_tool(workdir) as address:
        page = browser.Page(chromium, address, annotator="")
        page.wait(lambda: page.element("name").is_displayed())
        page.element("name").send_keys("Ada", page.keys.ESCAPE)
        page.wait(lambda: page.element("name").is_displayed())
        page = _visit(chromium, address, "Ada")
        item = page.state()["item"]
        page.press(browser.key_of(_SKY))
        page.element("annotator").click()
        page.element("name").send_keys("Grace", page.keys.ESCAPE)
        assert page.element("annotator").text == "Ada" and page.state()["item"] == item
        page.element("annotator").click()
        page.element("name").clear()
        page.element("name").send_keys("Grace", page.keys.ENTER)
        page.wait(lambda: page.element("annotator").text == "Grace")
        # Ada's item was given back, so Grace goes on with it.
        assert page.wait(lambda: page.state()["item"]) == item
        assert page.state()["status"].startswith("Segment 2 of 3 · open")
        assert page.errors() == []
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        assert store.database.read("SELECT annotator FROM leases") == [("Grace",)]
        assert store.database.read("SELECT kind FROM events") == [("mark",)]


def test_names_are_shown_as_they_are(page, workdir):
    assert workdir.name in page.element("run").text
    assert not page.elements("#run b")


@pytest.mark.slow
def test_settings_of_the_annotator(page):
    item = page.state()["item"]
    page.element("items").click()
    page.press(page.keys.ESCAPE)
    page.elements("summary")[0].click()
    page.element("auto-submit").click()
    page.element("direct").click()
    for label in (_SKY, _ROAD, browser.VOID):
        page.choose(label)
    other = page.wait_for_item(other_than=item)
    page.chrome.refresh()
    assert page.wait_for_item() == other
    assert page.element("auto-submit").is_selected() and page.element("direct").is_selected()


@pytest.mark.slow
def test_guess_and_patches_only_where_the_run_allows_them(chromium, tmp_path, page):
    assert not page.element("guess-row").is_displayed()
    assert page.element("patch").is_displayed()
    guesses = [np.full(_SHAPE, _SKY, np.uint8)]
    settings = {"show_guess": True, "superpixels": False, "lease_seconds": 1e7}
    workdir = _workdir(tmp_path / "run", [_query()], guesses=guesses, **settings)
    with browser.labelling_tool(workdir) as address:
        page = _visit(chromium, address, "Ada")
        assert not page.element("patch").is_displayed()
        page.press("g")
        assert "· fill ·" in page.state()["status"]
        view = _whole(page)
        before = _colours(page, view)
        page.press("m")
        page.state()
        shown = (_colours(page, view) != before).any(-1)
        assert shown[_query()].mean() > 0.8 and not shown[~_query()].any()
        loaded = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        assert not any("renew" in name for name in page.chrome.execute_script(loaded))


@pytest.mark.slow
def test_the_introduction_is_shown_once_and_again_from_help(page):
    page.chrome.execute_script("localStorage.clear()")
    page.chrome.refresh()
    page.wait(lambda: page.element("name").is_displayed())
    page.element("name").send_keys("Ada", page.keys.ENTER)
    page.wait(lambda: page.element("intro-dialog").is_displayed())
    titles = []
    while page.element("intro-dialog").is_displayed():
        titles.append(page.elements(".step:not([hidden]) h2")[0].text)
        page.press(page.keys.ENTER)
    assert titles == ["What is asked", "Give it a class", "If you are unsure"]
    assert page.wait_for_item()
    page.chrome.refresh()
    assert page.wait_for_item()
    assert not page.element("intro-dialog").is_displayed()
    page.press("?")
    page.element("show-intro").click()
    assert titles[0] in page.element("intro-dialog").text
    page.press(page.keys.ESCAPE, browser.key_of(_SKY))
    assert page.state()["status"].startswith("Segment 2")


@pytest.mark.slow
def test_the_whole_image_comes_first_and_any_key_zooms_in(chromium, tmp_path):
    shape = (128, 256)
    queries = np.zeros((4, *shape), bool)
    queries[:, 60:64, 100:106] = True
    with browser.labelling_tool(_workdir(tmp_path / "run", queries, shape=shape)) as address:
        page = _visit(chromium, address, "Ada")

        def is_whole():
            scale, x, y = page.still()
            box = page.element("canvas").rect
            return x >= 0 and y >= 0 and x + shape[1] * scale <= box["width"]

        def skip():
            item = page.state()["item"]
            page.press("s")
            assert page.wait_for_item(other_than=item)

        page.wait(lambda: not is_whole())  # by itself
        page.chrome.execute_script(_KEEP_HOLDING)
        skip()
        assert is_whole()
        page.press(page.keys.SHIFT)
        assert not is_whole()
        skip()
        assert is_whole()
        page.elements("#palette button")[0].click()
        assert not is_whole()
        page.elements("summary")[0].click()
        page.element("whole-first").click()
        skip()
        assert not is_whole()
        assert page.errors() == []


def test_a_key_after_the_last_segment_explains_and_changes_nothing(page):
    page.press(*browser.key_of(_SKY) * 3)
    assert not page.state()["hint"]
    page.press(browser.key_of(_CAR))
    state = page.wait(lambda: page.state()["hint"] and page.state())
    assert state["hint"].startswith("All are answered. Press Enter to submit.")
    for number in (1, 2, 3):
        assert "· sky ·" in _at(page, number)
    page.press(page.keys.ARROW_LEFT, browser.key_of(_CAR))
    assert "· car ·" in page.state()["status"] and not page.state()["hint"]
    page.press(browser.key_of(_ROAD))
    assert "· car ·" in page.state()["status"] and page.wait(lambda: page.state()["hint"])
    page.wait(lambda: _saved(page))


def test_a_click_or_stroke_beside_everything_says_why_nothing_happens(page):
    view = _whole(page)
    page.click(20, 20, view)
    page.wait(lambda: "only the outlined segments" in page.state()["hint"])
    page.press("n")
    assert not page.state()["hint"]
    page.drag((20, 20), (30, 20), view=view)
    page.wait(lambda: "To move the image" in page.state()["hint"])
    assert not page.state()["undo"]


@pytest.mark.slow
def test_keys_of_classes_can_be_chosen(page):
    def choose(name, key):
        page.elements("summary")[0].click()
        page.element("class-keys").click()
        page.elements(f"#keys-list button[aria-label^='Key of {name}:']")[0].click()
        page.press(key)
        return page.element("keys-message").text

    assert "“undo”" in choose("car", "u")
    page.press("1")
    assert "car has the key 1. road has" in page.element("keys-message").text
    page.press(page.keys.ESCAPE, "1")
    assert "· car ·" in _at(page, 1)
    page.chrome.refresh()
    page.wait_for_item()
    page.press("1")
    assert "· car ·" in _at(page, 2)
    page.elements("summary")[0].click()
    page.element("class-keys").click()
    page.element("keys-reset").click()
    page.press(page.keys.ESCAPE, "1")
    assert "· road ·" in _at(page, 2)
    page.wait(lambda: _saved(page))


@pytest.mark.slow
def test_the_overlay_is_hidden_while_the_key_is_held_on_any_keyboard(page):
    page.press(browser.key_of(_SKY), *"." * 5)
    view = _whole(page)
    page.mouse("mouseMoved", 1, 1)

    def happens(target, kind, key=""):
        page.chrome.execute_script(
            """const [target, kind, key] = arguments;
            const event = {key, code: "KeyH", bubbles: true};
            (target ? document.getElementById(target) : window).dispatchEvent(
                kind === "blur" ? new Event(kind) : new KeyboardEvent(kind, event));""",
            target,
            kind,
            key,
        )
        page.state()
        return _colours(page, view)[_QUESTIONS[0]][1:-1, 1:-1]

    shown = happens("canvas", "keyup")
    for pressed, released in (("h", "h"), (_CYRILLIC_H,) * 2, ("H", "H"), ("h", "H")):
        assert (happens("canvas", "keydown", pressed) != shown).any()
        np.testing.assert_array_equal(happens("canvas", "keyup", released), shown)
    assert (happens("canvas", "keydown", "h") != shown).any()
    np.testing.assert_array_equal(happens(None, "blur"), shown)
    page.wait(lambda: _saved(page))


@pytest.mark.slow
def test_brightening_changes_the_photo_and_no_label(page):
    page.press(browser.key_of(_SKY), *"." * 5)
    view = _whole(page)
    before = _colours(page, view)
    page.press("b")
    page.state()
    changed = (_colours(page, view) != before).any(-1)
    asked, far = _QUESTIONS[0], ~ndimage.binary_dilation(_query(), iterations=4)
    assert changed[far].mean() > 0.5 and not changed[asked][1:-1, 1:-1].any()
    page.element("brighten").click()
    page.mouse("mouseMoved", 1, 1)
    page.state()
    np.testing.assert_array_equal(_colours(page, view)[far], before[far])
    page.press("b")
    page.chrome.refresh()
    page.wait_for_item()
    assert page.element("brighten").is_selected()
    page.wait(lambda: _saved(page))


def test_time_in_a_hidden_tab_is_not_recorded(page, workdir):
    item = page.state()["item"]
    page.chrome.execute_script(
        """const now = performance.now.bind(performance);
        let passed = 0;
        performance.now = () => now() + passed;
        const show = (state) => {
            Object.defineProperty(document, "visibilityState", {value: state, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        };
        passed += 20_000;
        show("hidden");
        passed += 3_600_000;
        show("visible");
        passed += 5_000;"""
    )
    page.press(*browser.key_of(_SKY) * 3, page.keys.ENTER)
    page.wait_for_item(other_than=item)
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        seconds = store.measured_seconds(1)[_image(item)]
    assert 25 <= seconds < 600


@pytest.mark.slow
def test_the_end_tells_the_command_to_copy(chromium, tmp_path):
    workdir = _workdir(tmp_path / "run", [_query()])
    command = "labor-jax run spl --config.annotator=human --workdir 'my run'"
    (workdir / "command.txt").write_text(command)
    with browser.labelling_tool(workdir) as address:
        page = _visit(chromium, address, "Ada")
        page.press(*browser.key_of(_SKY) * 3, page.keys.ENTER)
        page.wait(lambda: "Round 1 is labelled" in (page.state()["message"] or ""))
        assert page.element("command").text == command
        page.element("copy").click()
        page.wait(lambda: page.element("copied").text == "Copied")
        page.element("annotator").click()
        page.element("name").clear()
        page.element("name").send_keys(page.keys.CONTROL + "v" + page.keys.NULL)
        assert page.element("name").get_attribute("value") == command
        page.press(page.keys.ESCAPE)
        page.chrome.execute_script(
            "navigator.clipboard.writeText = () => Promise.reject(new Error());"
            "document.execCommand = () => false;"
        )
        page.element("copy").click()
        page.wait(lambda: "press Ctrl+C" in page.element("copied").text)
        assert page.chrome.execute_script("return String(getSelection())").strip() == command
        assert page.errors() == []


def test_every_class_has_a_pattern_of_its_own(page):
    tiles = page.chrome.execute_async_script(
        """const [done] = arguments;
        import("/page/patterns.js").then(({contextOf, patternTile}) =>
            done([-1, ...Array(20).keys()].map((number) => {
                const tile = patternTile("#336699", number);
                const {data} = contextOf(tile).getImageData(0, 0, tile.width, tile.height);
                return [...data].filter((_, i) => i % 4 === 3);
            })));"""
    )
    tiles = np.array(tiles)
    assert (tiles.max(axis=1) > 100).all()
    apart = np.abs(tiles[:, None] - tiles[None]).mean(axis=-1) + 255 * np.eye(len(tiles))
    assert apart.min() > 15


@pytest.mark.slow
def test_segments_end_at_edges_and_one_with_a_strong_edge_is_split(chromium, tmp_path):
    shape = (64, 128)
    truth = street.StreetScenes("camera", 8, size=shape, seed=0).label(0)
    sky = np.flatnonzero((truth == _SKY).sum(1) > 40)
    query = np.zeros(shape, bool)
    query[sky[0] : sky[-1] + 12, 20:110] = True
    workdir = _workdir(tmp_path / "mask", [query] * 8, shape=shape, kind="mask")
    with browser.labelling_tool(workdir) as address:
        page = _visit(chromium, address, "Ada")
        count = _count(page)
        assert count > 1, "the mask is one component, but holds sky and others"
        page.press(*"gggg")
        state = page.state()
        assert "· whole · open" in state["status"]
        assert "may hold two classes" in state["status"]
        assert page.element("split").is_displayed()
        page.press("G")
        assert "· whole ·" not in page.state()["status"], "its segments are its parts"
        page.press("G")
        assert _count(page) == count + 1
        page.press("g")
        assert "· patch ·" in page.state()["status"]
        page.press(*"ggg", browser.key_of(_SKY))
        state = page.state()
        assert state["submit"] and not page.element("split").is_displayed()
        item = state["item"]
        page.press(page.keys.ENTER)
        page.wait_for_item(other_than=item)
        np.testing.assert_array_equal(_answers(workdir, _image(item)) == _SKY, query)
        assert page.errors() == []


def _count(page):
    return int(page.state()["status"].split(" · ")[0].split(" of ")[1])


def _stripes():
    """The parts of a query: bands of eight columns."""
    return np.arange(_SHAPE[1])[None] // 8 + np.zeros(_SHAPE, int)


@pytest.mark.slow
def test_a_key_labels_a_whole_superpixel_and_a_stroke_takes_several(chromium, tmp_path):
    query = np.zeros(_SHAPE, bool)
    query[8:24, :32] = True
    workdir = _workdir(tmp_path / "run", [query] * 8, parts=[_stripes()] * 8, kind="superpixels")
    with browser.labelling_tool(workdir) as address:
        page = _visit(chromium, address, "Ada")
        item = page.state()["item"]
        assert page.state()["status"].startswith("Superpixel 1 of 4 · open · 128 pixels")
        assert not page.element("units").is_displayed()
        page.press("g", browser.key_of(_SKY))
        view = _whole(page)
        page.choose(_CAR)
        page.drag((12, 10), (20, 10), view=view)
        page.press(browser.key_of(_ROAD), page.keys.ENTER)
        page.wait_for_item(other_than=item)
        expected = np.full(_SHAPE, 255, np.uint8)
        for column, label in ((0, _SKY), (8, _CAR), (16, _CAR), (24, _ROAD)):
            expected[8:24, column : column + 8] = label
        np.testing.assert_array_equal(_answers(workdir, _image(item)), expected)
        assert page.errors() == []


@pytest.mark.slow
def test_space_says_that_a_guess_is_right_and_a_class_key_corrects_it(chromium, tmp_path):
    query = np.zeros(_SHAPE, bool)
    query[10, 4:60:16] = True
    guess = np.where(np.arange(_SHAPE[1]) < 30, _SKY, _CAR) + np.zeros(_SHAPE, int)
    guess[10, 52] = 255
    workdir = _workdir(
        tmp_path / "run", [query] * 8, guesses=[guess] * 8, parts=[_stripes()] * 8,
        kind="corrections",
    )  # fmt: skip
    with browser.labelling_tool(workdir) as address:
        page = _visit(chromium, address, "Ada")
        item = page.state()["item"]
        assert page.state()["status"].startswith("Part 1 of 4 · guessed sky · open")
        page.press(page.keys.SPACE)
        assert page.state()["status"].startswith("Part 2 of 4 · guessed sky · open")
        page.press(browser.key_of(_ROAD))
        assert "car" in page.element("confirm").text and not page.element("units").is_displayed()
        page.element("confirm").click()
        assert page.state()["status"].startswith("Part 4 of 4 · open")
        page.press(page.keys.SPACE)
        assert not page.state()["submit"] and not page.element("confirm").is_enabled()
        page.press("u", page.keys.SPACE, "0", page.keys.ENTER)
        page.wait_for_item(other_than=item)
        assert _answers(workdir, _image(item))[10, 4:60:16].tolist() == [_SKY, _ROAD, _CAR, 255]
        assert page.errors() == []


@pytest.mark.slow
def test_all_classes_of_a_part_are_toggled(chromium, tmp_path):
    query = np.zeros(_SHAPE, bool)
    query[8:24, :24] = True
    workdir = _workdir(tmp_path / "run", [query] * 8, parts=[_stripes()] * 8, kind="classes")
    with browser.labelling_tool(workdir) as address:
        page = _visit(chromium, address, "Ada")
        item = page.state()["item"]
        page.press(page.keys.ENTER)
        assert page.wait(lambda: "no class yet" in page.state()["hint"])
        page.press(browser.key_of(_CAR), browser.key_of(_SKY), browser.key_of(_ROAD))
        assert "Part 1 of 3 · road · sky · car" in page.state()["status"].replace(" and ", " · ")
        page.elements("#held button[aria-label='Take road away']")[0].click()
        page.press(*"uUu", browser.key_of(_ROAD))
        chips = page.elements("#held button span")
        assert [chip.text for chip in chips] == ["sky", "car"]
        page.press(page.keys.SPACE)
        assert page.state()["status"].startswith("Part 2 of 3 · open")
        page.wait(lambda: _saved(page))
        page.chrome.refresh()
        assert page.wait_for_item() == item
        page.press("0", page.keys.ENTER, browser.key_of(_CAR))
        state = page.state()
        assert state["submit"] and state["item"] == item
        page.press(browser.key_of(_SKY), browser.key_of(_SKY), page.keys.ENTER)
        page.wait_for_item(other_than=item)
        with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
            held = store.candidates(_image(item), 1)
            labels = store.labels(_image(item))
        assert [np.flatnonzero(each).tolist() for each in held] == [[_SKY, _CAR], [], [_CAR]]
        assert labels[10, [0, 8, 16]].tolist() == [255, 255, _CAR]
        assert page.errors() == []


@pytest.mark.slow
def test_a_whole_image_is_labelled_by_patches_and_polygons(chromium, tmp_path):
    query = np.ones(_SHAPE, bool)
    query[:, :4] = False
    workdir = _workdir(tmp_path / "run", [query] * 8)
    with browser.labelling_tool(workdir) as address:
        page = _visit(chromium, address, "Ada")
        item = page.state()["item"]
        assert "· patch · open" in page.state()["status"]
        page.press("P")
        view = _whole(page)
        page.choose(_SKY)
        for corner in ((0, 2), (40, 2), (40, 20)):
            page.click(*corner, view)
        assert not page.state()["undo"]
        page.press(page.keys.BACKSPACE, page.keys.ENTER)
        assert not page.state()["undo"], "two corners have no inside"
        for corner in ((40, 12), (0, 12)):
            page.click(*corner, view)
        page.press(page.keys.ENTER)
        assert page.state()["undo"] and not page.state()["submit"]
        for corner in ((50, 4), (58, 4), (58, 9)):
            page.click(*corner, view)
        page.press(page.keys.ESCAPE, browser.key_of(_ROAD))
        for corner in ((20, 8), (30, 8), (30, 20), (20, 20), (20, 8)):
            page.click(*corner, view)
        page.press("P")
        assert "· patch ·" in page.state()["status"]
        page.press(*"gggg")
        assert "segment" in page.elements("input[name=unit]:checked")[0].get_attribute("value")
        page.press(browser.key_of(_CAR), page.keys.ENTER)
        page.wait_for_item(other_than=item)
        rows, columns = np.indices(_SHAPE)
        expected = np.full(_SHAPE, _CAR)
        expected[(rows >= 2) & (rows < 12) & (columns < 40)] = _SKY
        expected[(rows >= 8) & (rows < 20) & (columns >= 20) & (columns < 30)] = _ROAD
        found, within = _answers(workdir, _image(item)), query & ~_borders(expected)
        np.testing.assert_array_equal(found[within], expected[within])
        assert (found[~query] == 255).all() and page.errors() == []


def _borders(labels):
    """The pixels beside a border: half a pixel more or less decides there."""
    return ndimage.maximum_filter(labels, 3) != ndimage.minimum_filter(labels, 3)


def test_help_tells_the_keys(page):
    page.press("?")
    assert "undo, redo" in page.element("help-dialog").text
    page.press(page.keys.ESCAPE)
    assert not page.element("help-dialog").is_displayed()
    page.press(browser.key_of(_SKY))
    assert page.state()["status"].startswith("Segment 2")


@pytest.mark.slow
def test_a_picture_of_the_page(chromium, tmp_path):
    """An item of the street scenes, half labelled, as README shows it."""
    shape = (192, 384)
    truth = street.StreetScenes("camera", 8, size=shape, seed=0).label(0)
    query, pixel = _ragged(truth), np.zeros(shape, bool)
    pixel[100, 200] = True
    queries = [query] + [pixel] * 7
    workdir = _workdir(tmp_path / "spl_street", queries, shape=shape, kind="mask")
    with browser.labelling_tool(workdir) as address:
        page = _visit(chromium, address, "Ada")
        count = _count(page)
        assert count >= ndimage.label(query, np.ones((3, 3)))[1]
        screenshot = os.environ.get("LABOR_SCREENSHOT")
        answered = count * 2 // 3 if screenshot else 3
        for _ in range(answered):
            page.press(browser.key_of(truth.flat[page.state()["pixel"]]))
        page.press("-", "-")
        page.still()
        path = Path(screenshot or tmp_path / "page.png").absolute()
        assert page.chrome.save_screenshot(str(path))
        # Chromium packs it loosely; two bits less a channel aren't seen, and save a third.
        picture = Image.open(path).convert("RGB").point(lambda value: value & 252 | value >> 6)
        picture.save(path, optimize=True)
        assert f"Segment {answered + 1} of {count} · open" in page.state()["status"]
        assert page.errors() == []
    assert Image.open(path).size == browser.SIZE


def _ragged(label):
    """Lumps along the borders of classes, like those that two classifiers disagree on."""
    border = ndimage.morphological_gradient(label.astype(int), 3) > 0
    noise = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=label.shape), 4)
    lumps = ndimage.binary_dilation(border & (noise > np.quantile(noise, 0.9)), iterations=2)
    segments, _ = ndimage.label(lumps, np.ones((3, 3)))
    sizes = np.bincount(segments.ravel())
    return lumps & (sizes[segments] >= 12)


# Whether a finger in the middle of a control, and at its lower edge, touches it.
_REACHED = """const [button] = arguments;
    const {left, right, bottom, top} = button.getBoundingClientRect();
    const at = (y) => document.elementFromPoint((left + right) / 2, y)?.closest("button");
    return at((top + bottom) / 2) === button && at(bottom - 3) === button;"""


# Lets the whole image stay until somebody does something.
_KEEP_HOLDING = """const wait = window.setTimeout;
    window.setTimeout = (call, time) => wait(call, time < 2000 ? 1e6 : time);"""


def _listed_states(page):
    script = "return [...document.querySelectorAll('#items-list .state')].map((e) => e.textContent)"
    return page.chrome.execute_script(script)


def _image(item):
    return f"camera_{int(item.split('-')[1]):05d}"


def _saved(page):
    """Whether the server has acknowledged everything."""
    return _unsaved(page) == 0


def _unsaved(page):
    script = "return Object.keys(localStorage).filter((key) => key.includes('outbox')).length"
    return page.chrome.execute_script(script)


def _at(page, number):
    """What the page tells of a question, reached by the arrows."""
    for _ in range(3):
        status = page.state()["status"]
        if f"Segment {number} of" in status:
            return status
        page.press(page.keys.ARROW_RIGHT)
    return page.state()["status"]


def _set_online(page, online):
    conditions = {"offline": not online, "latency": 0, "downloadThroughput": -1}
    page.chrome.execute_cdp_cmd("Network.enable", {})
    page.chrome.execute_cdp_cmd(
        "Network.emulateNetworkConditions", {**conditions, "uploadThroughput": -1}
    )


def _colours(page, view):
    """The colour on the screen in the middle of each pixel of the image."""
    picture = np.asarray(Image.open(io.BytesIO(page.chrome.get_screenshot_as_png())).convert("RGB"))
    rows, columns = np.indices(_SHAPE)
    x, y = page.point(columns, rows, view)
    return picture[y.astype(int), x.astype(int)].astype(int)
