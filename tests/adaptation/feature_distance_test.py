"""DAFormer's feature distance against loops over cells."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import linen as nn

from labor_jax import adaptation, models
from labor_jax.adaptation.feature_distance import FeatureDistance, filled_cells
from tests.adaptation.teacher_terms import SETUP, domain, model, terms
from tests.tiny_model import tiny_segmenter

IS_THING = np.array([False, True, False, True, False])  # "Car" and "person"


def cells_twin(labels, size, share):
    result = np.zeros((len(labels), *size), bool)
    height, width = labels.shape[1:]
    for image, row, column in np.ndindex(*result.shape):
        pixels = [
            labels[image, y, x]
            for y in range(height)
            for x in range(width)
            if y * size[0] // height == row and x * size[1] // width == column
        ]
        result[image, row, column] = any(
            np.mean(np.array(pixels) == c) >= share for c in np.flatnonzero(IS_THING)
        )
    return result


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (16, 24)])
@pytest.mark.parametrize("share", [0.5, 0.75, 1.0])
def test_a_cell_counts_where_one_thing_fills_it(size, share):
    labels = domain(3, answered=0.9)["label"]
    labels[0] = 1
    found = filled_cells(labels, size, IS_THING, share=share)
    np.testing.assert_array_equal(found, cells_twin(labels, size, share))
    assert np.any(found) and not np.all(found)


def in_training(of, images):
    """A model's outputs as the train step has them."""
    outputs, _ = of.network.apply(
        of.variables, models.network_input(images), True, mutable=["batch_stats"]
    )
    return outputs


class FirstWeights:
    """Passes that only know the first model."""

    def first_model(self):
        return model(seed=5)


def test_the_mean_distance_to_the_first_models_features():
    batch, term = {"source": domain(0, answered=0.95)}, FeatureDistance()
    memory = term.before_phase(FirstWeights(), term.memory(model(), SETUP))
    outputs = {"source": in_training(model(), batch["source"]["image"])}
    found = jax.jit(term.loss)(outputs, batch, memory, jax.random.key(1))
    now, first = (
        np.asarray(in_training(m, batch["source"]["image"]).features[-1], np.float64)
        for m in (model(), model(seed=5))
    )
    counted = cells_twin(batch["source"]["label"], now.shape[1:3], 0.75)
    assert found.count == counted.sum() > 0
    expected = np.sqrt(((now - first) ** 2).sum(-1))[counted].mean()
    np.testing.assert_allclose(found.total / found.count, expected, rtol=1e-5)


def test_equal_features_have_no_gradient_instead_of_none():
    batch, term = {"source": domain(0)}, FeatureDistance()
    memory = term.memory(model(), SETUP)
    start = in_training(model(), batch["source"]["image"])

    def loss(last):
        features = start.features.replace(maps=(*start.features.maps[:-1], last))
        outputs = {"source": start._replace(features=features)}
        return term.loss(outputs, batch, memory, jax.random.key(1)).total

    value, gradient = jax.value_and_grad(loss)(start.features[-1])
    assert value == 0 and not np.any(gradient)
    value, gradient = jax.value_and_grad(loss)(start.features[-1] + 1.0)
    assert value > 0 and np.any(gradient)


def test_the_things_must_be_classes():
    term = terms({"feature_distance": 1.0}, feature_distance={"things": ("boat",)})
    with pytest.raises(ValueError, match=r"feature_distance\.things names boat; .* are road, Car"):
        term.memory(model(), SETUP)
    without = dataclasses.replace(SETUP, classes=("road", "sky"))
    with pytest.raises(ValueError, match=r"bicycle\) names no class of the data \(road, sky"):
        FeatureDistance().memory(model(), without)
    assert adaptation.settings("feature_distance")["share"] == 0.75


class WithDropout(nn.Module):
    """A backbone of one layer with dropout."""

    output_stride: int = 4

    @nn.compact
    def __call__(self, images, train=False):
        x = nn.Conv(4, (4, 4), strides=4)(images)
        x = nn.Dropout(0.25, deterministic=not train)(x)
        return models.Features.of_stages([x], [self.output_stride])


def test_a_backbone_may_have_dropout():
    network = models.Segmenter(WithDropout(), tiny_segmenter().head)
    variables = models.init_variables(network, jax.random.key(0), (16, 24))
    first = models.Model(variables=variables, network=network)
    batch = {"source": domain(0, answered=0.95)}
    memory = FeatureDistance().memory(first, SETUP)
    outputs = {"source": first(batch["source"]["image"])}

    def total(key):
        return FeatureDistance().loss(outputs, batch, memory, jax.random.key(key)).total

    assert total(0) == total(0) != total(1)
