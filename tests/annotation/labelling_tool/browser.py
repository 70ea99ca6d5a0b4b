"""A headless Chromium on the labelling page, driven as a person does: by keys, mouse and touch."""

import contextlib
import re
import shutil
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZE = (1280, 800)

VOID = 255

# As the palette shows them: the classes' keys in their order (page/keys.js).
CLASS_KEYS = "123456789qwertyiadjklcv"


def key_of(label):
    return "0" if label == VOID else CLASS_KEYS[label]


@contextlib.contextmanager
def chromium(folder):
    """Starts the browser with a fresh profile in `folder`; skips the test where there is none."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("needs chromium and chromedriver on PATH (Debian: chromium, chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in (*_OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        set_size(chrome, *SIZE)
        yield chrome
    finally:
        chrome.quit()


def set_size(chrome, width, height, *, touch=False):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    chrome.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})


@contextlib.contextmanager
def labelling_tool(workdir, *arguments):
    """Starts `labor_jax.annotate` as a process; gives its address."""
    command = [sys.executable, "-m", "labor_jax.annotate", "--workdir", str(workdir), "--port", "0"]
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"http://\S+", line):
                yield found[0]
                break
        else:
            pytest.fail("the labelling tool didn't start:\n" + "".join(lines))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Page:
    """The labelling page of one annotator."""

    def __init__(self, chrome, address, annotator="Ada"):
        self.chrome = chrome
        chrome.get(address)
        if annotator:
            self.wait(lambda: self.element("name").is_displayed())
            self.element("name").send_keys(annotator, self.keys.ENTER)
            self.wait(lambda: self.element("intro-dialog").is_displayed())
            self.press(self.keys.ESCAPE)
            self.wait_for_item()

    @property
    def keys(self):
        from selenium.webdriver.common.keys import Keys

        return Keys

    def element(self, identifier):
        return self.chrome.find_element("id", identifier)

    def elements(self, selector):
        return self.chrome.find_elements("css selector", selector)

    def wait(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                shown = self.chrome.find_element("css selector", "body").text
                pytest.fail(f"still not so after {seconds} s; the page shows:\n{shown}")
            time.sleep(0.02)
        return value

    def wait_for_item(self, *, other_than=None):
        """The item that is open, once one is; None when nothing is left."""
        return self.wait(lambda: self._item_or_message(other_than))["item"]

    def _item_or_message(self, other_than):
        state = self.state()
        if state["message"] or (state["item"] and state["item"] != other_than and state["status"]):
            return state
        return None

    def state(self):
        """What the page tells of itself, once it is drawn."""
        return self.chrome.execute_async_script(
            """const done = arguments[0];
            requestAnimationFrame(() => {
            const canvas = document.getElementById("canvas");
            const shown = (id) => !document.getElementById(id).hidden;
            done({
                item: shown("message") ? null : canvas.dataset.item || null,
                view: (canvas.dataset.view || "").split(" ").map(Number),
                pixel: Number(canvas.dataset.pixel),
                status: document.getElementById("status").textContent,
                message: shown("message") && document.getElementById("message").textContent,
                warning: shown("warning") && document.getElementById("warning-text").textContent,
                hint: document.querySelector("#hint.shown")?.textContent || "",
                offline: shown("offline") && document.getElementById("offline").textContent,
                undo: !document.getElementById("undo").disabled,
                redo: !document.getElementById("redo").disabled,
                submit: !document.getElementById("submit").disabled,
            });
            });"""
        )

    def press(self, *keys):
        """Presses keys wherever the focus is."""
        for key in keys:
            self.chrome.switch_to.active_element.send_keys(key)

    def choose(self, label):
        """Clicks a class in the palette."""
        buttons = self.elements("#palette button")
        buttons[-1 if label == VOID else label].click()

    def still(self):
        """Waits until the view has stopped to move; its scale and offset."""
        before = None
        while (view := self.state()["view"]) != before:
            before = view
            time.sleep(0.05)
        return view

    def point(self, column, row, view=None):
        """The place in the window of the middle of an image's pixel."""
        scale, x, y = view or self.state()["view"]
        box = self.element("canvas").rect
        return box["x"] + x + (column + 0.5) * scale, box["y"] + y + (row + 0.5) * scale

    def mouse(self, kind, x, y, **options):
        event = {"type": kind, "x": x, "y": y, "clickCount": 1, **options}
        self.chrome.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def click(self, column, row, view=None):
        self.drag((column, row), view=view)

    def drag(self, *pixels, view=None, button="left"):
        """Presses at the first pixel, moves over the others and lets go."""
        places = [self.point(*pixel, view) for pixel in pixels]
        held = {"button": button, "buttons": {"left": 1, "middle": 4}[button]}
        self.mouse("mouseMoved", *places[0], button="none")
        self.mouse("mousePressed", *places[0], **held)
        for place in places[1:]:
            self.mouse("mouseMoved", *place, **held)
        self.mouse("mouseReleased", *places[-1], button=button)

    def touch(self, kind, *places):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
        event = {"type": kind, "touchPoints": points}
        self.chrome.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    def errors(self):
        """What the browser complained about since it was last asked."""
        log = self.chrome.get_log("browser")
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]
