"""The acquisition methods by name, and `register`, which adds one."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, Literal

from labor_jax import user_code
from labor_jax.acquisition.budget import BudgetKind
from labor_jax.acquisition.pool_image import PoolImage
from labor_jax.close_names import did_you_mean

Asks = Literal[
    "points", "regions", "superpixels", "classes", "corrections", "mask", "images", "full"
]
# The budgets that each kind of query may have; the first is the usual one.
_BUDGETS: dict[Asks, tuple[BudgetKind, ...]] = {
    "points": ("points", "own"),
    "regions": ("regions", "points", "own"),
    "superpixels": ("superpixels", "own"),
    "classes": ("superpixels", "own"),
    "corrections": ("points", "own"),
    "mask": ("own", "cap", "points"),
    "images": ("images",),
    "full": ("own",),
}
# The fields of `PoolImage` that tell nothing of the model.
_WITHOUT_MODEL = ("available", "key", "image")
# The parameters that every method can have; others are settings of its own.
_PARAMETERS = (*PoolImage._fields, "radius", "count", "class_weights")
GENERAL_FIELDS = (
    "method",
    "random_rounds",
    "max_fraction",
    "fraction",
    "points",
    "seconds_per_image",
    "seconds",
    "scope",
    "class_weights",
    "reference_size",
    "radius",
    "samples",
)
"""The fields of `config.acquisition` that are no method's own settings."""


