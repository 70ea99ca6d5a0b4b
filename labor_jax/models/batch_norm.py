"""Batch normalisation, trained or frozen."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.ops.varying import vary_together

BATCH_NORM_MODES = ("trained", "frozen")


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, computed in float32.

    In mode "trained", a call with `train=True` normalises by the batch's own mean and variance and
    moves the running ones towards them; a call with `train=False` normalises by the running ones.
    In mode "frozen" the running statistics are always used and never move, and scale and bias get a
    gradient of exactly zero. They stay in "params", so both modes have the same variables. Mask
    weight decay for them with `labor_jax.models.trainable_mask`.

    Attributes:
      mode: "trained" or "frozen".
      epsilon: added to the variance.
      momentum: share of the old running statistic that a training call keeps.
      axis_name: the device axis over which batch statistics are averaged, or None for one device.
      dtype: dtype of the result.
    """

    mode: str = "trained"
    epsilon: float = 1e-5
    momentum: float = 0.9
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: jax.Array, train: bool) -> jax.Array:
        """Normalises `inputs`, floating [..., C], to `dtype` of the same shape.

        Raises:
          ValueError: The mode is none of the two. Or it is to normalise by the batch, which has one
            value a channel.
        """
        if self.mode not in BATCH_NORM_MODES:
            raise ValueError(
                f"the mode of batch norm is {self.mode!r}; choose one of: "
                f"{', '.join(BATCH_NORM_MODES)}"
            )
        channels = inputs.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32)
        if self.mode == "frozen":
            scale, bias = jax.lax.stop_gradient((scale, bias))
        if self.mode == "frozen" or not train:
            multiplier = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
            centred = inputs.astype(jnp.float32) - running_mean.value
            return (centred * multiplier + bias).astype(self.dtype)
        axis_name = None if self.is_initializing() else self.axis_name
        if not self.is_initializing():
            _check_variance(inputs.shape, axis_name)
        inputs, affine = vary_together(inputs, jnp.stack([scale, bias]))
        outputs, mean, var = _normalize_by_batch(
            inputs, affine, running_mean.value, self.epsilon, axis_name
        )
        if not self.is_initializing():
            keep = self.momentum
            running_mean.value = keep * running_mean.value + (1 - keep) * mean
            running_var.value = keep * running_var.value + (1 - keep) * var
        return outputs.astype(self.dtype)


def _check_variance(shape: tuple[int, ...], axis_name: str | None) -> None:
    """Refuses batches of one value a channel: normalised, it is always 0."""
    devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    if math.prod(shape[:-1]) * devices == 1:
        raise ValueError(
            "trained batch norm gets one value a channel, as where deeplab_v3plus pools one image "
            "to one pixel. Take two images or more at a time, by the batch sizes and "
            "config.per_device_batch_size, or set config.model.batch_norm to 'frozen'."
        )


@functools.partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _normalize_by_batch(inputs, affine, shift, epsilon, axis_name):
    """Normalises by the batch's statistics.

    The gradient has a rule of its own, because autodiff reads the images once more for each moment.
    With it a layer takes two thirds of the time on a CPU.

    Args:
      inputs: floating [..., C].
      affine: f32[2, C], scale and bias.
      shift: f32[C], around which the moments are computed; it gets no gradient.
      epsilon: added to the variance.
      axis_name: the device axis of the statistics, or None.

    Returns:
      f32[..., C], and mean and variance, f32[C], which carry no gradient back.
    """
    return _normalize_forward(inputs, affine, shift, epsilon, axis_name)[0]


def _mean_over_devices(values, axis_name):
    return values if axis_name is None else jax.lax.pmean(values, axis_name)


def _normalize_forward(inputs, affine, shift, epsilon, axis_name):
    axes = tuple(range(inputs.ndim - 1))
    x = inputs.astype(jnp.float32)
    # One pass and one reduction over devices for both moments. Centring at the running mean keeps
    # E[x^2] - E[x]^2 from cancelling once the running mean is near the batch's.
    centred = x - shift
    moments = jnp.stack([jnp.mean(centred, axes), jnp.mean(jnp.square(centred), axes)])
    moments = _mean_over_devices(moments, axis_name)
    var = jnp.maximum(moments[1] - jnp.square(moments[0]), 0.0)
    mean = moments[0] + shift
    inverse_deviation = jax.lax.rsqrt(var + epsilon)
    outputs = (x - mean) * (affine[0] * inverse_deviation) + affine[1]
    return (outputs, mean, var), (inputs, affine, mean, inverse_deviation)


def _normalize_backward(epsilon, axis_name, residuals, cotangents):
    inputs, affine, mean, inverse_deviation = residuals
    cotangent = cotangents[0]
    axes = tuple(range(inputs.ndim - 1))
    centred = inputs.astype(jnp.float32) - mean
    affine_gradient = jnp.stack(
        [jnp.sum(cotangent * centred, axes) * inverse_deviation, jnp.sum(cotangent, axes)]
    )
    # The gradient loses its components along the normalised input and along ones.
    pixels = math.prod(inputs.shape[:-1])
    along_input, along_ones = _mean_over_devices(affine_gradient / pixels, axis_name)
    inputs_gradient = (affine[0] * inverse_deviation) * (
        cotangent - along_ones - centred * (along_input * inverse_deviation)
    )
    return inputs_gradient.astype(inputs.dtype), affine_gradient, jnp.zeros_like(mean)


_normalize_by_batch.defvjp(_normalize_forward, _normalize_backward)
