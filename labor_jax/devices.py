"""The devices that JAX uses: their names, and what to do if those that are wanted are missing."""

import importlib.util
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import jax

logger = logging.getLogger(__name__)

INSTALL_CUDA = "pip install -U 'jax[cuda12]'"
"""The command that lets JAX use NVIDIA GPUs."""

_INSTALL = {"cuda": INSTALL_CUDA, "gpu": INSTALL_CUDA, "tpu": "pip install -U 'jax[tpu]'"}


class DeviceError(RuntimeError):
    """JAX can't use the devices that it was told to use."""


def available() -> list[jax.Device]:
    """Returns all devices of all processes.

    Raises:
      DeviceError: JAX finds none of those that $JAX_PLATFORMS names.
    """
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX asserts that it found any
        wanted = jax.config.jax_platforms or ""
        installs = [_INSTALL[name] for name in wanted.split(",") if name in _INSTALL]
        reason = (
            str(error).splitlines()[0].partition(" (set JAX_PLATFORMS")[0] if error.args else ""
        )
        raise DeviceError(
            f"JAX_PLATFORMS is {wanted!r}, but JAX finds no such device here"
            f"{f' ({reason})' if reason else ''}. "
            + (f"If there is one, install JAX for it: {installs[0]}. " if installs else "")
            + "To run on the CPU: JAX_PLATFORMS=cpu, or leave it unset."
        ) from error


def describe(devices: Sequence[jax.Device], dtype: str) -> str:
    """Names a run's devices: "1 CPU, float32", "4 NVIDIA H100 80GB HBM3, bfloat16".

    Args:
      devices: of all processes.
      dtype: the precision of the network's computation.
    """
    kind = devices[0].device_kind
    name = "CPU" if kind.lower() == "cpu" else kind
    processes = len({device.process_index for device in devices})
    shared = f" in {processes} processes" if processes > 1 else ""
    return f"{len(devices)} {name}{shared}, {dtype}"


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver is installed, without asking the driver itself, which takes long."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def uses_nvidia() -> bool:
    """Whether JAX would run on NVIDIA GPUs; found without starting it, which takes their memory."""
    if jax.config.jax_platforms:
        return any(name in ("cuda", "gpu") for name in jax.config.jax_platforms.split(","))
    plugins = ("jax_cuda12_plugin", "jax_cuda13_plugin")
    return has_nvidia_driver() and any(map(importlib.util.find_spec, plugins))


def warn_of_unused_gpu(devices: Sequence[jax.Device]) -> None:
    """Warns if JAX runs on the CPU of a machine with an NVIDIA GPU, unless it was told to.

    Args:
      devices: those that JAX uses.
    """
    told = jax.config.jax_platforms or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if devices[0].platform == "cpu" and not told and has_nvidia_driver():
        logger.warning(
            "This machine has an NVIDIA driver, but JAX runs on the CPU. To use the GPU: %s. To "
            "stay on the CPU without this warning: JAX_PLATFORMS=cpu.",
            INSTALL_CUDA,
        )
