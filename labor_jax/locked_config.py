"""A config that cannot get a misspelt field, and says what the right name is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import FieldReference

from labor_jax.close_names import did_you_mean

RENAMED = {
    "config.source": "config.supervised",
    "config.optimizer.classifier_multiplier": "config.optimizer.head_multiplier",
    "config.warmup.adversarial_weight": "config.warmup.terms.adversarial",
    "config.warmup.two_levels": (
        "config.supervised.terms.auxiliary_source_labels, "
        "config.warmup.terms.auxiliary_source_labels and config.warmup.terms.auxiliary_adversarial"
    ),
    "config.warmup.auxiliary_weight": (
        "config.supervised.terms.auxiliary_source_labels and "
        "config.warmup.terms.auxiliary_source_labels"
    ),
    "config.warmup.auxiliary_adversarial_weight": "config.warmup.terms.auxiliary_adversarial",
    **{
        f"config.warmup.discriminator_{name}": (
            f"config.terms.adversarial.{name} and config.terms.auxiliary_adversarial.{name}"
        )
        for name in ("learning_rate", "input", "width")
    },
    "config.selector.discrepancy_weight": "config.selector.terms.discrepancy",
    "config.selector.pseudo_label_threshold": "config.terms.self_training.threshold",
    "config.round.source_weight": "config.round.terms.source_labels",
    "config.round.target_weight": "config.round.terms.answers",
    **{
        f"config.round.{name}_weight": f"config.round.terms.{name}"
        for name in ("adversarial", "local_consistency", "negative_learning")
    },
    "config.data.balance_source": 'config.data.source_sampling, "balanced" for True',
    "config.round.discriminator_learning_rate": (
        "config.terms.adversarial.learning_rate, which the warm-up has too"
    ),
}
"""Fields of version 0.1.0 that have another name now."""


ON_CHANGE: dict[str, Callable[[LockedConfig, Any], None]] = {}
"""What else changes with a field: called with the config and the new value, which it checks."""


class UnknownFieldError(KeyError, AttributeError):
    """A config has no such field. The message lists those that it has."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show it in quotes


class LockedConfig(ConfigDict):
    """A `ConfigDict` whose errors name the section, its fields, and the field that was meant.

    Reading or setting a field that doesn't exist raises `UnknownFieldError`, which is both a
    `KeyError` and an `AttributeError`. A value of another type raises `TypeError`, and so does None
    but in placeholders, the fields that may be None.
    """

    _path = "config"  # in messages; each section has its own

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._ensure_mutability(name)
        self[name] = value

    def __getitem__(self, key: str) -> Any:
        name = str(key).partition(".")[0]
        if name not in self._fields:
            raise unknown_field(self, name, self._path)
        return super().__getitem__(key)

    def __setitem__(self, key: str, value: Any) -> None:
        if self.is_locked and key not in self._fields:
            raise unknown_field(self, key, self._path)
        if self.is_locked and isinstance(self._fields.get(key), ConfigDict):
            if not isinstance(value, ConfigDict | Mapping):
                raise section_is_no_value(self, key, self._path)
            if value is not self._fields[key]:
                self._fields[key].update(value)  # of a section, the fields that are given
            return
        name = f"{self._path}.{key}"
        if self.is_locked and name in ON_CHANGE and value != self._fields[key]:
            ON_CHANGE[name](self, value)
        own = self._fields.get(key)
        may_be_none = own is None or isinstance(own, FieldReference)
        if self.is_locked and value is None and not may_be_none:
            raise TypeError(f"{name} can't be None; give a value such as {own!r}.")
        try:
            super().__setitem__(key, value)
        except TypeError as error:
            raise TypeError(f"{self._path}.{key}: {error}") from None

    def copy_and_resolve_references(self, visit_map: dict[int, Any] | None = None) -> LockedConfig:
        """Returns a copy, see `ConfigDict`."""
        copied = super().copy_and_resolve_references(visit_map)
        object.__setattr__(copied, "_path", self._path)
        return copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        object.__setattr__(self, "_path", state["_path"])


def locked(config: ConfigDict, path: str = "config") -> LockedConfig:
    """Returns a config and all its sections as `LockedConfig`, locked."""
    result = LockedConfig()
    object.__setattr__(result, "_path", path)
    for name, value in config.items(preserve_field_references=True):
        result[name] = locked(value, f"{path}.{name}") if isinstance(value, ConfigDict) else value
    return result.lock()


def unknown_field(section: ConfigDict, name: str, path: str) -> UnknownFieldError:
    """Describes a field that a section doesn't have.

    Args:
      section: the section.
      name: the field.
      path: the section's name, such as "config.warmup".
    """
    field = f"{path}.{name}"
    if field in RENAMED:
        return UnknownFieldError(f"{field} is now {RENAMED[field]}.")
    meant = did_you_mean(str(name), section, prefix=f"{path}.", likeness=0.7)
    return UnknownFieldError(
        f"Unknown field {field}.{meant} The fields of {path} are: {', '.join(section)}."
    )


def section_is_no_value(section: ConfigDict, name: str, path: str) -> UnknownFieldError:
    """Describes a section that was given a value; see `unknown_field`."""
    values = [each for each, held in section.items() if not isinstance(held, ConfigDict)]
    meant = did_you_mean(str(name), values, prefix=f"{path}.", likeness=0.7)
    return UnknownFieldError(
        f"{path}.{name} is a section with fields of its own, and no value.{meant} Its fields are: "
        f"{', '.join(section[name])}."
    )


def flat(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A config's fields by their dotted names, and their values."""
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
