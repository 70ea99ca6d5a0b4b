"""Weights as safetensors, in the layout that `config.model.pretrained` reads back."""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from safetensors.numpy import save

from labor_jax import models
from labor_jax.deployment.errors import ExportError
from labor_jax.deployment.formats.base import Format
from labor_jax.deployment.network import Network
from labor_jax.models.weights import native

_USAGE = """\
import json

import numpy as np
from ml_collections import ConfigDict
from PIL import Image, ImageOps

from labor_jax import models

with open("model.json") as file:
    described = json.load(file)
segmenter = models.build_segmenter(ConfigDict(described["model"]), len(described["classes"]))
model = models.Model(models.read_weights("model.safetensors", segmenter), segmenter)
_, height, width, _ = described["input"]["shape"]

photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
image = np.asarray(photo.resize((width, height), Image.Resampling.BICUBIC))
logits = model(image[None]).logits  # f32[1, height, width, classes]
classes = np.asarray(logits.argmax(-1)[0], np.uint8)  # numbers as in classes.csv
Image.fromarray(classes).resize(photo.size, Image.Resampling.NEAREST).save("classes.png")
"""


def check_packages() -> None:
    """The package needs safetensors anyway."""


def write(network: Network, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes the weights; `metadata` and the network's description become the file's metadata."""
    tensors = models.to_torch(network.segmenter, network.variables, "labor_jax")
    path.write_bytes(save(tensors, {**metadata, **native.metadata(network.segmenter)}))


def logits(path: Path, network: Network, images: np.ndarray) -> np.ndarray:
    """Reads the weights back and computes logits by them.

    Raises:
      ExportError: they differ from those that were written.
    """
    variables = models.read_weights(path, network.segmenter)
    same = jax.tree.map(np.array_equal, variables, dict(network.variables))
    if not all(jax.tree.leaves(same)):
        raise ExportError(f"{path} holds other weights than were written to it; export again.")
    return network.replace(variables=variables).logits(images)


FORMAT = Format(
    title="safetensors",
    file="model.safetensors",
    about="The weights alone, under the names of their variables; filters are "
    "[height, width, in, out]. labor_jax runs them, and trains on from them: "
    "`--config.model.pretrained=model.safetensors`. labor_jax is not on PyPI: install it from a "
    "clone of its repository.",
    install="PATH_OF_THE_CLONE",
    usage=_USAGE,
    check_packages=check_packages,
    write=write,
    logits=logits,
    builds_network=True,
)
