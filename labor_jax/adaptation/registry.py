"""Loss terms by name, and whole methods of adaptation by name.

Terms: `config.PHASE.terms.NAME` is a weight, and 0 leaves the term out.

Every registered term has a place in these tables at once; `labor_jax.config` lists none by name. A
term of the package is imported in `adaptation/__init__`.

A term is a class with `reads` and `loss`; `labor_jax.training.terms` lists all that it may have. If
the class is a dataclass, its fields are the term's settings: `config.terms.NAME` holds them with
the fields' defaults.

Methods: a method is a function that sets the fields of a config which make up a published method:
weights of terms, their settings, stages of retraining. `uda:NAME` is the config of one.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from labor_jax import user_code
from labor_jax.training import metric_names
from labor_jax.training.terms import DOMAINS

TERMS: dict[str, type] = {}
"""The registered classes by name."""

METHODS: dict[str, Callable[[ConfigDict], None]] = {}
"""The registered methods by name."""


def register(name: str) -> Callable[[type], type]:
    """Registers a class as a term, so that a config can name it.

    For example:

        @adaptation.register("min_entropy")
        class MinEntropy:
            reads = ("target",)

            def loss(self, outputs, batch, memory):
                logits = outputs["target"].logits
                return adaptation.Term.of_mean(losses.entropy(logits), logits[..., 0].size)

    Args:
      name: what configs and metrics call it; letters, digits and underscores.

    Raises:
      ValueError: the name is taken, reserved or can't be a config field; or the class lacks
        `reads`, `loss` or the default of a setting, or a config can't hold one.
    """
    if not isinstance(name, str) or not name.isidentifier() or metric_names.is_reserved(name):
        raise ValueError(
            f"{name!r} can't name a term; use letters, digits and underscores, and none of: "
            f"{', '.join(metric_names.RESERVED)}, miou_…."
        )

    def add(term: type) -> type:
        if name in TERMS:
            raise ValueError(
                f"The term {name!r} is registered already, by {TERMS[name].__module__}; choose "
                "another name."
            )
        missing = [each for each in ("reads", "loss") if not hasattr(term, each)]
        missing += [f"default of {field}" for field in _without_default(term)]
        if missing:
            raise ValueError(f"The term {name!r} has no {' and no '.join(missing)}.")
        for field, default in _defaults(term).items():
            user_code.check_default(default, f"the setting {field!r} of the term {name!r}")
        TERMS[name] = term
        return term

    return add


def _without_default(term: type) -> list[str]:
    """The parameters of a term that have no default, and so would get no value."""
    parameters = inspect.signature(term).parameters.values()
    return [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]


def settings(name: str) -> dict[str, Any]:
    """The settings of a term and their defaults: what `config.terms.NAME` holds."""
    return _defaults(TERMS[name])


def _defaults(term: type) -> dict[str, Any]:
    if not dataclasses.is_dataclass(term):
        return {}
    return {
        field.name: field.default_factory()
        if field.default is dataclasses.MISSING
        else field.default
        for field in dataclasses.fields(term)
        if field.init
    }


def build(name: str, config: Mapping[str, Any]) -> Any:
    """Builds a term from its settings.

    Args:
      name: of a registered term.
      config: the run's `config.terms`.

    Raises:
      ValueError: nobody has registered the term, it can't be made of its settings, or what it
        reads, uses or makes has no form that is known.
    """
    if name not in TERMS:
        raise ValueError(
            f"There is no term {name!r}; choose one of: {', '.join(sorted(TERMS))}. A term of your "
            "own has to be registered before the run starts."
        )
    own = config.get(name, {})
    try:
        term = TERMS[name](**{field: own[field] for field in settings(name) if field in own})
    except Exception as error:
        raise ValueError(f"config.terms.{name}: {user_code.said(error)}") from error
    with user_code.naming(f"The term {name!r}", or_ours=True):
        _check_attributes(name, term)
    return term


def _check_attributes(name: str, term: Any) -> None:
    """Checks the form of what a term says of itself; a string would be many short names."""
    for attribute in ("reads", "uses"):
        value = getattr(term, attribute, ())
        if not isinstance(value, tuple | list):
            raise ValueError(
                f"{attribute} of the term {name!r} is {value!r}; write a tuple of names, such as "
                f"({value!r},)."
            )
    makes = getattr(term, "makes", {})
    if not isinstance(makes, Mapping) or not all(
        isinstance(domains, tuple | list) and set(domains) <= set(DOMAINS)
        for domains in makes.values()
    ):
        raise ValueError(
            f"makes of the term {name!r} is {makes!r}; it maps each view that the term makes to a "
            "tuple of the domains it is made of, such as {'mixed': ('source', 'target')}."
        )
    images_of = getattr(term, "images_of", {})
    if not isinstance(images_of, Mapping):
        raise ValueError(
            f"images_of of the term {name!r} is {images_of!r}; it maps views that the term makes "
            "to the domain whose images they have, such as {'pseudo_labelled': 'target'}."
        )
    for attribute in ("smallest_image", "smallest_target_batch"):
        value = getattr(term, attribute, 1)
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise ValueError(
                f"{attribute} of the term {name!r} is {value!r}; it is a whole number."
            )


def build_all(names: Iterable[str], config: Mapping[str, Any]) -> dict[str, Any]:
    """Builds terms, and the terms that they use (their attribute `uses`).

    Args:
      names: of registered terms.
      config: the run's `config.terms`.

    Raises:
      ValueError: as `build`.
    """
    built: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in built:
            built[name] = build(name, config)
            waiting.extend(getattr(built[name], "uses", ()))
    return built


def with_used(names: Iterable[str]) -> set[str]:
    """The names of terms, and of those that they use; terms that nobody registered use none."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(getattr(TERMS.get(name), "uses", ()))
    return found


