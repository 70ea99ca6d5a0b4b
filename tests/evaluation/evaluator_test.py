"""Evaluation and prediction of a whole split against one image at a time."""

import functools

import jax
import numpy as np
import pytest

from labor_jax import models
from labor_jax.data import transforms
from labor_jax.evaluation import evaluator
from labor_jax.evaluation.inference import Inference
from labor_jax.ops import resize_bilinear_align_corners
from labor_jax.training import mesh as mesh_lib
from tests.evaluation.scenes import CLASSES, Scenes
from tests.tiny_model import tiny_segmenter

SEGMENTER = tiny_segmenter(len(CLASSES))
SIZES = [(12, 16), (10, 8), (12, 16), (12, 16), (10, 8)]


@functools.cache
def model():
    return models.init_variables(SEGMENTER, jax.random.key(0), (12, 16))


@pytest.fixture(scope="module")
def mesh():
    return mesh_lib.device_mesh(jax.devices()[:1])


def predicted_alone(split, i, size):
    image = split.image(i)
    image = transforms.resize_image(image, size) if size else image
    return np.argmax(logits_of(image[None], split.size(i))[0], -1)


@functools.partial(jax.jit, static_argnums=1)
def logits_of(images, size):
    features = SEGMENTER.apply(model(), models.normalize_images(images), method="extract")
    coarse = SEGMENTER.apply(model(), features, method="coarse_logits")
    return resize_bilinear_align_corners(coarse, size)


def confusion_alone(split, size):
    counts = np.zeros((len(CLASSES), len(CLASSES)), int)
    for i in range(len(split)):
        labels = split.label(i)
        counted = labels != 255
        pairs = labels[counted], predicted_alone(split, i, size)[counted]
        np.add.at(counts, pairs, 1)
    return counts


@pytest.mark.parametrize("size", [None, (8, 12)])
def test_evaluation_equals_one_image_at_a_time(mesh, size):
    """Two sizes, of which one fills 1.5 batches: their last ones are padded."""
    split = Scenes(SIZES)
    evaluate = evaluator.make_evaluator(SEGMENTER, CLASSES, mesh)
    found = evaluate(model(), split, batch_size=2, size=size)
    expected = confusion_alone(split, size)
    np.testing.assert_array_equal(found.confusion, expected)
    assert found.confusion.sum() == sum(np.sum(split.label(i) != 255) for i in range(len(split)))
    union = expected.sum(0) + expected.sum(1) - np.diag(expected)
    with np.errstate(invalid="ignore"):
        iou = np.diag(expected) / union
    assert list(found.per_class_iou) == list(CLASSES)
    np.testing.assert_allclose(list(found.per_class_iou.values()), iou)
    # The last class is in no label.
    assert expected[-1].sum() == 0
    np.testing.assert_allclose(found.miou, np.mean(iou[expected.sum(1) > 0]))


def test_a_class_without_labels_has_no_iou_though_it_is_predicted(mesh):
    split = Scenes(SIZES)
    (most,) = np.argmax([np.bincount(predicted_alone(split, 0, None).ravel())], 1)

    class Without(Scenes):
        def label(self, i):
            label = super().label(i)
            return np.where(label == most, np.uint8(255), label)

    evaluate = evaluator.make_evaluator(SEGMENTER, CLASSES, mesh)
    found = evaluate(model(), Without(SIZES), batch_size=2, size=None)
    assert found.confusion[most].sum() == 0 < found.confusion[:, most].sum()
    iou = np.array(list(found.per_class_iou.values()))
    assert np.isnan(iou[most])
    np.testing.assert_allclose(np.nanmean(iou), found.miou)


@pytest.mark.parametrize("labelled", [1, 7, 9])
def test_images_without_labels_are_no_sample_for_the_error(mesh, labelled):
    """As of images held out for measuring, of which people have answered few."""

    class Answered(Scenes):
        def label(self, i):
            return np.where(i < labelled, super().label(i), np.uint8(255))

    class Alone(Scenes):
        def __len__(self):
            return labelled

    evaluate = evaluator.make_evaluator(SEGMENTER, CLASSES, mesh)
    found, alone = (
        evaluate(model(), each([(12, 16)] * 12), batch_size=4, size=None)
        for each in (Answered, Alone)
    )
    assert (found.miou_error is None) == (labelled < 8)
    assert found.miou_error == pytest.approx(alone.miou_error) and alone.miou_error != 0


def test_progress_sees_every_batch(mesh):
    seen = []

    def progress(batches):
        for batch in batches:
            seen.append(len(batch["index"]))
            yield batch

    evaluate = evaluator.make_evaluator(SEGMENTER, CLASSES, mesh)
    evaluate(model(), Scenes(SIZES[:3]), batch_size=2, size=None, progress=progress)
    assert seen == [2, 2]


def test_a_split_without_labels_is_an_error(mesh):
    split = Scenes(SIZES[:1], labelled=False)
    evaluate = evaluator.make_evaluator(SEGMENTER, CLASSES, mesh)
    with pytest.raises(ValueError, match="no labelled pixel"):
        evaluate(model(), split, batch_size=2, size=None)


@pytest.mark.parametrize("size", [None, (8, 12)])
def test_prediction_equals_one_image_at_a_time_and_reads_no_label(mesh, size):
    split = Scenes(SIZES, readable_labels=False)
    predict = evaluator.make_predictor(SEGMENTER, mesh)
    numbers = [4, 0, 3]
    found = dict(predict(model(), split, numbers, size, batch_size=2))
    assert sorted(found) == sorted(numbers)
    for number, labels in found.items():
        assert labels.dtype == np.int32 and labels.shape == split.size(number)
        np.testing.assert_array_equal(labels, predicted_alone(split, number, size))


def test_flip_averages_an_image_and_its_mirror_image(mesh):
    split = Scenes(SIZES)
    predict = evaluator.make_predictor(SEGMENTER, mesh, inference=Inference(flip=True))
    for number, found in predict(model(), split, [0, 1], None):
        image = split.image(number)[None]
        plain, mirrored = (
            jax.nn.softmax(logits_of(each, split.size(number)))
            for each in (image, image[:, :, ::-1])
        )
        expected = np.argmax((plain + mirrored[:, :, ::-1]) / 2, -1)[0]
        np.testing.assert_array_equal(found, expected)
        assert (found != np.argmax(plain, -1)[0]).any()


def test_a_flipped_split_has_the_same_miou_under_flip(mesh):
    """The mean over both doesn't know which of the two it was given."""
    split = Scenes([(12, 16)] * 2)

    class Mirrored(Scenes):
        def image(self, i):
            return super().image(i)[:, ::-1]

        def label(self, i):
            return super().label(i)[:, ::-1]

    evaluate = evaluator.make_evaluator(SEGMENTER, CLASSES, mesh, inference=Inference(flip=True))
    one, other = (
        evaluate(model(), each, batch_size=2, size=None).confusion
        for each in (split, Mirrored([(12, 16)] * 2))
    )
    np.testing.assert_array_equal(one, other)
