"""The segmentation model f_theta o g_phi: a backbone g_phi and a classifier f_theta.

LabOR trains the two apart (arXiv 2108.05570, Eq. 4), so everything here works on either part as
well as on the whole. All functions are pure; variables are nested dicts:
`{"backbone": {"params", "batch_stats"}, "classifier": {"params", "batch_stats"}}`, where
"batch_stats" is an empty dict for a part without batch norm. A model in training may have a third
part, "auxiliary", whose prediction counts in the loss alone.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import traverse_util

from labor_jax.models.deeplab import HEADS, DeepLabV2, DeepLabV3Plus
from labor_jax.models.efficientnet_lite import EfficientNetLite0
from labor_jax.models.features import Features
from labor_jax.models.layers import BATCH_NORM_MODES, resize_bilinear_align_corners
from labor_jax.models.resnet import RESNETS, STEMS, VARIANTS, ResNet

BACKBONES = (*RESNETS, "efficientnet_lite0")
DTYPES = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Segmenter:
    """The modules of a segmentation model; hashable, so it can be a static argument of `jit`.

    Attributes:
      backbone: g_phi, images to `Features`.
      classifier: f_theta, `Features` to logits.
      num_classes: C.
      auxiliary: a second classifier, of `Features.middle`, that only training looks at; or None.
    """

    backbone: nn.Module
    classifier: nn.Module
    num_classes: int
    auxiliary: nn.Module | None = None


def _require(field: str, value: Any, valid: tuple) -> None:
    if value not in valid:
        raise ValueError(f"config.model.{field} is {value!r}; valid: {', '.join(map(str, valid))}.")


def build_segmenter(
    config: Any, num_classes: int, *, axis_name: str | None = None, auxiliary: bool = False
) -> Segmenter:
    """Builds the modules that a configuration names; allocates nothing.

    Args:
      config: the `model` part of the configuration, with the fields
        backbone: one of `BACKBONES`.
        width: channels of the first stage, ResNets only; 64 is the published network.
        stem: "imagenet" or "small" (half the stride, for small images), ResNets only.
        variant: "torchvision", or "caffe" for AdaptSegNet's and ADVENT's weights, ResNets only;
          may be absent, then "torchvision".
        output_stride: stride of the high-level features; smaller is finer and slower.
        batch_norm: "trained", or "frozen": neither statistics nor scale and bias move.
        head: "deeplab_v2" or "deeplab_v3plus".
        head_channels: channels of the v3+ head (512 in RIPU); not used by v2.
        first_two_only: whether the v2 head sums only its first two rates, as AdaptSegNet's
          weights need; not used by v3+; may be absent, then False.
        dropout: share of channels that the head drops in training; None for the published head's.
        dtype: "float32" or "bfloat16", the dtype of the computation.
        remat: whether the backbone's gradient computes activations again instead of keeping them;
          may be absent, then not.
      num_classes: C, at least 2.
      axis_name: device axis over which batch norm averages its statistics, None for none.
      auxiliary: whether there is an auxiliary classifier, AdaptSegNet's: the v2 head.

    Returns:
      The segmenter.

    Raises:
      ValueError: for an unknown name or a value out of range; the message lists the valid ones.
    """
    _require("backbone", config.backbone, BACKBONES)
    _require("head", config.head, HEADS)
    _require("batch_norm", config.batch_norm, BATCH_NORM_MODES)
    _require("dtype", config.dtype, DTYPES)
    dropout = {} if config.dropout is None else {"dropout": config.dropout}
    if not 0.0 <= dropout.get("dropout", 0.0) < 1.0:
        raise ValueError(f"config.model.dropout is {config.dropout}; it must lie in [0, 1).")
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}; segmentation needs at least 2.")
    dtype = jnp.dtype(config.dtype)
    variant = getattr(config, "variant", "torchvision")
    first_two_only = getattr(config, "first_two_only", False)
    remat = getattr(config, "remat", False)
    shared = {"batch_norm": config.batch_norm, "axis_name": axis_name, "dtype": dtype}
    if config.backbone in RESNETS:
        _require("stem", config.stem, STEMS)
        _require("variant", variant, VARIANTS)
        _require("output_stride", config.output_stride, ResNet.output_strides(config.stem))
        if config.width < 1:
            raise ValueError(f"config.model.width is {config.width}; it must be at least 1.")
        backbone = ResNet(
            layout=config.backbone,
            width=config.width,
            stem=config.stem,
            variant=variant,
            output_stride=config.output_stride,
            remat=remat,
            **shared,
        )
    else:
        _require("output_stride", config.output_stride, EfficientNetLite0.output_strides())
        backbone = EfficientNetLite0(output_stride=config.output_stride, remat=remat, **shared)
    v2_head = DeepLabV2(num_classes, first_two_only=first_two_only, dtype=dtype)
    if config.head == "deeplab_v2":
        classifier = v2_head.clone(**dropout)
    else:
        if config.head_channels < 1:
            raise ValueError(
                f"config.model.head_channels is {config.head_channels}; it must be at least 1."
            )
        classifier = DeepLabV3Plus(num_classes, channels=config.head_channels, **dropout, **shared)
    return Segmenter(backbone, classifier, num_classes, v2_head if auxiliary else None)


def init_variables(
    segmenter: Segmenter, key: jax.Array, image_size: tuple[int, int]
) -> dict[str, Any]:
    """Draws the variables of all parts.

    Args:
      segmenter: from `build_segmenter`.
      key: random key.
      image_size: (H, W) of an image; shapes of variables do not depend on it.

    Returns:
      {"backbone": {"params", "batch_stats"}, "classifier": {"params", "batch_stats"}}, float32;
      with an auxiliary classifier also "auxiliary".
    """

    # Compiled: only the random draws are left, the forward pass is dropped as dead code.
    @jax.jit
    def init(key):
        # XLA's own generator: each draw by threefry adds half a second of compilation on a CPU.
        key = jax.random.wrap_key_data(jax.random.bits(key, (4,), jnp.uint32), impl="rbg")
        backbone_key, classifier_key = jax.random.split(key)
        images = jnp.zeros((1, *image_size, 3), jnp.float32)
        features, backbone = segmenter.backbone.init_with_output(backbone_key, images)
        drawn = {
            "backbone": backbone,
            "classifier": segmenter.classifier.init(classifier_key, features),
        }
        if segmenter.auxiliary is not None:
            seen = _seen_by_auxiliary(features)
            drawn["auxiliary"] = segmenter.auxiliary.init(jax.random.fold_in(key, 2), seen)
        return {
            part: {"params": variables["params"], "batch_stats": variables.get("batch_stats", {})}
            for part, variables in drawn.items()
        }

    return init(key)


def _apply_part(module, variables, inputs, train, rngs):
    """Applies a module; returns its output and its batch statistics, new ones when training."""
    batch_stats = variables.get("batch_stats", {})
    if train and batch_stats:
        outputs, updated = module.apply(
            variables, inputs, train=True, rngs=rngs, mutable=["batch_stats"]
        )
        return outputs, updated["batch_stats"]
    return module.apply(variables, inputs, train=train, rngs=rngs), batch_stats


def extract(
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    images: jax.Array,
    *,
    train: bool = False,
    rngs: Mapping[str, jax.Array] | None = None,
) -> tuple[Features, Any]:
    """Applies g_phi.

    Args:
      segmenter: from `build_segmenter`.
      variables: of the backbone, {"params", "batch_stats"}.
      images: f32[B, H, W, 3], normalised.
      train: whether batch norm uses and updates batch statistics (unless frozen).
      rngs: random keys; the backbones here need none.

    Returns:
      Features, and the backbone's batch statistics: updated ones when `train`.
    """
    return _apply_part(segmenter.backbone, variables, images, train, rngs)


def coarse_logits(
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    features: Features,
    *,
    train: bool = False,
    rngs: Mapping[str, jax.Array] | None = None,
) -> tuple[jax.Array, Any]:
    """Applies f_theta, without upsampling.

    Args:
      segmenter: from `build_segmenter`.
      variables: of the classifier, {"params", "batch_stats"}.
      features: from `extract`.
      train: see `classify`.
      rngs: see `classify`.

    Returns:
      f32[B, h, w, C] logits at the resolution that the head has, and the classifier's batch
      statistics: updated ones when `train`.
    """
    return _apply_part(segmenter.classifier, variables, features, train, rngs)


def classify(
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    features: Features,
    size: tuple[int, int],
    *,
    train: bool = False,
    rngs: Mapping[str, jax.Array] | None = None,
) -> tuple[jax.Array, Any]:
    """Applies f_theta, `coarse_logits`, and upsamples its logits bilinearly with aligned corners.

    Args:
      segmenter: from `build_segmenter`.
      variables: of the classifier, {"params", "batch_stats"}.
      features: from `extract`.
      size: (H, W) of the logits.
      train: whether batch norm and dropout are in training.
      rngs: {"dropout": key}, needed when `train` and the head's dropout is above 0.

    Returns:
      f32[B, H, W, C] logits, and the classifier's batch statistics: updated ones when `train`.
    """
    logits, batch_stats = coarse_logits(segmenter, variables, features, train=train, rngs=rngs)
    return resize_bilinear_align_corners(logits, size), batch_stats


def classify_auxiliary(
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    features: Features,
    size: tuple[int, int],
    *,
    train: bool = False,
    rngs: Mapping[str, jax.Array] | None = None,
) -> tuple[jax.Array, Any]:
    """As `classify`, by the auxiliary classifier of AdaptSegNet's two levels (arXiv 1802.10349).

    Args:
      segmenter: from `build_segmenter(…, auxiliary=True)`.
      variables: of the auxiliary classifier, {"params", "batch_stats"}.
      features: from `extract`; `middle` is used.
      size: (H, W) of the logits.
      train: see `classify`.
      rngs: see `classify`.

    Returns:
      f32[B, H, W, C] logits, and the auxiliary classifier's batch statistics.
    """
    level = dataclasses.replace(segmenter, classifier=segmenter.auxiliary)
    seen = _seen_by_auxiliary(features)
    return classify(level, variables, seen, size, train=train, rngs=rngs)


def _seen_by_auxiliary(features: Features) -> Features:
    return features._replace(high=features.middle)


def apply(
    segmenter: Segmenter,
    variables: Mapping[str, Any],
    images: jax.Array,
    *,
    train: bool = False,
    size: tuple[int, int] | None = None,
    rngs: Mapping[str, jax.Array] | None = None,
) -> tuple[jax.Array, dict[str, Any]]:
    """Applies the whole model, `classify` after `extract`.

    Args:
      segmenter: from `build_segmenter`.
      variables: from `init_variables`.
      images: f32[B, H, W, 3], normalised.
      train: see `extract` and `classify`.
      size: (H, W) of the logits; the images' size where None.
      rngs: see `classify`.

    Returns:
      f32[B, H, W, C] logits, and {"backbone": batch statistics, "classifier": batch statistics}.
    """
    features, backbone_stats = extract(
        segmenter, variables["backbone"], images, train=train, rngs=rngs
    )
    logits, classifier_stats = classify(
        segmenter,
        variables["classifier"],
        features,
        size or images.shape[1:3],
        train=train,
        rngs=rngs,
    )
    return logits, {"backbone": backbone_stats, "classifier": classifier_stats}


def trainable_mask(segmenter: Segmenter, params: Mapping[str, Any]) -> Any:
    """Marks the parameters that an optimiser may move.

    Under frozen batch norm scale and bias get zero gradients, but weight decay or momentum would
    still move them; give this mask to `optax.masked` or to the `mask` of the weight decay.

    Args:
      segmenter: from `build_segmenter`.
      params: a (sub)tree of parameters of any part or of all.

    Returns:
      A tree of bools of the same structure: False for a frozen batch norm's scale and bias.
    """
    frozen = segmenter.backbone.batch_norm == "frozen"
    flat = traverse_util.flatten_dict(params)
    # "scale" is a batch norm's alone; its module's "bias" is not a convolution's.
    return traverse_util.unflatten_dict(
        {path: not (frozen and (*path[:-1], "scale") in flat) for path in flat}
    )
