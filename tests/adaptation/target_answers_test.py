"""What is void is neither labelled nor made certain."""

import jax
import numpy as np
import pytest

from labor_jax import adaptation, models


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("min_entropy", {}),
        ("max_squares", {"image_wise": False}),
        ("max_squares", {"image_wise": True}),
        ("charbonnier_entropy", {}),
    ],
)
def test_void_is_not_made_certain(name, settings):
    term = adaptation.build(name, {name: settings})
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 4, 6, 5)).astype(np.float32)
    void = rng.random((2, 4, 6)) < 0.4
    image = np.zeros((2, 4, 6, 3), np.uint8)

    @jax.jit
    def mean(logits, target):
        loss = term.loss({"target": models.Outputs(logits, None)}, {"target": target}, {})
        return loss.total / loss.count

    target = {"image": image, "void": void}
    gradient = jax.jit(jax.grad(mean))(logits, target)
    assert not np.any(gradient[void]) and np.all(np.any(gradient[~void], axis=-1))
    changed = np.where(void[..., None], logits[..., ::-1], logits)
    np.testing.assert_array_equal(mean(changed, target), mean(logits, target))
    # Where nothing is void, or batches don't tell, all pixels count.
    everywhere = mean(logits, {"image": image, "void": np.zeros_like(void)})
    np.testing.assert_allclose(mean(logits, {"image": image}), everywhere, rtol=1e-6)
    assert abs(everywhere - mean(logits, target)) > 1e-5


@pytest.mark.parametrize("name", ["min_entropy", "max_squares", "charbonnier_entropy"])
def test_an_image_of_void_alone_counts_nothing(name):
    term = adaptation.build(name, {})
    target = {"image": np.zeros((1, 4, 6, 3), np.uint8), "void": np.ones((1, 4, 6), bool)}
    outputs = {"target": models.Outputs(np.ones((1, 4, 6, 5), np.float32), None)}
    loss = term.loss(outputs, {"target": target}, {})
    assert loss.total == 0 and loss.count == 0