@dataclasses.dataclass(frozen=True, eq=False)
class Method:
    """An acquisition method.

    Attributes:
      name: The name that a config gives in `acquisition.method`.
      function: The acquisition function, see `register`. None if the annotator picks the pixels.
      asks: What a query consists of. "points", "regions" and "superpixels" get one class each.
        "classes" are superpixels that get all the classes in them. "corrections" are points shown
        with the model's class, which is confirmed or replaced. A "mask" is answered by segments.
        "images" are whole images, some of the pool; "full" is all of them.
      budget: What limits a query, see `register`.
      parameters: Names of the function's parameters.
      most_picks: The most picks of an image of (height, width) in all rounds, see `register`.
    """

    name: str
    function: Callable[..., Any] | None
    asks: Asks = "points"
    budget: BudgetKind = "points"
    parameters: tuple[str, ...] = ()
    most_picks: Callable[[tuple[int, int]], int] | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """Fields of `PoolImage` besides `logits` that the function reads."""
        return tuple(
            name for name in self.parameters if name in PoolImage._fields and name != "logits"
        )

    @property
    def needs_model(self) -> bool:
        """Whether the function reads what a trained model says."""
        return not self.picked_by_annotator and any(
            name in PoolImage._fields and name not in _WITHOUT_MODEL for name in self.parameters
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The method's own settings with their defaults, which `config.acquisition` holds too."""
        if self.function is None:
            return {}
        declared = inspect.signature(self.function).parameters
        return {name: declared[name].default for name in self.parameters if name not in _PARAMETERS}

    @property
    def picked_by_annotator(self) -> bool:
        """Whether the annotator, who sees the image, picks the pixels instead of the model."""
        return self.function is None


METHODS: dict[str, Method] = {}
"""The methods by name, as `register` added them."""


def register(
    name: str,
    *,
    asks: Asks = "points",
    budget: BudgetKind | None = None,
    most_picks: Callable[[tuple[int, int]], int] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers an acquisition function, which a config can then name in `acquisition.method`.

    The simplest acquisition function scores the pixels of an image:

        @acquisition.register("largest_logit")
        def largest_logit(logits):
            return -logits.max(axis=-1)

    The function is called with one image by parameter name, and is traced under `jit` and `vmap`.
    A parameter is one of

      - `logits`, `features`, `selector_logits`, `available`, `key`, `image`, `first_logits`,
        `logit_samples`, `radii`: the fields of `PoolImage`. Only the fields that the function names
        are computed.
      - `radius`: `acquisition.radius` of the config, an int.
      - `count`: the number of picks in this image and round under the budget, an int. With
        `budget="cap"` it is the largest number of pixels, or None for no limit.
      - `class_weights`: the weights f32[C] of `acquisition.class_weights`, or None for none. A
        function that names them weighs its scores itself.
      - any other parameter that has a default: a setting of the function itself. A field of that
        name in `config.acquisition` overrides the default. Methods whose settings have one name
        share the field, so their defaults must be equal.

    It returns one of

      - a score f32[H, W] (`asks` "points", "corrections" or "regions"). The pixels, or the square
        regions of `radius`, with the highest scores are asked. Regions don't overlap, as in RIPU.
      - a score f32[] (`asks` "images"). The images with the highest scores are asked as a whole.
      - a vector f32[D] (`asks` "images"). Each image that is asked is the farthest from all that
        were asked before, see `select_image_core_set`.
      - a mask bool[H, W] (`asks` "mask" or "full"). Its available pixels are asked, all of them: a
        budget that limits their number needs one of the following.
      - `ScoredPixels`: a score with the pixels to choose from, or with another distance to keep.
      - a `Selection`, `ScoredSelection` or `MaskSelection`, for a function that selects for itself.
      - a `Query`, which also says among which candidates the function chose. With `asks`
        "superpixels", "classes" or "corrections" it has `parts`, such as `select_superpixels`
        returns.

    Args:
      name: A name that is not registered yet.
      asks: What a query consists of, and so how the annotator answers it.
      budget: What limits a query. "points": a share or a number of an image's pixels. "regions": a
        share of its pixels, in regions of `radius`. "superpixels": a number of parts. "images": a
        share or a number of the pool's images. "cap": `acquisition.max_fraction`, the largest
        share. "own": the function decides. The default is "points" for points and corrections,
        "regions", "superpixels" (for classes, too) and "images" for these, and "own" otherwise.
        Regions also take "points", a number of them, and masks "cap" or "points"; all but images
        take "own".
      most_picks: `most_picks((height, width))` is how many picks the function can find in an image
        in all rounds together. A run whose budget holds more warns at its start. None: as many as
        there are pixels or parts.

    A function that returns a score or `ScoredPixels` also works with class weights and with a
    budget over the pool. For the latter one that selects for itself returns a `ScoredSelection`;
    for the former it names `class_weights`.

    Returns:
      A decorator that returns the function unchanged.

    Raises:
      ValueError: If the name is taken or can't be part of a command, `asks` is unknown or can't
        have the `budget`, or the function has a parameter that is none of those above. Or if a
        setting has the name of a general field of `config.acquisition`, or that of another method's
        setting with another default, or a default that a config can't hold.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if asks not in _BUDGETS:
            raise ValueError(f"asks is {asks!r}; choose one of: {', '.join(_BUDGETS)}.")
        limit = budget or _BUDGETS[asks][0]
        if limit not in _BUDGETS[asks]:
            raise ValueError(
                f"budget is {limit!r}, but what limits a method that asks {asks!r} is one of: "
                f"{', '.join(_BUDGETS[asks])}."
            )
        add(Method(name, function, asks, limit, _parameters(function), most_picks))
        return function

    return decorate


def add(entry: Method) -> None:
    """Adds a method.

    Raises:
      ValueError: If its name, or that of a setting, is taken or can't be one; see `register`.
    """
    user_code.check_name(entry.name, "an acquisition method")
    if entry.name in METHODS:
        raise ValueError(
            f"an acquisition method named {entry.name!r} is already registered; choose another name"
        )
    for setting, default in entry.settings.items():
        owner = f"the parameter {setting!r} of {function_name(entry.function)}"
        user_code.check_default(default, owner)
        _check_setting(entry.name, setting, default)
    METHODS[entry.name] = entry


def _check_setting(name: str, setting: str, default: Any) -> None:
    """Raises a ValueError if a config would give a method another default than its own."""
    if setting in GENERAL_FIELDS:
        raise ValueError(
            f"the acquisition method {name!r} has a setting {setting!r}, but "
            f"config.acquisition.{setting} means the same for all methods; rename the parameter"
        )
    for other in METHODS.values():
        theirs = other.settings.get(setting, default)
        if theirs is not default and theirs != default:
            raise ValueError(
                f"the acquisition methods {name!r} and {other.name!r} share the field "
                f"config.acquisition.{setting}, but their defaults are {default!r} and {theirs!r}; "
                "rename the parameter, or give it the same default"
            )


def method(name: str, *, field: str = "method") -> Method:
    """Looks up a method.

    Args:
      name: Its name.
      field: What to call the name in the error.

    Raises:
      ValueError: If there is no such method; the message lists all methods.
    """
    if name not in METHODS:
        meant = did_you_mean(name, METHODS)
        raise ValueError(f"{field} is {name!r}; choose one of: {', '.join(METHODS)}.{meant}")
    return METHODS[name]


def function_name(function: Callable[..., Any]) -> str:
    """Name of a function in error messages."""
    return getattr(function, "__name__", repr(function))


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    names = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        optional = parameter.default is not parameter.empty
        by_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if not by_name or not (optional or parameter.name in _PARAMETERS):
            raise ValueError(
                f"the acquisition function {function_name(function)} has the parameter "
                f"{str(parameter)!r}; parameters are passed by name, and each is one of "
                f"{', '.join(_PARAMETERS)}, or has a default"
            )
        names.append(parameter.name)
    return tuple(names)
