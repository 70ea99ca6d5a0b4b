"""Weight layouts of AdaptSegNet's and ADVENT's models, and of the backbone they start from.

| layout          | names                            | segmenter                            |
|-----------------|----------------------------------|--------------------------------------|
| "adaptsegnet"   | conv1.* to layer4.*, layer5.*    | variant "caffe", head "deeplab_v2",  |
|                 |                                  | `first_two_only`                     |
| "advent"        | conv1.* to layer4.*, layer6.*    | variant "caffe", head "deeplab_v2"   |
| "caffe_deeplab" | Scale.conv1.* to Scale.layer4.*  | variant "caffe"                      |

Models of two levels, of AdaptSegNet and of ADVENT alike, have the auxiliary head layer5.* and the
head layer6.*: set `first_two_only` for AdaptSegNet's, which the file does not show. The auxiliary
head does not take part in predictions and is not loaded; a segmenter keeps its own.
"""

from collections.abc import Collection

from labor_jax.models.segmenter import Segmenter
from labor_jax.models.weights import deeplab_v2, torchvision
from labor_jax.models.weights.layouts import COUNTER, Layout, Path, register_layout

_HOLDS = "a DeepLab of AdaptSegNet's or ADVENT's kind"


def _has(names: Collection[str], table: str) -> bool:
    return any(name.startswith(f"{table}.conv2d_list.") for name in names)


def _misfit(segmenter: Segmenter, names: Collection[str] | None, sums_two: bool) -> str | None:
    problem = torchvision.resnet_misfit(segmenter, "caffe")
    problem = problem or deeplab_v2.head_misfit(segmenter, "deeplab_v2")
    writes = names is None
    if not problem and writes and segmenter.head.first_two_only != sums_two:
        return (
            f"set config.model.first_two_only = {sums_two}: only AdaptSegNet's code sums just the "
            "first two rates"
        )
    return problem


def _layout(head: str, auxiliary: str, sums_two: bool) -> Layout:
    """The layout of a model whose head has the table `head`."""

    def tensor_name(segmenter: Segmenter, path: Path) -> str:
        _, part, *inside = path
        if part == "backbone":
            return torchvision.tensor_name(tuple(inside))
        return f"{head}.{deeplab_v2.head_tensor_name(segmenter.head, tuple(inside))}"

    def recognises(names: Collection[str]) -> bool:
        # A file with both tables has its head in layer6.
        return _has(names, head) and (head == "layer6" or not _has(names, auxiliary))

    return Layout(
        holds=_HOLDS,
        parts=("backbone", "head"),
        recognises=recognises,
        misfit=lambda segmenter, names: _misfit(segmenter, names, sums_two),
        tensor_name=tensor_name,
        is_unused=lambda name: name.endswith(COUNTER) or name.startswith(f"{auxiliary}."),
    )


register_layout("adaptsegnet", _layout("layer5", "layer6", sums_two=True))
register_layout("advent", _layout("layer6", "layer5", sums_two=False))
register_layout(
    "caffe_deeplab",
    Layout(
        holds="a backbone of Caffe's DeepLab",
        parts=("backbone",),
        recognises=lambda names: all(name.startswith("Scale.") for name in names),
        misfit=lambda segmenter, names: torchvision.resnet_misfit(segmenter, "caffe"),
        tensor_name=lambda segmenter, path: f"Scale.{torchvision.tensor_name(path[2:])}",
        # Its head is of other classes.
        is_unused=lambda name: name.endswith(COUNTER) or name.startswith("Scale.layer5."),
    ),
)
