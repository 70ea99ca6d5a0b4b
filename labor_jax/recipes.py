"""One function a method, which turns the base config into that method's.

A recipe gets the base config with the data pair's settings already in it. It names no pair: what a
pair changes about a recipe is registered with the pair, see `labor_jax.data.register_pair`.
"""

import collections
import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from labor_jax import user_code
from labor_jax.close_names import did_you_mean
from labor_jax.locked_config import flat

logger = logging.getLogger(__name__)

Recipe = Callable[[ConfigDict], None]


def spl(config: ConfigDict) -> None:
    """LabOR with segment-based labelling (SPL): asks the inconsistency mask, up to a cap."""
    config.acquisition.method = "spl"
    config.acquisition.max_fraction = 0.05


def ppl(config: ConfigDict) -> None:
    """LabOR with point-based labelling (PPL): asks SelectPt's representative points."""
    config.acquisition.method = "ppl"


def ripu_ra(config: ConfigDict) -> None:
    """RIPU with regions: 3x3 regions of largest impurity x uncertainty, 2.2% of the pixels."""
    active(config, "ripu_ra")


def ripu_pa(config: ConfigDict) -> None:
    """RIPU with pixels: 40 pixels an image of largest impurity x uncertainty."""
    active(config, "ripu_pa")


def ripu_source_free(config: ConfigDict) -> None:
    """RIPU without source data: a source-trained model, target images, 2.2% of their labels."""
    ripu_ra(config)
    config.round.terms.update(source_labels=0.0, local_consistency=0.0)
    # The source model is trained as long as joint training is before its first query.
    config.supervised.update(
        steps=config.joint.query_steps[0], learning_rate=config.joint.learning_rate
    )
    _query_at_once(config)


def random(config: ConfigDict) -> None:
    """Random pixels under a budget: the baseline that every acquisition method must beat."""
    config.acquisition.method = "random"
    config.acquisition.fraction = 0.05


def supervised(config: ConfigDict) -> None:
    """Full supervision: every label of the pool from round 1 on, in the same rounds as SPL."""
    config.acquisition.method = "all"


def source_only(config: ConfigDict) -> None:
    """Training on source labels alone: where adaptation starts."""
    _without_warmup(config)
    config.rounds = 0


def warmup(config: ConfigDict) -> None:
    """LabOR's warm-up alone: supervised on source, then adversarial on the outputs."""
    config.rounds = 0


def active(config: ConfigDict, method: str) -> None:
    """Any acquisition method under RIPU's joint training.

    Acquisition alone differs, but `halo` has a head and `multi_hot` has terms of its own.
    """
    acquisition, entry = config.acquisition, _acquisition_method(method)
    acquisition.method = method
    config.protocol = "joint"
    config.rounds = 5
    config.supervised.steps = 0
    _without_warmup(config)
    config.round.terms.update(local_consistency=0.1, negative_learning=1.0)
    config.optimizer.update(
        name="sgd", momentum=0.9, weight_decay=5e-4, head_multiplier=10.0, clip_norm=0.0
    )
    # The pixel selector's rate has the same ratio to the model's as in LabOR's rounds.
    config.selector.learning_rate *= config.joint.learning_rate / config.round.learning_rate
    if entry.picked_by_annotator:
        config.rounds = 1  # as in WDA; another round would only add one more point of each class
    elif entry.budget == "regions":
        acquisition.fraction = 0.022
    elif entry.budget == "cap":
        acquisition.max_fraction = 0.022
    elif entry.budget in ("points", "superpixels"):
        acquisition.points = 40
    elif entry.budget == "images":
        acquisition.fraction = 0.022
    if entry.asks == "classes":
        # As in MulActSeg's code, whose answers of a single class weigh 16.
        config.round.terms.update(candidate_classes=8 / 16, prototypical_pixels=1 / 16)
    if method == "multi_hot":
        acquisition.class_weights = "predicted"  # PixBal's
    if method == "halo":
        config.model.head = "hyperbolic"
    if method in ("ripu_pa", "ripu_pa_code"):
        acquisition.radius = 32  # RIPU's, at the 1024 rows of Cityscapes


