"""How far an exported file's logits are from the package's."""

import contextlib
import functools
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from labor_jax.data import Pair
from labor_jax.data.transforms import resize_image
from labor_jax.deployment.errors import ExportError
from labor_jax.deployment.formats import Format
from labor_jax.deployment.network import Network


class Difference(NamedTuple):
    """Between an exported file and the package, on some images.

    Attributes:
      images: which: "two random images", or "the image NAME".
      largest: largest absolute difference of two logits.
      largest_logit: largest absolute value of the package's logits.
      equal_classes: share of the pixels that get the same class.
    """

    images: str
    largest: float
    largest_logit: float
    equal_classes: float


def compare(format: Format, path: Path, network: Network, pair: Pair) -> list[Difference]:
    """Runs an exported file on two random images, and on an image of the data if it can be read.

    Raises:
      ExportError: its logits differ from the package's.
    """
    random = np.random.default_rng(0).integers(0, 256, (2, *network.size, 3), np.uint8)
    inputs = {"two random images": random, **_real_image(pair, network.size)}
    differences = []
    for name, images in inputs.items():
        theirs = format.logits(path, network, images)
        exactly = functools.partial(jax.default_matmul_precision, "highest")
        with exactly() if format.exact_products else contextlib.nullcontext():
            ours = network.logits(images)
        difference = _difference(name, ours, theirs)
        allowed = format.tolerance * max(1.0, difference.largest_logit)
        if not difference.largest <= allowed:  # NaN is not
            raise ExportError(
                f"The logits of {format.file} differ from labor_jax's by up to "
                f"{difference.largest:.3g} on {name}, and {allowed:.3g} is allowed, so nothing was "
                "exported. Another format may do."
            )
        differences.append(difference)
    return differences


def _real_image(pair: Pair, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """The first image of the pool, or of another split, by its name; empty if none can be read."""
    for split in (pair.pool, pair.evaluation, pair.source):
        if split is not None and len(split):
            with contextlib.suppress(ValueError, OSError):
                return {f"the image {split.names[0]}": resize_image(split.image(0), size)[None]}
    return {}


def _difference(name: str, ours: np.ndarray, theirs: np.ndarray) -> Difference:
    if theirs.shape != ours.shape:
        raise ExportError(
            f"The exported model returns logits {list(theirs.shape)} where labor_jax returns "
            f"{list(ours.shape)}; export to another format."
        )
    return Difference(
        name,
        float(np.abs(theirs - ours).max()),
        float(np.abs(ours).max()),
        float(np.mean(theirs.argmax(-1) == ours.argmax(-1))),
    )
