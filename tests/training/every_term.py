"""A tiny network, a batch of both domains and every term, for tests of the step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from labor_jax import adaptation, models
from labor_jax.training.state import create_state, with_players
from labor_jax.training.step import make_train_step
from labor_jax.training.terms import Player, Terms
from tests.tiny_model import tiny_segmenter

CLASSES = 5
RATE = 0.1
WEIGHTS = {
    "source_labels": 0.5,
    "answers": 2.0,
    "adversarial": 0.25,
    "local_consistency": 1.5,
    "negative_learning": 0.75,
    "min_entropy": 0.4,
    "max_squares": 0.9,
    "charbonnier_entropy": 1.2,
    "auxiliary_source_labels": 0.3,
    "auxiliary_adversarial": 0.6,
    "pseudo_labels": 0.8,
    "clan": 0.8,
    "patch_adapt": 0.7,
}
CLUSTERS = 3
SETTINGS = {  # the tiny model isn't sure of much
    "pseudo_labels": {"threshold": 0.5},
    "clan": {"adversarial_weight": 0.5, "discrepancy_weight": 0.5, "start": 0.0},
    "patch_adapt": {
        "clusters": CLUSTERS,
        "patches": 4,
        "classification_weight": 1.0,
        "adversarial_weight": 0.5,
    },
}
PLAYERS = {
    "adversarial": ("discriminator",),
    "auxiliary_adversarial": ("discriminator",),
    "clan": ("discriminator", "second_head"),
    "patch_adapt": ("discriminator", "classifier"),
}
"""The terms with players, and their names."""


class TinyDiscriminator(nn.Module):
    """A single strided convolution."""

    @nn.compact
    def __call__(self, maps):
        return nn.Conv(1, (4, 4), strides=4, name="conv")(maps)


def with_tiny_discriminator(term):
    """An adversarial term whose discriminator takes images of any size."""

    class Tiny(type(term)):
        def _module(self):
            return TinyDiscriminator()

    return Tiny(**vars(term))


def terms(weights=None, running_statistics="target", **settings):
    """Terms of these weights; `settings` are those of `adversarial`."""
    weights = WEIGHTS if weights is None else weights
    built = {}
    for name, weight in weights.items():
        if weight:
            built[name] = adaptation.build(name, {**SETTINGS, "adversarial": settings})
            if hasattr(built[name], "players"):
                built[name] = with_tiny_discriminator(built[name])
    return Terms(weights, built, running_statistics)


def only(name, weight=1.0, **settings):
    return terms({name: weight}, **settings)


def discriminator_params(seed):
    maps = jnp.zeros((1, 8, 8, CLASSES))
    return jax.jit(TinyDiscriminator().init)(jax.random.key(seed), maps)["params"]


@functools.cache
def player_params(term, player):
    """First parameters: of a tiny discriminator, a second head, or a network of patches."""
    with jax.ensure_compile_time_eval():  # they are kept, also if the first call is under a trace
        return _player_params(term, player)


def _player_params(term, player):
    if player == "discriminator" and term != "patch_adapt":
        return discriminator_params(2 + list(PLAYERS).index(term))
    if term == "clan":
        segmenter = tiny_segmenter(CLASSES, auxiliary=True)
        drawn = models.init_variables(segmenter, jax.random.key(5), (16, 24))
        return {"head": drawn["params"]["head"]}
    own = adaptation.build(term, SETTINGS).players(SETUP)
    return own[player].init(jax.random.key(6))


@functools.cache
def players(names):
    """The players of these terms, trained by plain descent."""
    return {
        term: {
            player: Player(
                # A step that donates its state must not take the cached arrays along.
                lambda key, term=term, player=player: jax.tree.map(
                    jnp.copy, player_params(term, player)
                ),
                optax.sgd(RATE),
            )
            for player in own
        }
        for term, own in PLAYERS.items()
        if term in names
    }


SETUP = adaptation.Setup(
    num_classes=CLASSES,
    image_size=(16, 24),
    schedule=lambda rate: rate,
    num_images={"source": 4, "target": 4},
    steps=20,
)


def centres():
    """Clusters of patches, as if a pass had found them."""
    return np.random.default_rng(4).random((CLUSTERS, 4 * CLASSES), np.float32)


def domain(seed, size=(16, 24), count=2):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, (count, size[0] // 4, size[1] // 4), np.int32)
    labels = labels.repeat(4, 1).repeat(4, 2)
    labels[rng.random(labels.shape) < 0.3] = 255
    return {"image": rng.integers(0, 256, (count, *size, 3), np.uint8), "label": labels}


def both_domains(count=2, size=(16, 24)):
    return {"source": domain(0, size, count), "target": domain(1, size, count)}


@functools.cache
def variables(batch_norm="trained"):
    """A model's whose head is sure enough for negative learning: some classes are improbable."""
    segmenter = tiny_segmenter(CLASSES, batch_norm=batch_norm, auxiliary=True)
    drawn = models.init_variables(segmenter, jax.random.key(0), (16, 24))
    return louder(drawn)


def louder(variables):
    params = dict(variables["params"])
    params["head"] = jax.tree.map(lambda x: 4 * x, params["head"])
    return {**variables, "params": params}


def first_state(loss, model=None, optimizer=None, seed=7):
    own = players(tuple(loss.terms))
    params = {term: {name: each.init(None) for name, each in own[term].items()} for term in own}
    model = model or variables()
    kept = models.Model(variables=model, network=tiny_segmenter(CLASSES, auxiliary=True))
    # A copy, since a step may donate the state's buffers, and each only once.
    memory = jax.tree.map(jnp.copy, with_players(loss.memory(kept, SETUP), params))
    if "patch_adapt" in memory:
        memory["patch_adapt"]["centres"] = jnp.asarray(centres())
    return create_state(
        model,
        optimizer or optax.sgd(RATE),
        jax.random.key(seed),
        memory=memory,
        players=own,
    )


def make_step(loss, segmenter=None, optimizer=None, axis_name=None, **options):
    return make_train_step(
        segmenter or tiny_segmenter(CLASSES, auxiliary=True),
        optimizer or optax.sgd(RATE),
        loss,
        players=players(tuple(loss.terms)),
        axis_name=axis_name,
        **options,
    )


def assert_close(actual, expected, **tolerance):
    tolerance = {"rtol": 1e-4, "atol": 1e-6, **tolerance}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), actual, expected)


def assert_equal(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def running_statistics(state):
    """The first batch norm's."""
    return state.variables["batch_stats"]["backbone"]["bn1"]


@jax.jit
def followed(images):
    """The tiny backbone's running statistics after one batch."""
    features = jax.lax.conv_general_dilated(
        models.normalize_images(images),
        variables()["params"]["backbone"]["conv1"]["kernel"],
        (2, 2),
        [(1, 1), (1, 1)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    before = variables()["batch_stats"]["backbone"]["bn1"]
    return {
        "mean": 0.9 * before["mean"] + 0.1 * features.mean((0, 1, 2)),
        "var": 0.9 * before["var"] + 0.1 * features.var((0, 1, 2)),
    }
