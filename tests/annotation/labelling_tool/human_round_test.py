"""A run that asks people: its round is labelled in the browser, and the run goes on.

This annotator knows the pool's labels, so that the answers must be those.
"""

import numpy as np
import pytest
from scipy import ndimage

from labor_jax import experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import load_pair, street
from tests.annotation.labelling_tool import browser
from tests.tiny import tiny_config


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ppl", "spl"])
def test_people_label_a_round_and_the_run_goes_on(method, tmp_path):
    config = tiny_config(method)
    config.update(annotator="human", rounds=1)
    config.warmup.steps = 0
    config.data.pool_count = 2
    config.acquisition.max_fraction = 0.03
    workdir = tmp_path / method
    label_item = {"ppl": _label_by_keys, "spl": _label_by_mouse}[method]
    with browser.chromium(tmp_path / "profile") as chromium:
        with pytest.raises(experiment.RoundWaits):
            experiment.run(config, workdir)
        pool = load_pair(config.pair, config.data).pool
        queries = _read(workdir, lambda store: [store.query(name, 1) for name in pool.names])
        with browser.labelling_tool(workdir) as address:
            page = browser.Page(chromium, address)
            items = []
            while item := page.wait_for_item(other_than=items[-1] if items else None):
                items.append(item)
                number = int(item.split("-")[1])
                label_item(page, pool.label(number), queries[number])
            state = page.state()
            assert "Round 1 is labelled" in state["message"] and not state["warning"]
            assert page.errors() == []
    assert len(items) == sum(query.any() for query in queries) > 0

    answers = _read(workdir, lambda store: [store.labels(name) for name in pool.names])
    for number, (query, answer) in enumerate(zip(queries, answers, strict=True)):
        np.testing.assert_array_equal(answer, np.where(query, pool.label(number), 255))
    (result,) = experiment.run(config, workdir)["rounds"]
    assert result["labelled_pixels"] == sum(int(query.sum()) for query in queries)


def _read(workdir, what):
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return what(store)


def _label_by_keys(page, truth, query):
    """One press a point, and Enter."""
    for _ in range(query.sum()):
        pixel = page.state()["pixel"]
        assert query.flat[pixel]
        page.press(browser.key_of(truth.flat[pixel]))
    page.press(page.keys.ENTER)


def _label_by_mouse(page, truth, query):
    """Paints the rarer classes of each component, then gives its rest a class by one click."""
    page.element("whole-unit").click()
    page.press(*"[" * 5)
    page.element("whole").click()
    view = page.still()
    segments, count = ndimage.label(query, np.ones((3, 3)))
    painted, clicked = {}, {}
    for segment in range(1, count + 1):
        labels, counts = np.unique(truth[segments == segment], return_counts=True)
        *rare, most = labels[np.argsort(counts, kind="stable")]
        for label in rare:
            painted.setdefault(label, []).extend(_strokes((segments == segment) & (truth == label)))
        row, column = np.argwhere((segments == segment) & (truth == most))[0]
        clicked.setdefault(most, []).append([(column, row)])
    for strokes_of in (painted, clicked):
        for label, strokes in strokes_of.items():
            page.choose(label)
            for stroke in strokes:
                page.drag(*stroke, view=view)
    page.wait(lambda: page.state()["submit"])
    page.element("submit").click()


def _strokes(mask):
    """Strokes of a fine brush, as pairs of (column, row), that paint the mask row by row."""
    rows, count = ndimage.label(mask, [[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    for stroke in range(1, count + 1):
        (row, *_), columns = np.nonzero(rows == stroke)
        yield [(columns[0] - 0.3, row), (columns[-1] + 0.3, row)]
