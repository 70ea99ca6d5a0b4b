"""StableHLO by `jax.export`: a program that JAX alone runs, on CPUs, GPUs and TPUs."""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from jax import export

from labor_jax.deployment.formats.base import Format, require
from labor_jax.deployment.network import Network

PLATFORMS = ("cpu", "cuda", "tpu")

_USAGE = """\
import numpy as np
from jax import export
from PIL import Image, ImageOps

with open("model.stablehlo", "rb") as file:
    model = export.deserialize(file.read())
_, height, width, _ = model.in_avals[0].shape

photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
image = np.asarray(photo.resize((width, height), Image.Resampling.BICUBIC))
logits = model.call(image[None])  # f32[1, height, width, classes]
classes = np.asarray(logits.argmax(-1)[0], np.uint8)  # numbers as in classes.csv
Image.fromarray(classes).resize(photo.size, Image.Resampling.NEAREST).save("classes.png")
"""


def check_packages() -> None:
    """Raises an `ExportError` if flatbuffers, by which JAX writes programs, is missing."""
    require("flatbuffers", "StableHLO", "stablehlo")


def write(network: Network, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes the program with its weights."""
    del metadata
    (batch,) = export.symbolic_shape("batch")
    exported = export.export(jax.jit(network.function()), platforms=PLATFORMS)(network.input(batch))
    path.write_bytes(exported.serialize())


def logits(path: Path, network: Network, images: np.ndarray) -> np.ndarray:
    """Runs the program on JAX's default device."""
    del network
    return np.asarray(jax.jit(export.deserialize(path.read_bytes()).call)(images))


FORMAT = Format(
    title="StableHLO",
    file="model.stablehlo",
    about="A program with its weights, of jax.export, for CPUs, NVIDIA GPUs and TPUs. JAX runs it "
    "without labor_jax. JAX promises to read it for six months of its releases.",
    install="jax flatbuffers pillow",
    usage=_USAGE,
    check_packages=check_packages,
    write=write,
    logits=logits,
)
