"""The rows of the papers' tables: the command of each, and the optimiser steps that it takes."""

from labor_jax import config_argument

_V3PLUS = (
    "--config.acquisition.fraction=0.05",
    "--config.model.head=deeplab_v3plus",
    "--config.model.head_channels=512",
)
_STEPS = {
    ("source_only",): 20_000,
    ("warmup",): 80_000,
    ("ppl",): 146_000,
    ("spl",): 146_000,
    ("supervised",): 140_000,
    ("ripu_pa",): 40_000,
    ("ripu_ra",): 40_000,
    ("ripu_ra", *_V3PLUS): 40_000,
    ("ripu_source_free",): 50_000,
}

_GTAV_STEPS = {
    ("warmup",): 150_000,
    ("ppl",): 231_000,
    ("spl",): 231_000,
    ("supervised",): 225_000,
}
"""On GTAV LabOR's rows have IAST's settings."""

ROWS = {
    (f"{name}:{pair}", *overrides): steps
    for pair, own in (("gtav", _GTAV_STEPS), ("synthia", {}))
    for (name, *overrides), steps in {**_STEPS, **own}.items()
} | {("uda:adaptsegnet_two_level,gtav",): 80_000}


def row_config(row, *extra):
    """The config of a row, as the command line reads it."""
    name, *overrides = row
    config = config_argument.load(name)
    config_argument.override(config, ["main", *overrides, *extra])
    return config
