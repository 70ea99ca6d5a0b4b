"""Backbones and heads by name.

What is registered can be named by a config at once, as `config.model.backbone` or
`config.model.head`:

    @models.register_backbone("my_backbone")
    class MyBackbone(nn.Module):
        width: int = 32            # config.model.width
        output_stride: int = 8     # config.model.output_stride
        ...

A backbone has the field `output_stride`, is called as `backbone(images, train=False)` and returns
`Features`. A head has the field `num_classes`, is called as `head(features, train=False)` and
returns f32[B, h, w, num_classes] logits at a resolution of its choice. A head that calls
`Features.mean` has the class attribute `pools_image = True`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from flax import linen as nn

from labor_jax import user_code

Factory = TypeVar("Factory", bound=Callable[..., nn.Module])

BACKBONES: dict[str, Callable[..., nn.Module]] = {}
HEADS: dict[str, Callable[..., nn.Module]] = {}

_PACKAGED: set[tuple[str, str]] = set()  # (kind, name)


def register_backbone(name: str) -> Callable[[Factory], Factory]:
    """Returns a decorator that registers a backbone under a name.

    It takes a linen module class, or a `functools.partial` of one. See the module's docstring for
    what a backbone is, and `build_segmenter` for how its fields get their values.

    Args:
      name: the value of `config.model.backbone`.

    Raises:
      ValueError: by the decorator, when the name is taken, or what it gets is not a linen module
        class with a field `output_stride`.
    """
    return functools.partial(_register, BACKBONES, "backbone", name)


def register_head(name: str) -> Callable[[Factory], Factory]:
    """Returns a decorator that registers a head under a name, as `register_backbone` does.

    Args:
      name: the value of `config.model.head`.

    Raises:
      ValueError: by the decorator, when the name is taken, or what it gets is not a linen module
        class with a field `num_classes`.
    """
    return functools.partial(_register, HEADS, "head", name)


_REQUIRED = {"backbone": "output_stride", "head": "num_classes"}
_REGISTERED_AS = "_labor_jax_name"  # the attribute of a built module that holds its name


def _register(registry, kind, name, factory):
    if name in registry:
        raise ValueError(f"a {kind} named {name!r} is registered already; choose another name.")
    module_class = _module_class(factory)
    if not (isinstance(module_class, type) and issubclass(module_class, nn.Module)):
        raise ValueError(
            f"the {kind} {name!r} is {module_class!r}; register a class that derives from "
            "flax.linen.Module, or a functools.partial of one."
        )
    fields = {field.name for field in dataclasses.fields(module_class)}
    if _REQUIRED[kind] not in fields and not hasattr(module_class, _REQUIRED[kind]):
        raise ValueError(
            f"the {kind} {name!r} ({module_class.__name__}) has no field {_REQUIRED[kind]}; add "
            f"`{_REQUIRED[kind]}: int` to the class."
        )
    registry[name] = factory
    return factory


def build(registry: dict[str, Callable[..., nn.Module]], name: str, values: dict) -> nn.Module:
    """Builds a registered module.

    Args:
      registry: `BACKBONES` or `HEADS`.
      name: a name in it.
      values: field name to value. Each field of the module class that has a value here other than
        None gets it; the others keep their defaults.

    Returns:
      The module, after its method `check()`, if it has one, has found nothing wrong.

    Raises:
      ValueError: from `check()`; or another error, of which the message names the module.
    """
    factory = registry[name]
    fields = {field.name for field in dataclasses.fields(_module_class(factory)) if field.init}
    fields -= {"parent", "name", *_fixed_fields(factory)}
    given = {field: values[field] for field in fields if values.get(field) is not None}
    kind = "head" if registry is HEADS else "backbone"
    with user_code.naming(f"The {kind} {name!r}", beyond=(ValueError,)):
        module = factory(**given)
        if hasattr(module, "check"):
            module.check()
    object.__setattr__(module, _REGISTERED_AS, name)  # no field: it changes nothing computed
    return module


def note_packaged() -> None:
    """Counts all that is registered so far as the package's own."""
    _PACKAGED.update((kind, name) for kind, name, _ in _entries())


def is_packaged(kind: str, name: str) -> bool:
    """Whether the package itself registers a "backbone" or "head" of this name."""
    return (kind, name) in _PACKAGED


def name_of(module: nn.Module) -> str:
    """The name under which a backbone or head is registered; its class's name if it is not.

    One from `build` has the name by which it was built. Of the registrations that another module
    fits, the package's own come first, and then those that fix most fields.
    """
    if _REGISTERED_AS in vars(module):
        return vars(module)[_REGISTERED_AS]
    names = {}
    for kind, name, factory in _entries():
        fixed = _fixed_fields(factory)
        if type(module) is _module_class(factory) and all(
            getattr(module, field) == value for field, value in fixed.items()
        ):
            names[is_packaged(kind, name), len(fixed)] = name
    return names[max(names)] if names else type(module).__name__


def require_one_of(field: str, value: Any, valid: Iterable[Any]) -> None:
    """Raises a ValueError that lists the valid values of a field of `config.model`."""
    valid = tuple(valid)
    if value not in valid:
        raise ValueError(f"config.model.{field} is {value!r}; valid: {', '.join(map(str, valid))}.")


def require_at_least_one(field: str, value: int) -> None:
    """Raises a ValueError for a number of channels below 1 in a field of `config.model`."""
    if value < 1:
        raise ValueError(f"config.model.{field} is {value}; it must be at least 1.")


def _entries() -> Iterator[tuple[str, str, Callable[..., nn.Module]]]:
    """Kind, name and factory of all that is registered."""
    for kind, registry in (("backbone", BACKBONES), ("head", HEADS)):
        for name, factory in registry.items():
            yield kind, name, factory


def _module_class(factory: Callable[..., nn.Module]) -> type[nn.Module]:
    return factory.func if isinstance(factory, functools.partial) else factory


def _fixed_fields(factory: Callable[..., nn.Module]) -> dict[str, Any]:
    return factory.keywords if isinstance(factory, functools.partial) else {}
