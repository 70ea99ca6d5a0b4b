"""The formats of exported models: a file each that writes one and runs it."""

from labor_jax.deployment.formats import onnx, safetensors, stablehlo
from labor_jax.deployment.formats.base import Format

FORMATS: dict[str, Format] = {
    "onnx": onnx.FORMAT,
    "stablehlo": stablehlo.FORMAT,
    "safetensors": safetensors.FORMAT,
}
"""By the value of `--to`."""

__all__ = ["FORMATS", "Format"]
