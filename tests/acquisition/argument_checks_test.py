import jax.numpy as jnp
import pytest

from labor_jax.acquisition.argument_checks import check_image, check_mask, check_natural


def test_fine_arguments_pass():
    check_image("score", jnp.zeros((2, 3)))
    check_mask("mask", jnp.zeros((2, 3), bool), (2, 3))
    assert check_natural("count", True) == 1


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_image("score", jnp.zeros(3)), r"score must be one image .*\(3,\).*vmap"),
        (lambda: check_mask("mask", jnp.zeros(3, bool), (2,)), r"mask must have shape \(2,\)"),
        (lambda: check_mask("mask", jnp.zeros(2), (2,)), "mask must be bool, got float32"),
        (lambda: check_natural("radius", -1), "radius must be 0 or more, got -1"),
    ],
)
def test_others_are_named(check, message):
    with pytest.raises(ValueError, match=message):
        check()


def test_a_fraction_is_no_number_of_things():
    with pytest.raises(TypeError):
        check_natural("count", 1.5)
