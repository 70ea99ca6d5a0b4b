"""The data pairs by name: registering one, its settings, and loading it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Collection, Mapping

from ml_collections import ConfigDict

from labor_jax import user_code
from labor_jax.close_names import did_you_mean
from labor_jax.data import base, own_data, transforms

Loader = Callable[[ConfigDict, Collection[str]], base.Pair]
Settings = Callable[[ConfigDict], None]


def _no_settings(config: ConfigDict) -> None:
    """Changes nothing."""


@dataclasses.dataclass(frozen=True)
class RegisteredPair:
    """A data pair that configs can name.

    Each settings function gets a whole experiment config and changes it in place.

    Attributes:
      load: reads the pair: `load(config.data, roles)`.
      defaults: the settings of every method on this pair; may add fields to `config.data`.
      joint_defaults: further settings under the protocol "joint", applied after the method's own.
      method_defaults: further settings of single methods by name, joined or not, applied last.
      short: turns the settings into those of a short schedule, for a first look; None if the pair
        has none.
      recipe: which recipe its configs have if none is named, see `labor_jax.config`.
      chosen_from_data: whether the fields of `own_data.open_fields` are left open, and chosen when
        a run starts, from its images.
      has_source: whether there are source images; if not, configs are `recipes.without_source`.
    """

    load: Loader
    defaults: Settings = _no_settings
    joint_defaults: Settings = _no_settings
    method_defaults: Mapping[str, Settings] = dataclasses.field(default_factory=dict)
    short: Settings | None = None
    recipe: str = "paper"
    chosen_from_data: bool = False
    has_source: bool = True

    def open_fields(self, config: ConfigDict) -> tuple[str, ...]:
        """Dotted names of the fields of a config that are left open, see `own_data`."""
        return own_data.open_fields(config) if self.chosen_from_data else ()


_PAIRS: dict[str, RegisteredPair] = {}

PAIRS: Mapping[str, RegisteredPair] = types.MappingProxyType(_PAIRS)
"""The registered pairs by name, read-only. Add one with `register_pair`."""


def register_pair(
    name: str,
    *,
    defaults: Settings | None = None,
    joint_defaults: Settings | None = None,
    method_defaults: Mapping[str, Settings] | None = None,
    short: Settings | None = None,
    recipe: str = "paper",
    chosen_from_data: bool = False,
    has_source: bool = True,
) -> Callable[[Loader], Loader]:
    """Registers a data pair, so that `config.pair` can name it. A decorator of the pair's loader.

        @data.register_pair("rain")
        def load(config, roles):
            return data.pair_from_arrays("rain", classes, source=..., pool=..., evaluation=...)

    The loader gets `config.data` and the roles to read ("source", "pool", "evaluation"). It returns
    a `Pair`, and may read splits of other roles too.

    Args:
      name: the pair's name in configs.
      defaults: see `RegisteredPair`, like the following; None changes nothing.
      joint_defaults: settings under the protocol "joint".
      method_defaults: settings of single methods.
      short: settings of a short schedule.
      recipe: "today" or "paper", which of them configs have if none is named.
      chosen_from_data: whether sizes, steps and network are chosen from the images, as for the
        pair "folders", where they aren't set.
      has_source: False for a pair without source images: its loader returns None as the source, and
        its configs train on answers alone.

    Returns:
      The decorator. It returns the loader unchanged.

    Raises:
      ValueError: the name is taken or can't be part of a command.
    """
    user_code.check_name(name, "a data pair")
    if name in _PAIRS:
        raise ValueError(f"the data pair {name!r} is registered already; choose another name")

    def register(load: Loader) -> Loader:
        _PAIRS[name] = RegisteredPair(
            load,
            defaults or _no_settings,
            joint_defaults or _no_settings,
            dict(method_defaults or {}),
            short,
            recipe,
            chosen_from_data,
            has_source,
        )
        return load

    return register


def pair_settings(name: str) -> RegisteredPair:
    """Returns a registered pair.

    Raises:
      ValueError: the name is unknown; the error lists the registered names.
    """
    if name not in _PAIRS:
        raise ValueError(
            f"unknown data pair {name!r}.{did_you_mean(name, _PAIRS)} The pairs are "
            f"{', '.join(_PAIRS)}; labor_jax.data.register_pair adds yours."
        )
    return _PAIRS[name]


def load_pair(name: str, config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads a pair, and checks everything that can be checked before training.

    Args:
      name: one of `PAIRS`.
      config: the run's `config.data`. For every pair it holds `source_size`, `target_size` and
        `evaluation_size` ((height, width) of the model's input; None for the images' own size), and
        `cache_bytes` (memory for images and labels of all splits together, 0 for none). Further
        fields are the pair's own.
      roles: which of `base.ROLES` to read; the files of the others may be missing.

    Returns:
      The pair, under the name that it is registered with.

    Raises:
      DataError, OSError: something is wrong with the files.
      ValueError: unknown pair or role, or invalid field; or the loader fails.
    """
    pair = pair_settings(name)
    unknown = sorted(set(roles) - set(base.ROLES))
    if unknown:
        raise ValueError(
            f"unknown roles {', '.join(unknown)}; valid roles: {', '.join(base.ROLES)}"
        )
    for field in ("source_size", "target_size", "evaluation_size"):
        transforms.check_size(config[field], f"data.{field}")
    if config.cache_bytes < 0:
        raise ValueError(f"data.cache_bytes must be 0 or more, got {config.cache_bytes}")
    culprit = f"the loader of the data pair {name!r}"
    with user_code.naming(culprit, beyond=(base.DataError, OSError), or_ours=True):
        loaded = pair.load(config, roles)
    if not isinstance(loaded, base.Pair):
        raise ValueError(
            f"the loader of the data pair {name!r} returned {type(loaded).__name__}; it must "
            "return a labor_jax.data.Pair"
        )
    for role in roles:
        split = getattr(loaded, role)
        if split is None and (role == "evaluation" or (role == "source" and not pair.has_source)):
            continue  # a pair without one
        if not isinstance(split, base.Split) or len(split) == 0:
            found = "an empty one" if isinstance(split, base.Split) else type(split).__name__
            raise ValueError(
                f"the loader of the data pair {name!r} returned {found} as the split {role!r}, "
                "which it was asked for; it must return a labor_jax.data.Split of at least one "
                "image"
            )
    return loaded if loaded.name == name else dataclasses.replace(loaded, name=name)
