"""From `config.model` to a segmenter and its first variables."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from labor_jax.models import registry
from labor_jax.models.batch_norm import BATCH_NORM_MODES
from labor_jax.models.segmenter import Segmenter

DTYPES = ("float32", "bfloat16")
_AUXILIARY_HEAD = "deeplab_v2"  # AdaptSegNet's


def build_segmenter(
    config: Any,
    num_classes: int,
    *,
    axis_name: str | None = None,
    auxiliary: bool = False,
    batch_norm: str | None = None,
) -> Segmenter:
    """Builds the segmenter that a configuration names; allocates nothing.

    A dataclass field of the backbone's or the head's class gets the value of the field of `config`
    that has its name, unless that is None; `num_classes`, `axis_name` and `dtype` are passed the
    same way. All other fields keep their defaults.

    Args:
      config: the section `model` of a config. Always read are
        backbone, head: names, see `register_backbone` and `register_head`.
        batch_norm: "trained", or "frozen": neither statistics nor scale and bias move.
        dtype: "float32" or "bfloat16", the dtype of the computation; logits are float32.
        dropout: share of channels that the head drops in training; None for the head's default.
      num_classes: C, at least 2.
      axis_name: device axis over which batch norm averages its statistics, None for none.
      auxiliary: whether to add an auxiliary head, AdaptSegNet's: the v2 head without dropout.
      batch_norm: overrides `config.batch_norm`.

    Returns:
      The segmenter.

    Raises:
      ValueError: for an unknown name or a value out of range; the message lists the valid ones.
    """
    values = dict(config.items() if hasattr(config, "items") else vars(config))
    if batch_norm is not None:
        values["batch_norm"] = batch_norm
    registry.require_one_of("backbone", values["backbone"], registry.BACKBONES)
    registry.require_one_of("head", values["head"], registry.HEADS)
    registry.require_one_of("batch_norm", values["batch_norm"], BATCH_NORM_MODES)
    registry.require_one_of("dtype", values["dtype"], DTYPES)
    if not 0.0 <= (values["dropout"] or 0.0) < 1.0:
        raise ValueError(f"config.model.dropout is {values['dropout']}; it must lie in [0, 1).")
    if num_classes < 2:
        raise ValueError(
            f"num_classes is {num_classes}; segmentation needs at least 2, such as a "
            "class and background."
        )
    values.update(num_classes=num_classes, axis_name=axis_name, dtype=jnp.dtype(values["dtype"]))
    return Segmenter(
        backbone=registry.build(registry.BACKBONES, values["backbone"], values),
        head=registry.build(registry.HEADS, values["head"], values),
        auxiliary_head=registry.build(registry.HEADS, _AUXILIARY_HEAD, {**values, "dropout": None})
        if auxiliary
        else None,
    )


def init_variables(
    segmenter: nn.Module, key: jax.Array, image_size: tuple[int, int]
) -> dict[str, Any]:
    """Draws a network's variables.

    Args:
      segmenter: from `build_segmenter`, or any linen module that is called with images.
      key: random key.
      image_size: (H, W) of an image; the variables do not depend on it.

    Returns:
      `{"params": …, "batch_stats": …}`, float32, in linen's layout.
    """
    return _drawn(segmenter, key, tuple(image_size))


# Compiled, so that only the random draws remain: the forward pass is dropped as dead code. Once a
# network, since a run draws its variables more than once.
@functools.partial(jax.jit, static_argnums=(0, 2))
def _drawn(segmenter: nn.Module, key: jax.Array, image_size: tuple[int, int]) -> dict[str, Any]:
    # XLA's own generator: each draw by threefry adds half a second of compilation on a CPU.
    key = jax.random.wrap_key_data(jax.random.bits(key, (4,), jnp.uint32), impl="rbg")
    return segmenter.init(key, jnp.zeros((1, *image_size, 3), jnp.float32))


def trainable_mask(
    network: nn.Module, params: Mapping[str, Any], batch_stats: Mapping[str, Any]
) -> Any:
    """Marks the parameters that an optimiser may move.

    Scale and bias of a frozen batch norm get zero gradients, but weight decay or momentum would
    still move them. Give this mask to `optax.masked` or as the `mask` of the weight decay.

    Args:
      network: a segmenter, or any module whose submodules may have a field `batch_norm`: backbone
        and head are each asked for their own.
      params: the network's parameters.
      batch_stats: its running statistics, or their shapes. They tell batch norms from other
        modules with a scale, such as layer norms.

    Returns:
      A tree of bools of the structure of `params`: False for a frozen batch norm's scale and bias.
    """
    batch_norms = {path[:-1] for path in traverse_util.flatten_dict(batch_stats)}

    def is_frozen(path: tuple[str, ...]) -> bool:
        part = getattr(network, path[0], None)
        return path[:-1] in batch_norms and getattr(part, "batch_norm", None) == "frozen"

    return traverse_util.unflatten_dict(
        {path: not is_frozen(path) for path in traverse_util.flatten_dict(params)}
    )
