"""Checks of what `run` is given by a program, which no command line has checked."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from labor_jax.data import Pair
from labor_jax.experiment.workdir import missing_fields


def check_config(config: Any) -> None:
    """Raises a ValueError unless it is a config with all fields that every config has."""
    if not isinstance(config, ConfigDict):
        raise ValueError(
            f"config is a {type(config).__name__}; give one that labor_jax.get_config returned."
        )
    missing = missing_fields(config.to_dict())
    if missing:
        raise ValueError(f"config has no {missing}; change one that labor_jax.get_config returned.")


def check_workdir(workdir: Any) -> None:
    """Checks that a folder is there, or can be made.

    Raises:
      ValueError: it is no path.
      FileExistsError, NotADirectoryError: it is a file, or a part of it is.
    """
    if not isinstance(workdir, str | os.PathLike):
        raise ValueError(f"workdir is {workdir!r}; give the path of a folder, such as 'runs/mine'.")
    path = Path(workdir)
    existing = next((each for each in (path, *path.parents) if each.exists()), None)
    if existing is not None and not existing.is_dir():
        number = errno.EEXIST if existing == path else errno.ENOTDIR
        raise OSError(number, os.strerror(number), str(path))


def check_pair(pair: Any) -> None:
    """Raises a ValueError unless it is a pair or None."""
    if pair is not None and not isinstance(pair, Pair):
        raise ValueError(
            f"pair is a {type(pair).__name__}; give a labor_jax.data.Pair, such as "
            "data.pair_from_arrays returns, or None for the one that config.pair names."
        )


def check_profile(profile: Any) -> None:
    """Raises a ValueError unless it is text or None."""
    if profile is not None and not isinstance(profile, str):
        raise ValueError(f"profile is {profile!r}; give text, such as '10' or 'warmup:10'.")


def checked_devices(devices: Any) -> list[jax.Device] | None:
    """The devices as a list; None stays None.

    Raises:
      ValueError: there are none, one of them is there twice, or something is no device.
    """
    if devices is None:
        return None
    if not isinstance(devices, Iterable):
        raise ValueError(
            f"devices is {devices!r}; give a list of jax.devices(), such as jax.devices()[:1]."
        )
    listed = list(devices)
    if not listed:
        raise ValueError("devices is empty; name at least one of jax.devices().")
    for number, device in enumerate(listed):
        if not isinstance(device, jax.Device):
            raise ValueError(
                f"devices[{number}] is {device!r}; name devices of jax.devices(), not their "
                "numbers or kinds."
            )
        if device in listed[:number]:
            raise ValueError(f"devices names {device} twice; name each device once.")
    return listed
