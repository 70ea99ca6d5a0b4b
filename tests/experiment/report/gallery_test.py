"""Which images are shown, and how they are ordered."""

import numpy as np
import pytest

from labor_jax.experiment.report import gallery
from labor_jax.experiment.report.gallery import Previewed
from tests.evaluation.scenes import SIZE, Scenes


def previewed(number, miou=None, uncertainty=None):
    unsure = None if uncertainty is None else np.full((2, 2), uncertainty, np.uint8)
    return Previewed(number, None, {}, unsure, None, miou)


@pytest.mark.parametrize(
    ("mious", "chosen"),
    [
        ([], []),
        ([0.5], [("", 0)]),
        ([0.2, 0.5], [("Best", 1), ("Worst", 0)]),
        ([0.2, 0.5, 0.3], [("Best", 1), ("Median", 2), ("Worst", 0)]),
        ([0.1, 0.4, 0.2, 0.3], [("Best", 1), ("Median", 3), ("Worst", 0)]),
    ],
)
def test_best_median_and_worst(mious, chosen):
    images = [previewed(number, miou) for number, miou in enumerate(mious)]
    assert [(words, image.number) for words, image in gallery.choose(images)] == chosen


def test_without_ground_truth_the_surest_is_the_best():
    images = [previewed(number, uncertainty=value) for number, value in enumerate((90, 10, 200))]
    chosen = [(words, image.number) for words, image in gallery.choose(images)]
    assert chosen == [("Surest", 1), ("Median", 0), ("Least sure", 2)]


def test_an_image_without_what_others_are_ordered_by_has_no_place():
    void = previewed(3, uncertainty=90)
    images = [previewed(number, miou) for number, miou in enumerate((0.2, 0.5, 0.3))]
    assert gallery.choose([void, *images]) == gallery.choose(images)
    unsure = [previewed(number, uncertainty=value) for number, value in enumerate((90, 10))]
    assert [image.number for _, image in gallery.choose([previewed(3), *unsure])] == [1, 0]


def test_the_page_says_how_many_images_have_no_place(run, monkeypatch):
    images = [previewed(number, miou) for number, miou in enumerate((0.2, None, 0.3))]
    monkeypatch.setattr(gallery, "_previewed", lambda run: images)
    monkeypatch.setattr(gallery, "_entry", lambda run, image, words, budget: words)
    text = gallery.section(run)
    assert "Of the 3 previewed images, ordered by mIoU. Left out: 1 without labels." in text
    images[1] = previewed(1, 0.1)
    assert "ordered by mIoU. Click" in gallery.section(run)


def test_images_that_nothing_orders_have_no_words():
    chosen = gallery.choose([previewed(number) for number in range(3)])
    assert chosen == [("", previewed(number)) for number in range(3)]


def test_image_miou_is_the_mean_over_the_classes_of_the_truth():
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    prediction = np.array([[0, 2, 1, 1]], np.uint8)
    assert gallery.image_miou(prediction, truth, 3) == pytest.approx((1 / 2 + 1) / 2)
    assert gallery.image_miou(prediction, np.full((1, 4), 255, np.uint8), 3) is None


def test_an_image_with_a_damaged_preview_is_left_out(run, add_round, caplog):
    add_round(1, {0: np.ones(SIZE, bool)})
    assert "&lt;drive&gt;/0&amp;" in gallery.section(run)
    (run.folder.previews / "round_1_query" / "0.png").unlink()
    assert gallery.section(run) == ""
    assert "round_1_query/0.png is missing" in caplog.text


def test_labels_of_a_pool_that_people_answer_are_not_looked_at(run, add_preview, pair):
    add_preview("warmup", 0, 0)
    assert "ground truth</figcaption>" in gallery.section(run)
    people = run._replace(config={**run.config, "annotator": "human"})
    people.pool._readable = False  # then reading a label is an error
    assert "ground truth</figcaption>" not in gallery.section(people)


@pytest.mark.parametrize("size", [(2, 17000), (33000, 1)])
def test_an_image_that_is_too_wide_for_its_format_is_shown_smaller(run, size):
    wide = run._replace(pool=Scenes([size]))
    image = Previewed(0, None, {"prediction": np.zeros(size, np.uint8)}, None, None, None)
    entry = gallery._entry(wide, image, "Best", gallery.LARGEST)
    assert f"shown at 1/{2 if max(size) < 2**15 else 4} of its size" in entry
