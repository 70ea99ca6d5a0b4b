"""torchvision's ResNets: "conv1.weight", "layer1.0.conv1.weight" and so on, a backbone alone."""

import re
from collections.abc import Collection

from labor_jax.models import registry
from labor_jax.models.backbones.resnet import ResNet
from labor_jax.models.segmenter import Segmenter
from labor_jax.models.weights.layouts import COUNTER, Layout, Path, leaf_name, register_layout

_MODULES = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}
_NAME = re.compile(r"layer[1-4]\..*")
_HEADS = ("layer5.conv2d_list.", "layer6.conv2d_list.")  # of whole models, see `caffe`


def tensor_name(path: Path) -> str:
    """Names a ResNet's variable: ("layer1_0", "conv1", "kernel") is "layer1.0.conv1.weight".

    Args:
      path: of the variable within the backbone.
    """
    *modules, leaf = path
    modules = [_MODULES.get(each, re.sub(r"_(\d+)$", r".\1", each)) for each in modules]
    return ".".join([*modules, leaf_name(leaf)])


def resnet_misfit(segmenter: Segmenter, variant: str) -> str | None:
    """Why the segmenter's backbone is not a ResNet of this variant; None if it is."""
    if not isinstance(segmenter.backbone, ResNet):
        return (
            f"its backbone is a ResNet of config.model.variant {variant!r}, but "
            f"config.model.backbone is {registry.name_of(segmenter.backbone)!r}: set the file's "
            "('resnet101' in published models)"
        )
    if segmenter.backbone.variant != variant:
        return (
            f"the shapes fit, but config.model.variant = {segmenter.backbone.variant!r} computes "
            f"another network: set {variant!r}"
        )
    return None


def _recognises(names: Collection[str]) -> bool:
    return any(map(_NAME.fullmatch, names)) and not any(name.startswith(_HEADS) for name in names)


register_layout(
    "torchvision",
    Layout(
        holds="a torchvision backbone",
        parts=("backbone",),
        recognises=_recognises,
        misfit=lambda segmenter, names: resnet_misfit(segmenter, "torchvision"),
        tensor_name=lambda segmenter, path: tensor_name(path[2:]),
        is_unused=lambda name: name.endswith(COUNTER) or name.startswith("fc."),
    ),
)
