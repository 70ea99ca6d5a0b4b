"""Tables of terms: which views and domains they need, and what cannot be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import adaptation, models
from labor_jax.training.state import with_players
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


def test_a_view_of_a_domains_images_is_not_seen_again():
    labels = Reads("labelled", makes={"labelled": ("target",)})
    labels.images_of = {"labelled": "target"}
    terms = Terms({"a": 1.0, "b": 1.0}, {"a": labels, "b": Reads("source")})
    assert terms.reads == terms.domains == ("source", "target")
    seen = terms.of_all_views({"source": 1, "target": 2})
    assert seen == {"source": 1, "target": 2, "labelled": 2}
    labels.images_of = {"labelled": "targets"}
    with pytest.raises(ValueError, match="'targets'; its makes has to name that domain"):
        Terms({"a": 1.0}, {"a": labels})


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


def test_a_sum_of_means_keeps_each_ones_count():
    total, count = Term.sum_of(
        (2.0, Term(jnp.float32(6), 3)), (jnp.float32(0.5), Term(jnp.float32(8), jnp.float32(1)))
    )
    np.testing.assert_array_equal(total, [12, 4])
    np.testing.assert_array_equal(count, [3, 1])


class OfModel(Reads):
    """A term of the model in training, and a player that may look at it."""

    players = None

    def loss(self, outputs, batch, memory, model):
        return Term(jnp.sum(model["weights"]), jnp.ones(()))

    def player_losses(self, outputs, batch, memory, model):
        return {"critic": Term(jnp.sum(model["weights"] * memory["critic"]), jnp.ones(()))}


def test_a_loss_may_take_the_model_and_only_the_terms_gradient_reaches_it():
    terms = Terms({"mine": 1.0, "plain": 1.0}, {"mine": OfModel("source"), "plain": Reads()})
    memory = {"mine": {"critic": jnp.float32(3)}, "plain": {}}

    def totals(weights):
        model = {"weights": weights}
        own = terms.losses({}, {}, memory, model)["mine"].total
        critics = terms.player_losses({}, {}, memory, model)["mine"]["critic"].total
        return own, critics

    weights = jnp.array([1.0, 2.0])
    assert totals(weights) == (3, 9)
    np.testing.assert_array_equal(jax.grad(lambda w: totals(w)[0])(weights), 1)
    np.testing.assert_array_equal(jax.grad(lambda w: totals(w)[1])(weights), 0)


def test_memory_and_losses_of_players_go_by_name():
    mine = OfModel("source")
    mine.memory, mine.player_losses = lambda model: None, lambda outputs, batch, memory: []
    terms = Terms({"mine": 1.0}, {"mine": mine})
    with pytest.raises(ValueError, match=r"memory of the term 'mine'.* NoneType; return a"):
        terms.memory(None)
    with pytest.raises(ValueError, match=r"player_losses of the term 'mine' .* list; return a"):
        terms.player_losses({}, {}, {"mine": {}})


def test_a_player_may_not_have_the_name_of_what_its_term_remembers():
    assert with_players({"mine": {"a": 1}}, {"mine": {"b": 2}}) == {"mine": {"a": 1, "b": 2}}
    with pytest.raises(ValueError, match="memory of the term 'mine' returned 'critic', which is"):
        with_players({"mine": {"critic": 0}, "other": {}}, {"mine": {"critic": 1}})


@pytest.mark.parametrize("shapes", [((2,), ()), ((2, 2), (2, 2)), ((3,), (2,))])
def test_a_term_of_other_shapes_is_an_error(shapes):
    mine = Reads("source")
    mine.loss = lambda outputs, batch, memory: Term(*map(jnp.zeros, shapes))
    with pytest.raises(ValueError, match="loss of the term 'mine' returned"):
        Terms({"mine": 1.0}, {"mine": mine}).losses({}, {}, {"mine": {}})


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


def test_terms_that_use_one_another_in_a_circle_are_named():
    terms = {"a": Counted(uses=("b",)), "b": Counted(uses=("c",)), "c": Counted(uses=("b",))}
    with pytest.raises(ValueError, match="in a circle: b, which uses c, which uses b"):
        Terms({"a": 1.0}, terms)


def test_entries_of_the_memory_that_a_term_leaves_out_stay():
    mine = Counted("source")
    before = {"seen": jnp.zeros(()), "critic": {"w": jnp.ones(2)}}  # a player's parameters
    mine.before_phase = lambda passes, memory: {"seen": memory["seen"] + 2}
    prepared = Terms({"mine": 1.0}, {"mine": mine}).before_phase(None, {"mine": before})
    assert prepared == {"mine": {**before, "seen": 2}}
    updated = Terms({"mine": 1.0}, {"mine": mine}).update(prepared, None, {"mine": jnp.float32(1)})
    assert updated == {"mine": {**before, "seen": 3}}


def test_numbers_of_the_memory_have_a_dtype_that_stays():
    """A weak one would become another after a step, which would be compiled again."""
    mine = Counted("source")
    mine.memory = lambda model: {"seen": jnp.asarray(0.0), "rest": 1.5}
    mine.before_phase = lambda passes, memory: {"seen": memory["seen"] + 2}
    mine.update = lambda memory, model, measured: {"seen": jnp.asarray(7.0)}
    terms = Terms({"mine": 1.0}, {"mine": mine})
    memory = terms.memory(None)
    for found in (
        memory,
        terms.before_phase(None, memory),
        terms.update(memory, None, {"mine": jnp.float32(1)}),
    ):
        for leaf in jax.tree.leaves(found):
            assert leaf.dtype == jnp.float32 and not leaf.weak_type


def test_a_random_key_in_the_memory_is_an_error():
    mine = Counted("source")
    mine.memory = lambda model: {"key": jax.random.key(0)}
    with pytest.raises(ValueError, match=r"memory of the term 'mine'.*keep jax\.random\.key_data"):
        Terms({"mine": 1.0}, {"mine": mine}).memory(None)


def test_a_phase_needs_a_term_that_reads_a_view():
    with pytest.raises(ValueError, match="The terms a read no view"):
        Terms({"a": 1.0, "b": 0.0}, {"a": Reads(), "b": Reads("source")})
    assert Terms({}, {}).reads == ()


@pytest.mark.parametrize("wrong", [None, {"others": 0.0}, {"seen": jnp.zeros(2)}, jnp.zeros(())])
def test_memory_of_another_structure_is_an_error(wrong):
    mine = Counted("source")
    mine.update = lambda memory, model, measured: wrong
    with pytest.raises(ValueError, match="update of the term 'mine' returned memory of another"):
        Terms({"mine": 1.0}, {"mine": mine}).update(
            {"mine": {"seen": jnp.zeros(())}}, None, {"mine": 1.0}
        )


def test_void_is_told_to_terms_that_label_the_target_or_make_it_certain():
    def labels_target(**weights):
        return Terms(weights, adaptation.build_all(weights, {})).labels_target

    assert not labels_target(source_labels=1.0, answers=1.0, candidate_classes=1.0)
    label = ("class_mix", "densified_labels", "conditional_prior", "self_training")
    for name in (*label, "min_entropy", "max_squares", "charbonnier_entropy"):
        assert labels_target(**{name: 1.0})


def test_batch_norm_follows_the_target_else_what_is_asked_for_else_the_last_view():
    plain, asks = Reads("source"), Reads("mixed", makes={"mixed": ("source",)})
    assert Terms({"a": 1}, {"a": plain}).statistics_views == ("source",)
    assert Terms({"a": 1, "b": 1}, {"a": plain, "b": asks}).statistics_views == ("mixed",)
    asks.statistics_of = "target"
    terms = Terms({"a": 1, "b": 1}, {"a": plain, "b": asks})
    assert (terms.statistics_views, terms.domains) == (("target",), ("source", "target"))
    assert terms.reads == ("source", "target", "mixed")
    asks.statistics_of = "source"
    both = Terms({"a": 1, "b": 1}, {"a": Reads("target"), "b": asks})
    assert both.statistics_views == ("target",)


def test_statistics_of_a_view_that_nobody_makes_are_an_error():
    asks = Reads("source")
    asks.statistics_of = "nowhere"
    with pytest.raises(ValueError, match="Term a has in statistics_of the view 'nowhere', which"):
        Terms({"a": 1}, {"a": asks})


def test_batch_norm_follows_the_source_where_a_phase_has_it():
    swapped = Reads("swapped", makes={"swapped": ("source", "target")})
    jittered = Reads("jittered", makes={"jittered": ("target",)})
    jittered.statistics_of = "target"
    read = {"source": Reads("source"), "target": Reads("target")}
    named = {**read, "swapped": swapped, "jittered": jittered}

    def followed(*names):
        terms = Terms(dict.fromkeys(names, 1), named, "source")
        return terms.statistics_views, terms.reads

    for names in (("source", "jittered"), ("target", "jittered")):
        assert followed(*names) == (names[:1], names)
    assert followed("jittered") == (("target",), ("target", "jittered"))
    reads = ("source", "target", "swapped", "jittered")
    assert followed(*reads) == (("source",), reads)
    assert followed("swapped") == (("source",), ("source", "swapped"))


def test_batch_norm_follows_all_that_the_network_sees():
    asks = Reads("jittered", makes={"jittered": ("target",)})
    asks.statistics_of = "target"
    terms = Terms({"a": 1, "b": 1}, {"a": Reads("source"), "b": asks}, "all")
    assert terms.statistics_views == terms.reads == ("source", "target", "jittered")
    with pytest.raises(ValueError, match="running_statistics is 'both'; choose one of: target, "):
        Terms({"a": 1}, {"a": asks}, "both")
