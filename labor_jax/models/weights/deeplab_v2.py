"""What the layouts of models with DeepLab-v2's head share."""

import re

from labor_jax.models import registry
from labor_jax.models.heads.deeplab_v2 import DeepLabV2
from labor_jax.models.segmenter import Segmenter
from labor_jax.models.weights.layouts import Path, leaf_name


def head_tensor_name(head: DeepLabV2, path: Path) -> str:
    """Names a variable of the head: ("rate12", "kernel") is "conv2d_list.1.weight".

    Args:
      head: whose rates say which branch is which.
      path: of the variable within the head.
    """
    module, leaf = path
    index = head.rates.index(int(re.fullmatch(r"rate(\d+)", module)[1]))
    return f"conv2d_list.{index}.{leaf_name(leaf)}"


def head_misfit(segmenter: Segmenter, *heads: str) -> str | None:
    """Says why the segmenter's head is none of `heads`; None if it is one of them."""
    name = registry.name_of(segmenter.head)
    if name in heads:
        return None
    return f"it has the head {' or '.join(map(repr, heads))}: config.model.head is {name!r}"
