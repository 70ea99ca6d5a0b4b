"""MulActSeg's losses in a batch: which pixels and parts they are means over."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from labor_jax import adaptation, models
from labor_jax.data import label_sets
from tests.adaptation.exact_means import assert_exact_mean

CLASSES = 4
CANDIDATES = np.array([[1, 0, 1, 0], [0, 1, 1, 1], [0, 1, 0, 0], [1, 1, 0, 0]], bool)


def answered(seed, count=4):
    """Logits, and a batch of 8x8 pixels in parts of several classes, of one, and of none."""
    rng = np.random.default_rng(seed)
    parts = rng.integers(-1, len(CANDIDATES), (count, 4, 4)).repeat(2, 1).repeat(2, 2)
    labels = np.where(parts == 2, 1, 255)
    coded = [
        label_sets.coded(*each) for each in zip(labels, [CANDIDATES] * count, parts, strict=True)
    ]
    label, candidates, part = label_sets.split(np.stack(coded))
    logits = rng.normal(scale=2, size=(count, 8, 8, CLASSES)).astype(np.float32)
    return logits, {"target": {"label": label, "candidates": candidates, "part": part}}, parts


def term_of(name, logits, batch):
    outputs = {"target": models.Outputs(jnp.asarray(logits), None)}
    return adaptation.build(name, {}).loss(outputs, batch, {})


def several(parts):
    """Each image's number with each of its parts of several classes."""
    return [
        (image, part)
        for image, row in enumerate(parts)
        for part in np.unique(row)
        if part >= 0 and CANDIDATES[part].sum() > 1
    ]


@hypothesis.given(st.integers(0, 10_000))
def test_each_class_of_a_part_has_its_likeliest_pixel(seed):
    logits, batch, parts = answered(seed, count=2)
    log_p = np.asarray(jax.nn.log_softmax(logits))
    best = [
        log_p[image][parts[image] == part].max(axis=0)[CANDIDATES[part]]
        for image, part in several(parts)
    ]
    term = term_of("prototypical_pixels", logits, batch)
    assert int(term.count) == sum(map(len, best))
    np.testing.assert_allclose(term.total, -sum(row.sum() for row in best), rtol=1e-5, atol=1e-5)


@hypothesis.given(st.integers(0, 10_000))
def test_each_pixel_of_a_part_is_of_one_of_its_classes(seed):
    logits, batch, parts = answered(seed, count=2)
    p = np.asarray(jax.nn.softmax(logits))
    held = [p[i][parts[i] == part][:, CANDIDATES[part]].sum(axis=1) for i, part in several(parts)]
    term = term_of("candidate_classes", logits, batch)
    assert int(term.count) == sum(map(len, held))
    total = -sum(np.log(row).sum() for row in held)
    np.testing.assert_allclose(term.total, total, rtol=1e-5, atol=1e-5)


def test_means_are_exact_however_a_batch_is_cut():
    logits, batch, _ = answered(3)
    for name in ("candidate_classes", "prototypical_pixels"):
        own = adaptation.build(name, {})
        outputs = {"target": models.Outputs(jnp.asarray(logits), None)}
        assert_exact_mean(lambda o, b, own=own: own.loss(o, b, {}), outputs, batch)


def test_without_such_answers_there_is_nothing_to_learn():
    logits, batch, _ = answered(0)
    batch["target"] |= {"candidates": np.zeros((4, 8, 8), np.int32)}
    batch["target"] |= {"part": np.full((4, 8, 8), -1, np.int32)}
    for name in ("candidate_classes", "prototypical_pixels"):
        gradient = jax.grad(lambda z, name=name: term_of(name, z, batch).total)(logits)
        assert term_of(name, logits, batch).count == 0 and not np.asarray(gradient).any()