def register_method(
    name: str,
) -> Callable[[Callable[[ConfigDict], None]], Callable[[ConfigDict], None]]:
    """Registers a function as a method of adaptation, so that `uda:NAME` is its config.

    For example:

        @adaptation.register_method("min_entropy")
        def min_entropy(config):
            config.warmup.terms.min_entropy = 1e-3

    The function gets a config with the data pair's settings, in which the supervised phase and the
    warm-up learn the source's labels alone, and changes it in place. The first line of its
    docstring is what `--help` says.

    Args:
      name: what configs call it; letters, digits and underscores.

    Raises:
      ValueError: the name is taken or can't be part of a command.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"{name!r} can't name a method; use letters, digits and underscores.")

    def add(method: Callable[[ConfigDict], None]) -> Callable[[ConfigDict], None]:
        if name in METHODS:
            raise ValueError(
                f"The method {name!r} is registered already, by {METHODS[name].__module__}; choose "
                "another name."
            )
        METHODS[name] = method
        return method

    return add


def is_method(name: str) -> bool:
    """Whether a name is that of a method, or of several joined by "+"."""
    return set(name.split("+")) <= METHODS.keys()


def retrain(config: ConfigDict, *, stages: int, share: float = 1.0) -> None:
    """Gives steps of a method's warm-up to retraining, so that the method takes as many in all.

    Of several methods that retrain, joined by "+", the last one's stages and share count. Where
    that share is 1 and another method has terms in the warm-up alone, it is a half.

    Args:
      config: changed in place.
      stages: of retraining.
      share: of the method's steps, from above 0 to 1, for all stages together.
    """
    steps = config.warmup.steps + config.retraining.stages * config.retraining.steps
    moved = round(share * steps)
    config.retraining.update(
        stages=stages,
        steps=-(-moved // stages),
        share=share,  # own images choose the steps anew
        learning_rate=config.warmup.learning_rate,
    )
    config.warmup.steps = steps - moved


def above_zero(term: Any, *fields: str) -> None:
    """Raises a ValueError unless these settings of a term, widths and rates say, are above 0."""
    for field in fields:
        if not getattr(term, field) > 0:  # which NaN isn't, either
            raise ValueError(f"{field} is {getattr(term, field)}; it must be above 0.")


def not_negative(term: Any, *fields: str) -> None:
    """Raises a ValueError unless these settings of a term, weights say, are 0 or more."""
    for field in fields:
        if not getattr(term, field) >= 0:
            raise ValueError(f"{field} is {getattr(term, field)}; it can't be negative.")


def check_start(start: float) -> None:
    """Raises a ValueError unless it is a share of a phase's steps after which some are left."""
    if not 0 <= start < 1:
        raise ValueError(f"start is {start}; it is a share of the steps, from 0 to below 1.")


def first_step(start: float, steps: int) -> int:
    """The step at which a term starts: after that share of the steps, but before the last ends."""
    return min(round(start * steps), max(steps - 1, 0))


def one_of(field: str, value: str, valid: tuple[str, ...]) -> None:
    """Raises a ValueError unless a term's setting is one of the valid values."""
    if value not in valid:
        raise ValueError(f"{field} is {value!r}; choose one of: {', '.join(valid)}.")


def share(field: str, value: float) -> None:
    """Raises a ValueError unless a term's setting is from 0 to 1."""
    if not 0 <= value <= 1:
        raise ValueError(f"{field} is {value}; it is a share, from 0 to 1.")
