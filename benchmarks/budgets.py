"""Checks of budgets, before anything is trained."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from benchmarks.runner import Run, RunError, load_config
from labor_jax.data import load_pair
from labor_jax.experiment import components as components_lib
from labor_jax.experiment import config_checks, data_checks, open_fields
from labor_jax.experiment.components import Components


def positive(text: str) -> float:
    """Reads a flag's budget, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return value


def components(run: Run, output: Path) -> Components:
    """What a run works with, without its evaluation images."""
    config = ConfigDict(load_config(run, output))
    data = load_pair(config.pair, config.data, ("source", "pool"))
    return components_lib.build(open_fields.filled(config, data), data)


def with_config(built: Components, run: Run, output: Path) -> Components:
    """The components of another run on the same data."""
    config = open_fields.filled(ConfigDict(load_config(run, output)), built.pair)
    return dataclasses.replace(built, config=config)


def check(runs: Sequence[Run], output: Path) -> None:
    """Checks the configs and budgets of runs on one data pair.

    Raises:
      RunError: one can't be loaded or is wrong, or its budget holds no question; or the data are
        wrong.
    """
    if not runs:
        return
    try:
        built = components(runs[0], output)
    except ValueError as error:  # of the config, or a DataError
        raise RunError(str(error)) from error
    for run in runs:
        try:
            own = with_config(built, run, output)
            config_checks.check_config(own.config)
            data_checks.check_budget(own)
        except ValueError as error:
            raise RunError(f"{run.name}: {error}") from error
