"""PatchAdapt against NumPy: patches of labels, their clusters, and who learns what."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import labor_jax
from labor_jax import adaptation
from labor_jax.adaptation import patch_adapt
from labor_jax.models import Outputs

CLASSES = 3


def labels_of(seed, height, width, count=2):
    values = [*range(CLASSES), 255]
    return np.random.default_rng(seed).choice(values, (count, height, width)).astype(np.int32)


def pixels_of(cell, size, cells):
    return [i for i in range(size) if i * cells // size == cell]


def label_patches_twin(labels, patches):
    """Pixel by pixel."""
    count, height, width = labels.shape
    found = np.zeros((count, patches, patches, 4 * CLASSES))
    for b, i, j, k, m in itertools.product(
        range(count), range(patches), range(patches), range(2), range(2)
    ):
        rows = pixels_of(2 * i + k, height, 2 * patches)
        columns = pixels_of(2 * j + m, width, 2 * patches)
        cell = labels[b][np.ix_(rows, columns)]
        for c in range(CLASSES):
            found[b, i, j, (2 * k + m) * CLASSES + c] = np.mean(cell == c)
    return found


@given(st.integers(0, 99), st.integers(1, 3), st.integers(6, 13), st.integers(6, 13))
def test_a_patch_is_the_shares_of_classes_in_its_four_cells(seed, patches, height, width):
    labels = labels_of(seed, height, width)
    found = patch_adapt.label_patches(labels, CLASSES, patches)
    np.testing.assert_allclose(found, label_patches_twin(labels, patches), atol=1e-6)


def test_cell_means_of_one_hot_labels_are_the_same_shares():
    labels = labels_of(0, 11, 14)
    cells = patch_adapt.cell_means(jax.nn.one_hot(labels, CLASSES), 4)
    described = patch_adapt.label_patches(labels, CLASSES, 2)
    for i, j in itertools.product(range(4), range(4)):
        number = (2 * (i % 2) + j % 2) * CLASSES
        patch = described[:, i // 2, j // 2, number : number + CLASSES]
        np.testing.assert_allclose(cells[:, i, j], patch, atol=1e-6)


def test_a_patch_belongs_to_the_nearest_centre_and_a_void_one_to_none():
    rng = np.random.default_rng(0)
    centres = rng.random((6, 12)).astype(np.float32)
    centres[4:] = np.inf  # fewer clusters than there is room for
    described = rng.random((2, 3, 3, 12)).astype(np.float32)
    described[0, 1, 2] = 0
    found = patch_adapt.patch_clusters(described, centres)
    distances = ((described[..., None, :] - centres[:4]) ** 2).sum(-1)
    expected = distances.argmin(-1)
    expected[0, 1, 2] = 255
    np.testing.assert_array_equal(found, expected)


def test_clusters_are_the_means_of_groups_that_lie_apart():
    rng = np.random.default_rng(0)
    middles = np.eye(5, 12, dtype=np.float32)
    groups = middles[:, None] + rng.normal(0, 0.01, (5, 40, 12)).astype(np.float32)
    centres = patch_adapt.cluster(groups.reshape(-1, 12), 5)
    order = centres[:, :5].argmax(-1)
    assert sorted(order) == list(range(5))
    np.testing.assert_allclose(centres, groups.mean(1)[order], atol=1e-5)
    np.testing.assert_array_equal(centres, patch_adapt.cluster(groups.reshape(-1, 12), 5))


def test_fewer_patches_that_differ_are_a_cluster_each():
    rows = np.eye(3, 4, dtype=np.float32)[[0, 1, 1, 2, 0]]
    centres = patch_adapt.cluster(rows, 4)
    assert {tuple(row) for row in centres[:3]} == {tuple(row) for row in rows}
    assert np.all(np.isinf(centres[3]))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(1, 12))
def test_a_sample_is_of_labelled_patches_and_the_same_each_time(sizes, most):
    rng = np.random.default_rng(0)
    batches = [rng.random((size, 1, 2)).astype(np.float32) + 0.1 for size in sizes]
    batches.append(np.zeros((3, 1, 2), np.float32))
    found = patch_adapt.sample(iter(batches), most)
    everything = [tuple(row) for batch in batches[:-1] for row in batch[:, 0]]
    assert len(found) == len(set(map(tuple, found))) == min(most, len(everything))
    assert set(map(tuple, found)) <= set(everything)
    np.testing.assert_array_equal(found, patch_adapt.sample(iter(batches), most))


SETTINGS = {
    "clusters": 4,
    "patches": 2,
    "classification_weight": 0.5,
    "adversarial_weight": 0.25,
}
SETUP = adaptation.Setup(
    num_classes=CLASSES,
    image_size=(8, 12),
    schedule=lambda rate: rate,
    num_images={"source": 3, "target": 3},
)


class OnePass:
    """Passes over a source of these labels."""

    def __init__(self, labels):
        self._labels = labels

    def once(self, key, find):
        return find()

    def images(self, domain, function, *, with_labels):
        assert (domain, with_labels) == ("source", True)
        for number, labels in enumerate(self._labels):
            yield np.array([number]), np.asarray(function(None, labels[None]))


def prepared(source_labels):
    term = adaptation.build("patch_adapt", {"patch_adapt": SETTINGS})
    drawn = {
        name: player.init(jax.random.key(number))
        for number, (name, player) in enumerate(term.players(SETUP).items())
    }
    memory = {**term.memory(None, SETUP), **drawn}
    return term, term.before_phase(OnePass(source_labels), memory)


def softmax_twin(logits):
    exponentials = np.exp(np.asarray(logits, np.float64))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_the_pass_clusters_the_sources_patches():
    labels = labels_of(1, 10, 14, count=3)
    _, memory = prepared(labels)
    described = label_patches_twin(labels, 2).reshape(-1, 12)
    # At a fixed point of K-means each centre is the mean of the patches nearest to it.
    centres = np.asarray(memory["centres"])
    nearest = ((described[:, None] - centres) ** 2).sum(-1).argmin(-1)
    assert len(set(nearest)) == 4
    for number in range(4):
        mean = described[nearest == number].mean(0)
        np.testing.assert_allclose(centres[number], mean, atol=1e-5)


def test_losses_equal_their_twins():
    source_labels = labels_of(1, 8, 12, count=3)
    term, memory = prepared(source_labels)
    rng = np.random.default_rng(2)
    logits = {view: rng.normal(size=(1, 8, 12, CLASSES)).astype(np.float32) for view in term.reads}
    outputs = {view: Outputs(each, None) for view, each in logits.items()}
    batch = {"source": {"label": source_labels[:1]}}
    answers = {}
    for view, each in logits.items():
        p = softmax_twin(each).reshape(1, 4, 2, 4, 3, CLASSES).mean((2, 4))
        patches = np.moveaxis(p.reshape(1, 2, 2, 2, 2, CLASSES), 2, 3)
        kernel, bias = (np.asarray(memory["classifier"]["patch"][n]) for n in ("kernel", "bias"))
        x = np.einsum("bijklc,klcd->bijd", patches, kernel) + bias
        x = np.where(x > 0, x, 0.2 * x)
        last = memory["classifier"]["logits"]
        answers[view] = softmax_twin(x @ np.asarray(last["kernel"]) + np.asarray(last["bias"]))

    def judged(p):
        layers = memory["discriminator"]
        for name in ("layer1", "layer2", "layer3"):
            p = p @ np.asarray(layers[name]["kernel"]) + np.asarray(layers[name]["bias"])
            p = p if name == "layer3" else np.where(p > 0, p, 0.2 * p)
        return p

    described = label_patches_twin(source_labels[:1], 2)
    centres = np.asarray(memory["centres"])
    clusters = ((described[..., None, :] - centres) ** 2).sum(-1).argmin(-1)
    picked = np.take_along_axis(answers["source"], clusters[..., None], -1)
    expected = 0.5 * np.mean(-np.log(picked))
    expected += 0.25 * np.mean(np.logaddexp(0, -judged(answers["target"])))
    found = term.loss(outputs, batch, memory)
    np.testing.assert_allclose((found.total / found.count).sum(), expected, rtol=1e-5)
    players = term.player_losses(outputs, batch, memory)
    np.testing.assert_array_equal(players["classifier"].total, found.total)
    of_domains = (
        np.mean(np.logaddexp(0, -judged(answers["source"]))),
        np.mean(np.logaddexp(0, judged(answers["target"]))),
    )
    np.testing.assert_allclose(players["discriminator"].total, np.mean(of_domains), rtol=1e-5)


def test_patches_without_labels_add_nothing():
    term, memory = prepared(labels_of(1, 8, 12, count=3))
    logits = jnp.zeros((1, 8, 12, CLASSES))
    outputs = {view: Outputs(logits, None) for view in term.reads}
    found = term.loss(outputs, {"source": {"label": np.full((1, 8, 12), 255)}}, memory)
    assert (found.total[0], found.count[0]) == (0, 0)
    assert np.isfinite(found.total).all()


def test_there_are_no_more_clusters_than_patches():
    term = adaptation.build("patch_adapt", {})
    assert term.memory(None, SETUP)["centres"].shape == (50, 4 * CLASSES)
    term = adaptation.build("patch_adapt", {"patch_adapt": {"patches": 2}})
    assert term.memory(None, SETUP)["centres"].shape == (12, 4 * CLASSES)


@pytest.mark.parametrize(("field", "value"), [("clusters", 255), ("clusters", 1), ("patches", 0)])
def test_a_setting_that_cannot_be_is_an_error(field, value):
    with pytest.raises(ValueError, match=rf"config\.terms\.patch_adapt: {field} is {value}; it"):
        adaptation.build("patch_adapt", {"patch_adapt": {field: value}})


def test_an_image_has_a_pixel_for_each_cell():
    assert adaptation.build("patch_adapt", {}).smallest_image == 32


def test_the_method_goes_beside_adaptsegnet():
    terms = labor_jax.get_config("uda:patch_adapt").warmup.terms
    assert (terms.adversarial, terms.patch_adapt) == (1e-3, 1.0)
