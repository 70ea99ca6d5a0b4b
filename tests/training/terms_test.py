"""Tables of terms: which views and domains they need, and what cannot be."""

import jax
import jax.numpy as jnp
import pytest

from labor_jax.training.terms import Term, Terms


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


class Counted(Reads):
    """A term with memory and a view, which others use."""

    def __init__(self, *reads, uses=(), **options):
        super().__init__(*reads, **options)
        self.uses = uses

    def memory(self, model):
        return {"seen": jnp.zeros(())}

    def views(self, key, batch, memory):
        return {view: {"image": len(batch)} for view in self.makes}

    def measure(self, batch, memory):
        return jnp.float32(len(batch))

    def update(self, memory, model, measured):
        return {"seen": memory["seen"] + measured}


def test_a_term_brings_those_it_uses_before_itself_and_without_their_loss():
    helper = Counted("helped", makes={"helped": ("target",)})
    user = Counted("own", makes={"own": ("source",)}, uses=("helper",))
    terms = Terms({"user": 1.0, "helper": 0.0}, {"user": user, "helper": helper})
    assert list(terms.terms) == ["helper", "user"] and list(terms.weights) == ["user"]
    assert terms.reads == ("own",) and terms.domains == ("source", "target")
    memory = terms.memory(None)
    views = terms.add_views(jax.random.key(0), {"source": {}, "target": {}}, memory)
    assert views["own"]["image"] == 3  # the used term's view is among them
    assert set(terms.losses({}, views, memory)) == {"user"}
    updated = terms.update(memory, None, terms.measure(views, memory))
    assert updated == {"helper": {"seen": 4}, "user": {"seen": 4}}


def test_batch_norm_follows_the_target_else_what_is_asked_for_else_the_last_view():
    plain, asks = Reads("source"), Reads("mixed", makes={"mixed": ("source",)})
    assert Terms({"a": 1}, {"a": plain}).statistics_view == "source"
    assert Terms({"a": 1, "b": 1}, {"a": plain, "b": asks}).statistics_view == "mixed"
    asks.statistics_of = "target"
    terms = Terms({"a": 1, "b": 1}, {"a": plain, "b": asks})
    assert (terms.statistics_view, terms.domains) == ("target", ("source", "target"))
    assert terms.reads == ("source", "target", "mixed")
    asks.statistics_of = "source"
    both = Terms({"a": 1, "b": 1}, {"a": Reads("target"), "b": asks})
    assert both.statistics_view == "target"