def uda(config: ConfigDict, method: str) -> None:
    """Any method of adaptation to unlabelled images, before the rounds or without them."""
    from labor_jax import adaptation  # imports JAX, which takes a second

    config.warmup.steps = max(config.warmup.steps, config.supervised.steps)
    _only_source_labels(config)
    # "target" is no gain on street and costs points on camvid. With "source" teachers label worse
    # there: see docs/adaptation.md. A method may choose otherwise.
    config.warmup.running_statistics = config.retraining.running_statistics = "all"
    names = method.split("+")
    if len(names) > 1:
        _say_what_is_replaced(config, names)
    for name in names:
        _adapt(config, name)
    if not config.warmup.steps and _warmup_has_terms_of_its_own(config):
        adaptation.retrain(config, stages=config.retraining.stages, share=0.5)
    config.rounds = 0


def _adapt(config: ConfigDict, method: str) -> None:
    """Sets the fields of a method of adaptation; an error names the method."""
    with user_code.naming(f"the method of adaptation {method!r}"):
        _adaptation_methods()[method](config)


def _say_what_is_replaced(config: ConfigDict, names: list[str]) -> None:
    """Warns of settings to which joined methods give different values; the last one's holds."""
    before = dict(flat(config))
    found: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    for name in names:
        alone = config.copy_and_resolve_references()
        _adapt(alone, name)
        for field, value in flat(alone):
            if value != before[field] and field not in _OF_RETRAINING:
                found[field][name] = value
    for field, values in found.items():
        if len(set(values.values())) > 1:
            *_, (name, value) = values.items()
            others = ", ".join(f"{each} of {of}" for of, each in values.items() if each != value)
            _warn(f"config.{field} is {value} of the method {name}, and not {others}.")


_OF_RETRAINING = ("warmup.steps", "retraining.stages", "retraining.steps", "retraining.share")
"""What joined methods share out, see `adaptation.retrain`."""


@functools.cache  # so that it is said once, however often the config is made
def _warn(message: str) -> None:
    logger.warning(message)


def _only_source_labels(config: ConfigDict) -> None:
    for section in (config.supervised, config.warmup, config.retraining):
        section.terms.update({name: 0.0 for name in section.terms} | {"source_labels": 1.0})


def _warmup_has_terms_of_its_own(config: ConfigDict) -> bool:
    """Whether a weight of the warm-up would be lost if retraining took all steps."""
    kept = config.retraining.terms
    return any(weight and not kept[name] for name, weight in config.warmup.terms.items())


def _without_warmup(config: ConfigDict) -> None:
    config.warmup.steps = 0
    # Nor is there an auxiliary head, which only the warm-up uses.
    config.supervised.terms.auxiliary_source_labels = 0.0
    config.warmup.terms.update(auxiliary_source_labels=0.0, auxiliary_adversarial=0.0)


_RECIPES: dict[str, Recipe] = {
    recipe.__name__: recipe
    for recipe in (
        spl,
        ppl,
        ripu_ra,
        ripu_pa,
        ripu_source_free,
        random,
        supervised,
        source_only,
        warmup,
        active,
        uda,
    )
}

NAMES = tuple(_RECIPES)
"""The names that `find` knows."""

WITH_METHOD = ("active", "uda")
"""Those that take a method: "active:METHOD"."""

PAPER_ALONE = ("ripu_source_free", "source_only", "uda", "warmup")
"""Those that refuse the recipe `today`.

Their config has no rounds, or rounds without source images.
"""


def why_paper_alone(name: str) -> str:
    """Says why one of `PAPER_ALONE` refuses the recipe `today`, and what to do."""
    if name.partition(":")[0] == "uda":
        return (
            f"config.recipe is 'today', but {name} has a recipe of its own before the rounds. "
            "Leave config.recipe out; for what 'today' adds to rounds set "
            "config.round.terms.class_mix=1."
        )
    return (
        "config.recipe is 'today', which adds to the training on source and answers in the rounds, "
        f"and {name} has none. Leave config.recipe out."
    )


def find(name: str) -> Recipe:
    """Looks up a recipe.

    Args:
      name: one of `NAMES`, with an acquisition method as "active:METHOD", or with a method of
        adaptation, or several joined by "+", as "uda:METHOD".

    Returns:
      The recipe; it also sets `config.method`.

    Raises:
      ValueError: there is no such recipe or method.
    """
    base, _, method = name.partition(":")
    if base not in _RECIPES or (method and base not in WITH_METHOD):
        raise ValueError(unknown_name(name))
    if base == "active":
        _acquisition_method(method)
    elif base == "uda":
        _check_adaptation(method)

    def recipe(config: ConfigDict) -> None:
        if base in WITH_METHOD:
            _RECIPES[base](config, method)
        else:
            _RECIPES[base](config)
        config.method = method or base

    return recipe


