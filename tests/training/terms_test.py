"""Tables of terms: which views and domains they need, and what cannot be."""

import jax
import jax.numpy as jnp
import pytest

from labor_jax import models
from labor_jax.training.terms import Setup, Term, Terms
from tests.tiny_model import tiny_segmenter


class Reads:
    def __init__(self, *reads, makes=None):
        self.reads, self.makes = reads, makes or {}

    def loss(self, outputs, batch, memory):
        return Term(jnp.zeros(()), jnp.ones(()))


def test_terms_of_weight_zero_are_left_out():
    terms = Terms({"a": 1.0, "b": 0.0}, {"a": Reads("source"), "b": Reads("target")})
    assert (terms.reads, terms.domains, set(terms.weights)) == (("source",), ("source",), {"a"})


def test_a_view_needs_what_it_is_made_of_and_is_read_once():
    mixed = Reads("mixed", makes={"mixed": ("source", "target")})
    terms = Terms({"a": 1, "b": 1, "c": 1}, {"a": mixed, "b": Reads("mixed"), "c": Reads("target")})
    assert terms.reads == ("target", "mixed")
    assert terms.domains == ("source", "target")


def test_a_view_that_nobody_makes_is_an_error():
    with pytest.raises(ValueError, match="Term a reads the view 'mixed', which no term"):
        Terms({"a": 1.0}, {"a": Reads("mixed")})
    maker = Reads("mixed", makes={"mixed": ("source",)})
    with pytest.raises(ValueError, match="which no term of this phase makes"):
        Terms({"a": 1.0, "maker": 0.0}, {"a": Reads("mixed"), "maker": maker})


@pytest.mark.parametrize("view", ["mixed", "target"])
def test_two_makers_of_a_view_are_an_error(view):
    makers = {name: Reads(view, makes={view: ("source",)}) for name in "ab"}
    with pytest.raises(ValueError, match=f"makes the view '{view}', which"):
        Terms({"a": 1.0, "b": 1.0}, makers)


def test_a_mean_as_a_term():
    total, count = Term.of_mean(jnp.float32(2.5), 4)
    assert (total, count, count.dtype) == (10, 4, jnp.float32)


@pytest.mark.parametrize("size", [(16, 24), (20, 12)])
def test_a_term_may_know_the_shape_of_features(size):
    network = tiny_segmenter()
    setup = Setup(num_classes=5, image_size=size, schedule=lambda rate: rate, network=network)
    variables = models.init_variables(network, jax.random.key(0), size)
    features = network.apply(variables, jnp.zeros((1, *size, 3))).features[-1]
    assert setup.feature_shape() == features.shape[1:]
