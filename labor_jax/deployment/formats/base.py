"""What a format of exported models is."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from labor_jax.deployment.errors import ExportError
from labor_jax.deployment.network import Network


class Format(NamedTuple):
    """A format.

    Attributes:
      title: its name in texts.
      file: the model's file name.
      about: one or two sentences for the model card: what the file holds, and what runs it.
      install: the packages that run it, as arguments of `pip install`.
      usage: a Python program that predicts the image photo.jpg, to be run in the model's folder.
      check_packages: raises an `ExportError` if a package that writes it is missing.
      write: writes the file, given the network, the path and texts by name (run, classes, …).
      logits: runs the file: given its path, the network and uint8[B, H, W, 3] images, it returns
        f32[B, H, W, C].
      tolerance: the largest difference from the package's logits, as a share of the largest of
        them or of 1.
      exact_products: whether it multiplies in full float32 where JAX would round on accelerators.
      builds_network: whether `usage` builds the network by labor_jax, which has to know its parts.
    """

    title: str
    file: str
    about: str
    install: str
    usage: str
    check_packages: Callable[[], None]
    write: Callable[[Network, Path, Mapping[str, str]], None]
    logits: Callable[[Path, Network, np.ndarray], np.ndarray]
    tolerance: float = 1e-3
    exact_products: bool = False
    builds_network: bool = False


def require(package: str, title: str, extra: str) -> ModuleType:
    """Imports a package of an extra.

    Raises:
      ExportError: it is not installed; the message has the line that installs it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ExportError(
            f"Exporting to {title} needs the package {package}, which can't be imported ({error}): "
            f"pip install 'labor_jax[{extra}]'."
        ) from error