def _adaptation_methods() -> dict[str, Recipe]:
    from labor_jax import adaptation  # imports JAX, which takes a second

    return adaptation.METHODS


def _acquisition_methods() -> dict[str, Any]:
    from labor_jax import acquisition  # imports JAX, which takes a second

    return acquisition.METHODS


def _check_adaptation(method: str) -> None:
    """ValueError that lists all methods of adaptation unless each of the names is one."""
    known = _adaptation_methods()
    unknown = [name for name in method.split("+") if name not in known]
    if not unknown:
        return
    problem = f"There is no method of adaptation {unknown[0]!r}." if unknown[0] else ""
    meant = did_you_mean(unknown[0], known)
    raise ValueError(
        f"{problem or 'uda needs a method of adaptation.'}{meant} Write uda:METHOD, or "
        f"uda:METHOD,PAIR on the command line. METHOD is one of {', '.join(sorted(known))}, or "
        "several joined by +."
    )


def _acquisition_method(name: str) -> Any:
    """The acquisition method of a name; ValueError that lists all if there is none."""
    from labor_jax.active import strategies  # imports JAX, which takes a second

    if not name:
        raise ValueError(
            "active needs an acquisition method: active:METHOD, or active:METHOD,PAIR on the "
            f"command line. METHOD is one of {', '.join(_acquisition_methods())}."
        )
    return strategies.method(name)


def today(config: ConfigDict) -> None:
    """Turns a method's recipe into today's, which learns from unlabelled target pixels too.

    The rounds mix classes of the source into the target under a mean teacher's labels, and follow
    the supervised phase at once. docs/adaptation.md compares it with the recipe as published.
    It is for all but `PAPER_ALONE`.
    """
    _without_warmup(config)
    config.round.terms.class_mix = 1.0


NEED_SOURCE = ("ppl", "spl", *PAPER_ALONE)
"""Those that begin with a model trained on source images."""


def without_source(config: ConfigDict) -> None:
    """Turns a method's recipe into one for photos alone, such as PixelPick's.

    The first round asks at random, since no model can tell yet; all training is on answers. It is
    for all but `NEED_SOURCE`.
    """
    from labor_jax.active import strategies  # imports JAX, which takes a second

    config.supervised.steps = 0
    _without_warmup(config)
    config.round.terms.update(source_labels=0.0, local_consistency=0.0, negative_learning=0.0)
    entry = strategies.method(config.acquisition.method)
    config.acquisition.random_rounds = int(strategies.at_random(entry) is not None)
    _query_at_once(config)


def _query_at_once(config: ConfigDict) -> None:
    """Makes joint training begin with its first query."""
    first = config.joint.query_steps[0]
    config.joint.query_steps = tuple(step - first for step in config.joint.query_steps)
    config.joint.steps -= first
    config.joint.schedule_steps -= first


def name_of(config: ConfigDict) -> str:
    """The name that `find` knows a config's recipe by.

    Raises:
      ValueError: `config.method` is none of the recipes' or methods' names.
    """
    from labor_jax import adaptation  # imports JAX, which takes a second

    method = config.method
    if config.protocol == "joint" and method not in ("ripu_ra", "ripu_pa", "ripu_source_free"):
        return f"active:{method}"
    if method in _RECIPES:
        return method
    if adaptation.is_method(method):
        return f"uda:{method}"
    if method in _acquisition_methods():  # a pair may train it in rounds
        return f"active:{method}"
    raise ValueError(
        f"config.method is {method!r}, which is no method of the package, so config.recipe and "
        "config.schedule can't be changed. Give them to labor_jax.get_config."
    )


def unknown_name(name: str) -> str:
    """Says that a config's name is unknown, and which are known."""
    meant = did_you_mean(name.partition(":")[0], NAMES)
    return (
        f"Unknown config {name!r}.{meant} The names are {', '.join(NAMES)}; active:METHOD takes "
        "any acquisition method, uda:METHOD any method of adaptation."
    )


def summaries() -> dict[str, str]:
    """Returns the first line of each recipe's docstring, by name."""
    return {name: inspect.getdoc(each).splitlines()[0] for name, each in _RECIPES.items()}
