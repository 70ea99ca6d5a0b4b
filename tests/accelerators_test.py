"""What GPUs and TPUs get: lowered for them on a machine that has neither.

Queries are lowered in `tests/active/pool_query_test.py`.
"""

import jax
import optax
import pytest

from labor_jax import models
from labor_jax.evaluation.inference import PLAIN, predict_classes
from tests.lowered_programs import operations
from tests.tiny import tiny_config
from tests.training.every_term import (
    CLASSES,
    WEIGHTS,
    both_domains,
    first_state,
    make_step,
    terms,
)

ACCELERATORS = ("cuda", "tpu")
SIZE = (64, 96)


def build(head, dtype):
    config = tiny_config("ripu_ra").model
    config.update(head=head, backbone="resnet18", width=64, stem="imagenet", dtype=dtype)
    config.output_stride = 8
    return models.build_segmenter(config, CLASSES, auxiliary=True)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("deeplab_v2", "float32", 4), marks=pytest.mark.slow),
        ("deeplab_v3plus", "bfloat16", 6),
    ],
    ids=["v2-float32", "v3plus-bfloat16"],
)
def traced_step(request):
    """A step with terms of one head, on a ResNet of the published width.

    And how many convolutions of more than a pixel the head has.
    """
    head, dtype, of_head = request.param
    segmenter, optimizer = build(head, dtype), optax.sgd(0.1, momentum=0.9)
    # The others look at the images through further networks, or through a second head.
    others = ("clan", "patch_adapt", "pseudo_labels")
    loss = terms({name: weight for name, weight in WEIGHTS.items() if name not in others})
    variables = jax.eval_shape(lambda: models.init_variables(segmenter, jax.random.key(0), SIZE))
    state = jax.eval_shape(lambda each: first_state(loss, each, optimizer), variables)
    step = make_step(loss, segmenter, optimizer)
    return jax.jit(step).trace(state, both_domains(size=SIZE)), of_head


@pytest.mark.slow
@pytest.mark.parametrize("platform", ACCELERATORS)
def test_a_training_step(traced_step, platform):
    traced, of_head = traced_step
    held = operations(traced.lower(lowering_platforms=(platform,)))
    # Those of more than a pixel and the one of a pixel with a stride, of backbone, head and
    # auxiliary head, for each domain: forward and for two gradients, but for that of the images.
    by_model = (18 + of_head + 4) * 2 * 3 - 2
    # A discriminator of one convolution: for its own loss on both domains, forward and for its
    # filter; and for the model's loss on the target, forward and for its input.
    by_discriminator = 2 * 2 + 2
    # All of them: no product of shifted or transformed images stands in for one, as on CPUs.
    assert held["convolution"] == by_model + 2 * by_discriminator
    assert held["select_and_scatter"] == 2  # the pooling's own gradient


@pytest.fixture(scope="module")
def traced_evaluation():
    segmenter = build("deeplab_v2", "float32")
    variables = jax.eval_shape(lambda: models.init_variables(segmenter, jax.random.key(0), SIZE))
    images = both_domains(size=SIZE)["target"]["image"]
    return jax.jit(
        lambda variables, images: predict_classes(segmenter, variables, images, SIZE, PLAIN)
    ).trace(variables, images)


@pytest.mark.parametrize("platform", ACCELERATORS)
def test_an_evaluation(traced_evaluation, platform):
    held = operations(traced_evaluation.lower(lowering_platforms=(platform,)))
    # Of backbone and head, for the images once; the auxiliary head has no part in it.
    assert held["convolution"] == 18 + 4
    assert held["reduce_window"] == 1
