import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.acquisition.argument_checks import (
    check_class_maps,
    check_classes,
    check_image,
    check_mask,
    check_natural,
)


def test_fine_arguments_pass():
    check_image("score", jnp.zeros((2, 3)))
    check_class_maps(np.zeros((2, 3, 2)))
    check_classes(jnp.zeros(2))
    check_mask("mask", jnp.zeros((2, 3), bool), (2, 3))
    assert check_natural("count", True) == 1


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_image("score", jnp.zeros(3)), r"score must be one image .*\(3,\).*vmap"),
        (lambda: check_mask("mask", jnp.zeros(3, bool), (2,)), r"mask must have shape \(2,\)"),
        (lambda: check_mask("mask", jnp.zeros(2), (2,)), "mask must be bool, got float32"),
        (lambda: check_natural("radius", -1), "radius must be 0 or more, got -1"),
        (lambda: check_classes(jnp.zeros((3, 1))), r"at least 2 classes .*\(3, 1\)"),
        (
            lambda: check_class_maps(jnp.zeros((3, 2))),
            r"f32\[\.\.\., H, W, C\], got shape \(3, 2\)",
        ),
    ],
)
def test_others_are_named(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_a_fraction_is_no_number_of_things():
    with pytest.raises(TypeError, match=r"count must be an integer, got 1\.5"):
        check_natural("count", 1.5)


def test_a_list_is_no_array():
    for check in (check_image, lambda name, value: check_mask(name, value, (1, 1))):
        with pytest.raises(TypeError, match="score must be an array, got list"):
            check("score", [[0.0]])
    with pytest.raises(TypeError, match="logits must be an array, got list"):
        check_classes([0.0, 1.0])
