"""ONNX by jax2onnx, checked with onnxruntime."""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jax import export

from labor_jax.deployment.errors import ExportError
from labor_jax.deployment.formats.base import Format, require
from labor_jax.deployment.network import Network
from labor_jax.deployment.primitives import spelt_out

_OPSET = 18  # of 2022, so that older runtimes read it too
_PACKAGES = ("jax2onnx", "onnx", "onnxruntime")

_USAGE = """\
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model = onnxruntime.InferenceSession("model.onnx")
_, height, width, _ = model.get_inputs()[0].shape

photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")
image = np.asarray(photo.resize((width, height), Image.Resampling.BICUBIC))
(logits,) = model.run(["logits"], {"images": image[None]})  # f32[1, height, width, classes]
classes = logits.argmax(-1)[0].astype(np.uint8)  # numbers as in classes.csv
Image.fromarray(classes).resize(photo.size, Image.Resampling.NEAREST).save("classes.png")
"""


def check_packages() -> None:
    """Raises an `ExportError` if a package that writes or checks ONNX is missing."""
    with _quiet():
        for package in _PACKAGES:
            require(package, "ONNX", "onnx")


def write(network: Network, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes the model; `metadata` become its metadata properties.

    Raises:
      ExportError: the network has an operation that jax2onnx doesn't convert.
    """
    import jax2onnx
    import onnx

    (batch,) = export.symbolic_shape("batch")
    images = network.input(batch)
    function = spelt_out(network.function(portable=True), images)
    try:
        with _quiet():
            model = jax2onnx.to_onnx(
                lambda images: function(images)[0],
                [images],
                model_name="labor_jax",
                opset=_OPSET,
                input_names=["images"],
                output_names=["logits"],
            )
    except Exception as error:  # whatever its plugins raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExportError(
            f"jax2onnx can't convert this network: {reason}. Export it --to stablehlo, or give a "
            "backbone or head of your own another form of that operation."
        ) from error
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save_model(model, path)


def logits(path: Path, network: Network, images: np.ndarray) -> np.ndarray:
    """Runs the model by onnxruntime on the CPU.

    Raises:
      ExportError: onnxruntime can't read or run it.
    """
    del network
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised too
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return session.run(["logits"], {"images": images})[0]
    except Exception as error:  # of a dozen classes without a common one
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExportError(
            f"onnxruntime can't run what jax2onnx wrote: {reason}. Export --to stablehlo."
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what jax2onnx logs: about plugins for other libraries, and each unnamed shape."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


FORMAT = Format(
    title="ONNX",
    file="model.onnx",
    about=f"A model of operator set {_OPSET} with its weights. onnxruntime and other runtimes run "
    "it, without JAX.",
    install="onnxruntime pillow",
    usage=_USAGE,
    check_packages=check_packages,
    write=write,
    logits=logits,
    exact_products=True,
)
