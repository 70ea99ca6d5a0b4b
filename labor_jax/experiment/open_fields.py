"""Fills in the fields that a config leaves open, before anything is built or written."""

import contextlib
import functools
import logging
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from labor_jax import models
from labor_jax.config import base_config
from labor_jax.data import PAIRS, Pair, own_data
from labor_jax.experiment import warm_start

logger = logging.getLogger(__name__)

# Stands in for the data before they are read.
_ANY_DATA = dict.fromkeys(("source", "pool", "evaluation"), ((512, 512),))


def filled(
    config: ConfigDict,
    pair: Pair | None = None,
    recorded: Mapping[str, Any] | None = None,
    start: ConfigDict | None = None,
) -> ConfigDict:
    """Returns the config with a value for each field that is left open.

    A field that has a value keeps it. Otherwise it gets the value with which the run was started,
    so that a resumed run goes on as it began although images or packages have changed since. A new
    run gets what `own_data.resolve` chooses, with a line in the log for each choice. What counts up
    to the end of another run that it goes on from has that run's values, but for the optimizer.

    Args:
      config: see `labor_jax.config`; not changed.
      pair: the data. None for any data, to check the config before the data are read.
      recorded: the config with which the run was started, nested; None for a new run.
      start: the config of the run that a new run goes on from; None if it begins anew.

    Raises:
      ValueError: an invalid field.
    """
    registered = PAIRS.get(config.pair)
    fields = registered.open_fields(config) if registered else ()
    if all(config[field] is not None for field in fields):
        return config
    config = config.copy_and_resolve_references()
    if recorded is not None:
        _set(config, {field: _value(recorded, field) for field in fields})
        logger.info("The settings that were chosen when the run started are kept.")
    else:
        shared = warm_start.shared_fields(start) if start is not None else {}
        first_query = shared.pop("joint.query_steps", None)
        # Rates of later phases suit one optimizer, so another one than the start's is an error.
        kept = {
            field: shared[field]
            for field in fields
            if field in shared and not field.startswith("optimizer.")
        }
        weights = models.installed_weights()
        sizes = {
            role: size
            for role, size in _ANY_DATA.items()
            if role != "source" or registered is None or registered.has_source
        }
        facts = own_data.facts_of(pair, weights) if pair else own_data.Facts(sizes, weights)
        resolve = functools.partial(own_data.resolve, facts=facts, first_query=first_query)
        if kept:
            chosen = {
                field: value for choice in resolve(config) for field, value in choice.fields.items()
            }
            # What would be chosen here too stays open, as later phases are chosen along with it.
            _set(config, {f: value for f, value in kept.items() if value != chosen.get(f)})
        choices = resolve(config)
        _set(config, kept)
        for choice in choices:
            _set(config, choice.fields)
        if pair is not None and choices:
            logger.info("The config leaves these fields open; set one to choose it yourself:")
            for choice in choices:
                logger.info("  %s", choice)
    base = base_config()
    _set(config, {field: base[field] for field in fields})
    return config


def _set(config: ConfigDict, values: Mapping[str, Any]) -> None:
    """Sets those of the fields that are open."""
    for field, value in values.items():
        if config[field] is None and value is not None:
            section, _, name = field.rpartition(".")
            (config[section] if section else config)[name] = value


def _value(recorded: Mapping[str, Any], field: str) -> Any:
    """A field of a config that was read from JSON; None if it isn't there."""
    value: Any = recorded
    for name in field.split("."):
        with contextlib.suppress(KeyError, TypeError):
            value = value[name]
            continue
        return None
    return tuple(value) if isinstance(value, list) else value
