"""The interface of a loss term, its value, and the weighted sum of a phase's terms.

A loss is a sum of weighted terms. A term is a small object that says which views of the batch it
reads and computes a `Term` from the network's outputs on them. It may also bring what it needs:

| attribute or method                             | what it brings                                |
|-------------------------------------------------|-----------------------------------------------|
| `reads`                                         | names of the views whose outputs it reads     |
| `loss(outputs, batch, memory) -> Term`          | the summand; may also take `model` and `key`  |
| `makes`, `views(key, batch, memory)`            | views made of other images on the device      |
| `images_of`                                     | which of them have the images of which domain |
| `uses`                                          | terms whose views its own are made of         |
| `statistics_of`                                 | the view that batch norm may follow           |
| `players(setup)`                                | networks trained beside the model             |
| `player_losses(outputs, batch, memory)`         | a `Term` for each player; likewise            |
| `memory(model)` or `memory(model, setup)`       | what it keeps from step to step, a teacher say|
| `measure(batch, memory)`                        | sums over the views of all devices, per step  |
| `update(memory, model)`, with `measure`         | what it keeps after a step                    |
| `update(memory, model, measured)`               |                                               |
| `before_phase(passes, memory)`                  | a pass over the pool or the source            |
| `smallest_image`                                | the least height and width of training images |
| `smallest_target_batch`                         | the fewest target images that it takes at once|
| `whole_images`                                  | whether it needs target images without crops  |
| `uses_auxiliary_head`                           | whether it reads `Outputs.auxiliary_logits`   |
| `labels_target`                                 | whether it has to know what is void           |
| `follows_steps`                                 | whether its memory depends on `setup.steps`   |

`reads` and `loss` are all that a simple term has. "source" and "target" are the views that come
from files: `{"image": uint8[B, h, w, 3], "label": int32[B, h, w], "index": int32[B]}`, where a
target label is 255 wherever nobody has answered, and an index is the image's number in its split.
Where all classes of a part are asked, the target also holds "candidates", a pixel's possible
classes as bits, and "part", the number of its part, see `data.label_sets`. For a term that labels
pixels of the target, or makes their predictions certain, it also holds "void": bool[B, h, w], the
pixels that can have no class, being answered as void or beyond the image.
`adaptation.target_answers` reads both.
`model` is the `models.Model` in training, through whose variables a loss moves its weights. `key`
is a JAX random key for what a loss draws, such as dropout of a network of its own: another one for
each term, step, microbatch and device, and the same one for a term's loss and its players' losses.
`makes` maps each view that a term makes to the domains it is made of,
such as `{"mixed": ("source", "target")}`. A view that only adds labels to a domain's images is in
`images_of`, such as `{"pseudo_labelled": "target"}`: its outputs are the domain's.

`memory` is a dict of the term's own; a player's parameters are in it under the player's name. It
starts anew with each schedule, so with each staged phase, and goes on through all of joint
training; players go on through the whole run. `update` and `before_phase` return a dict of the
entries that they change, of the structure, shapes and dtypes that `memory` gave them. Entries that
they leave out, such as players' parameters, stay as they are.

`uses` names other terms that the term can't do without, such as ("mean_teacher",): several terms
then share one teacher. Where such a term has no weight, it brings its memory and its views, but
neither its loss nor its players. Its views are in the `batch` that the using term's `views` gets.

`measure` returns a tree of float arrays of the batch and its views. The step sums them over all
microbatches and devices, and hands the sums to `update`, so that memory is the same everywhere.

Several terms may read one view, and the network sees each view's images once.
`Terms.statistics_views` names the views that batch norm's running statistics follow.
"""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from labor_jax import user_code
from labor_jax.data.base import DataError
from labor_jax.training.processes import ProcessError

DOMAINS = ("source", "target")
"""The views that come from files."""

RUNNING_STATISTICS = ("target", "source", "all")
"""Whose mean and variance trained batch norm may keep, see `Terms.statistics_views`."""


class Term(NamedTuple):
    """A term's value on one microbatch of one device; the loss is total / count over all of them.

    Attributes:
      total: f32[], the sum over what counts, pixels say; or f32[n] of `sum_of`.
      count: the same shape, how many that are, or their weights' sum; no gradient goes through it.
    """

    total: jax.Array
    count: jax.Array

    @classmethod
    def of_mean(cls, mean: jax.Array, count: jax.Array | float) -> "Term":
        """The term of a mean over `count` values."""
        count = jax.lax.stop_gradient(jnp.asarray(count, jnp.float32))
        return cls(mean * count, count)

    @classmethod
    def sum_of(cls, *weighted: tuple[jax.Array | float, "Term"]) -> "Term":
        """The weighted sum of terms that each are a mean over their own count.

        Args:
          *weighted: pairs of a weight and a `Term` of f32[].
        """
        return cls(
            jnp.stack([weight * term.total for weight, term in weighted]),
            jnp.stack([jnp.asarray(term.count, jnp.float32) for _, term in weighted]),
        )


class Player(NamedTuple):
    """A network that is trained beside the model: a discriminator, a translator.

    Attributes:
      init: from a JAX random key to its parameters.
      optimizer: over them.
    """

    init: Callable[[jax.Array], Any]
    optimizer: optax.GradientTransformation


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a term may know of the phase when it builds its players and its memory.

    Attributes:
      num_classes: C.
      image_size: an example (height, width) of images, for shapes that don't depend on it.
      schedule: from a learning rate at step 0 to the phase's schedule of it.
      classes: the classes' names, C of them.
      num_images: how many images a domain has, by "source" and "target".
      steps: the phase's; all phases of joint training together are one.
      network: what is trained, a `models.Segmenter`, for shapes and for copies of its modules.
      optimizer: the model's, over `{"backbone": …, "head": …}` or a part of it, for a player that
        trains together with the model.
    """

    num_classes: int
    image_size: tuple[int, int]
    schedule: Callable[[float], optax.Schedule]
    classes: tuple[str, ...] = ()
    num_images: Mapping[str, int] = dataclasses.field(default_factory=dict)
    steps: int = 0
    network: nn.Module | None = None
    optimizer: optax.GradientTransformation | None = None

    def feature_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the backbone's last map of a training image."""

        def extract(key):
            images = jnp.zeros((1, *self.image_size, 3))
            return self.network.init_with_output(key, images, method="extract")[0]

        return jax.eval_shape(extract, jax.random.key(0)).maps[-1].shape[1:]


Outputs = Mapping[str, Any]
Batch = Mapping[str, Mapping[str, jax.Array]]
Memory = dict[str, dict[str, Any]]
"""What the terms keep, by term."""


def naming(
    name: str, method: str, *, beyond: tuple[type[Exception], ...] = ()
) -> contextlib.AbstractContextManager[None]:
    """Puts a term and its method before the message of any error inside.

    Args:
      name: the term's.
      method: its method's.
      beyond: errors of what is not the term's, which stay as they are.

    Raises:
      ValueError: for any other error.
    """
    return user_code.naming(f"{method} of the term {name!r}", beyond=beyond)


class Terms:
    """The weighted terms of one phase."""

    def __init__(
        self,
        weights: Mapping[str, float],
        terms: Mapping[str, Any],
        running_statistics: str = "target",
    ):
        """Checks that every view that is read has a maker.

        Args:
          weights: of the terms; those of weight 0 are left out, unless another one uses them.
          terms: the objects, by the same names; also those that they use.
          running_statistics: one of `RUNNING_STATISTICS`, see `statistics_views`.

        Raises:
          ValueError: a term reads a view, or has it in `statistics_of`, that no other one makes; or
            two terms make one view; or a view has the images of a domain of which it is not made;
            or terms use one another in a circle; or none of them reads a view; or
            `running_statistics` is none of `RUNNING_STATISTICS`.
        """
        if running_statistics not in RUNNING_STATISTICS:
            raise ValueError(
                f"running_statistics is {running_statistics!r}; "
                f"choose one of: {', '.join(RUNNING_STATISTICS)}."
            )
        self._running_statistics = running_statistics
        self.weights = {name: float(weight) for name, weight in weights.items() if weight}
        self.terms: dict[str, Any] = {}  # those that are used before those that use them
        for name in self.weights:
            self._add(name, terms)
        self._weighted = {name: self.terms[name] for name in self.weights}
        self._makers: dict[str, str] = {}
        for name, term in self.terms.items():
            for view in getattr(term, "makes", {}):
                if view in (*DOMAINS, *self._makers):
                    raise ValueError(
                        f"Term {name} makes the view {view!r}, which "
                        f"{self._makers.get(view, 'the data')} brings already. So one phase can't "
                        "have both: give one of them weight 0, and don't join their methods; in a "
                        "term of your own, give the view another name."
                    )
                self._makers[view] = name
        self._images_of: dict[str, str] = {}
        for name, term in self.terms.items():
            for view, domain in getattr(term, "images_of", {}).items():
                if domain not in getattr(term, "makes", {}).get(view, ()):
                    raise ValueError(
                        f"Term {name} has the view {view!r} in images_of, with the domain "
                        f"{domain!r}; its makes has to name that domain for the view."
                    )
                self._images_of[view] = domain
        for name, term in self._weighted.items():
            for view in term.reads:
                self._check_view(f"Term {name} reads the view", view)
            if asked := _statistics_of(term):
                self._check_view(f"Term {name} has in statistics_of the view", asked)
        if self.terms and not self.reads:
            raise ValueError(
                f"The terms {', '.join(self.weights)} read no view, so the phase would train on no "
                "image; give one that does a weight too."
            )

    def _check_view(self, said: str, view: str) -> None:
        """Raises a ValueError if the network can't see a view in this phase."""
        if view not in (*DOMAINS, *self._makers):
            raise ValueError(
                f"{said} {view!r}, which no term of this phase makes; give the term that makes it "
                "a weight too."
            )

    def _add(self, name: str, terms: Mapping[str, Any], users: tuple[str, ...] = ()) -> None:
        """Takes a term in, after those that it uses; `users` are those that need it."""
        if name in users:
            circle = [*users[users.index(name) :], name]
            raise ValueError(
                f"Terms use one another in a circle: {', which uses '.join(circle)}. Leave one of "
                "them out of the other's uses."
            )
        if name not in self.terms:
            for used in getattr(terms[name], "uses", ()):
                self._add(used, terms, (*users, name))
            self.terms[name] = terms[name]

    @property
    def reads(self) -> tuple[str, ...]:
        """The views that the network has to see; source and target first."""
        read = {view for term in self._weighted.values() for view in term.reads}
        has_source = "source" in read or any("source" in of for of in self._made_of.values())
        if self._running_statistics == "source" and has_source:
            read.add("source")
        else:
            read.update(self._asked_statistics)
        read = {self._images_of.get(view, view) for view in read}
        return (
            *(view for view in DOMAINS if view in read),
            *(view for view in self._makers if view in read),
        )

    def of_all_views(self, outputs: Outputs) -> dict[str, Any]:
        """Outputs by view: those of `reads`, and the same again for views of the same images."""
        same = {view: seen for view, seen in self._images_of.items() if seen in outputs}
        return {**outputs, **{view: outputs[seen] for view, seen in same.items()}}

    @property
    def statistics_views(self) -> tuple[str, ...]:
        """The views whose mean and variance trained batch norm keeps, averaged over the views.

        By `running_statistics`:
          "target": the target where a term reads it (AdaBN, Li et al. 2017); else the view that a
            term names in `statistics_of`, which the network then sees too; else the last view.
          "source": the source's images as they are. The network sees them even if terms read only
            what is made of them. A phase without the source follows "target".
          "all": every view that the network sees.
        """
        reads = self.reads
        if self._running_statistics == "all":
            return reads
        wanted = (self._running_statistics, "target", *self._asked_statistics, reads[-1])
        return tuple(view for view in wanted if view in reads)[:1]

    @property
    def _made_of(self) -> dict[str, tuple[str, ...]]:
        """The domains that each view is made of."""
        return {view: self.terms[name].makes[view] for view, name in self._makers.items()}

    @property
    def _asked_statistics(self) -> tuple[str, ...]:
        asked = map(_statistics_of, self._weighted.values())
        return tuple(view for view in asked if view)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that a batch has to hold: those that are read, or that views are made of."""
        needed = set(self.reads).union(*self._made_of.values())
        return tuple(domain for domain in DOMAINS if domain in needed)

    @property
    def uses_auxiliary_head(self) -> bool:
        """Whether a term reads the auxiliary head's logits."""
        return any(getattr(term, "uses_auxiliary_head", False) for term in self._weighted.values())

    @property
    def labels_target(self) -> bool:
        """Whether a term labels the target or makes it certain, and so has to know what is void."""
        return any(getattr(term, "labels_target", False) for term in self.terms.values())

    def players(self, setup: Setup) -> dict[str, dict[str, Player]]:
        """The players, by term and name."""
        found = {}
        for name, term in self._weighted.items():
            if hasattr(term, "players"):
                with naming(name, "players"):
                    found[name] = term.players(setup)
        return found

    def memory(self, model: Any, setup: Setup | None = None) -> Memory:
        """What the terms keep at a phase's start, without the players' parameters.

        Args:
          model: the `Model` that the phase before handed on.
          setup: the phase's, for terms whose `memory` takes it.
        """
        found = {}
        for name, term in self.terms.items():
            with naming(name, "memory"):
                found[name] = _first_memory(term, model, setup)
        return found

    def before_phase(self, passes: Any, memory: Memory) -> Memory:
        """Lets the terms look at whole splits before the first step; see `experiment.passes`.

        Raises:
          DataError, ProcessError: an image can't be read, or another process failed.
          ValueError: a term fails, or its memory is not of the structure and shapes that `memory`
            gave it.
        """
        return {
            name: _prepared(name, term, passes, memory[name]) for name, term in self.terms.items()
        }

    def add_views(self, key: jax.Array, batch: Batch, memory: Memory) -> dict[str, Any]:
        """The batch with the views that terms make of it.

        Raises:
          ValueError: a term makes others than it says, or one without the images that are read.
        """
        views = dict(batch)
        for number, (name, term) in enumerate(self.terms.items()):
            makes = getattr(term, "makes", {})
            if not makes:
                continue
            with naming(name, "views"):
                made = term.views(jax.random.fold_in(key, number), views, memory[name])
                if set(made) != set(makes):
                    raise ValueError(
                        f"it returned {', '.join(made) or 'nothing'}, but its makes names "
                        f"{', '.join(makes)}; both have to agree."
                    )
                for view in made:
                    if view in self.reads and "image" not in made[view]:
                        raise ValueError(
                            f"the view {view!r} is read, so it has to hold 'image', f32 or "
                            "uint8[B, h, w, 3]."
                        )
            views.update(made)
        return views

    def losses(
        self,
        outputs: Outputs,
        batch: Batch,
        memory: Memory,
        model: Any = None,
        key: jax.Array | None = None,
    ) -> dict[str, Term]:
        """Each term's value on a microbatch.

        Args:
          outputs: the network's, by view.
          batch: with the terms' views.
          memory: the terms'.
          model: the one in training.
          key: a JAX random key, where a term takes one.

        Raises:
          ValueError: a loss is not a `Term` of two numbers.
        """
        found = {}
        for name in self._weighted:
            found[name] = self._called(name, "loss", outputs, batch, memory, model, key)
            _check_term(found[name], f"loss of the term {name!r}")
        return found

    def player_losses(
        self,
        outputs: Outputs,
        batch: Batch,
        memory: Memory,
        model: Any = None,
        key: jax.Array | None = None,
    ) -> dict[str, dict[str, Term]]:
        """Each player's loss, by term and name, on what carries no gradient to the model.

        Args:
          outputs: as for `losses`.
          batch: likewise.
          memory: likewise.
          model: likewise.
          key: likewise, the same one.

        Raises:
          ValueError: a loss is not a `Term` of two numbers.
        """
        return {
            name: self.player_losses_of(name, outputs, batch, memory, model, key)
            for name, term in self._weighted.items()
            if hasattr(term, "players")
        }

    def player_losses_of(
        self, name: str, outputs: Outputs, batch: Batch, memory: Memory, model: Any, key: Any
    ) -> dict[str, Term]:
        """One term's part of `player_losses`: all that the gradients of its players need."""
        outputs, model = jax.lax.stop_gradient((outputs, model))
        found = self._called(name, "player_losses", outputs, batch, memory, model, key)
        if not isinstance(found, dict):
            raise ValueError(
                f"player_losses of the term {name!r} returned {_described(found)}; return a dict "
                "with the loss of each player by its name."
            )
        for player, loss in found.items():
            _check_term(loss, f"The loss of the player {player!r} of the term {name!r}")
        return found

    def _called(self, name: str, method: str, outputs, batch, memory: Memory, model, key) -> Any:
        """What a term's method returns, which may take the model and a random key of its own."""
        if key is not None:
            key = jax.random.fold_in(key, list(self.terms).index(name))
        more = {"model": model, "key": key}
        with naming(name, method):
            function = getattr(self.terms[name], method)
            more = {each: value for each, value in more.items() if _takes(function, each)}
            return function(outputs, batch, memory[name], **more)

    def measure(self, batch: Batch, memory: Memory) -> dict[str, Any]:
        """What the terms sum over the batch and its views, by term."""
        found = {}
        for name, term in self.terms.items():
            if hasattr(term, "measure"):
                with naming(name, "measure"):
                    found[name] = term.measure(batch, memory[name])
        return found

    def update(self, memory: Memory, model: Any, measured: Mapping[str, Any]) -> Memory:
        """What the terms keep after a step.

        Args:
          memory: before it.
          model: as the step left it.
          measured: the sums of `measure` over all devices.

        Raises:
          ValueError: a term's memory is not of the structure and shapes that `memory` gave it.
        """
        return {
            name: _updated(name, term, memory[name], model, measured.get(name))
            for name, term in self.terms.items()
        }


def _updated(
    name: str, term: Any, memory: dict[str, Any], model: Any, measured: Any
) -> dict[str, Any]:
    """A term's memory after a step."""
    if not hasattr(term, "update"):
        return memory
    with naming(name, "update"):
        changed = term.update(*(memory, model, measured)[: 3 if hasattr(term, "measure") else 2])
    return _changed_memory(name, "update", memory, changed)


def _first_memory(term: Any, model: Any, setup: Setup | None) -> dict[str, Any]:
    """A term's memory at a phase's start."""
    if not hasattr(term, "memory"):
        return {}
    takes_setup = _takes(term.memory, "setup")
    found = term.memory(model, setup) if takes_setup else term.memory(model)
    if not isinstance(found, dict):
        raise ValueError(f"returned {_described(found)}; return a dict, which may be empty.")
    return jax.tree.map(_kept, found)


def _kept(leaf: Any) -> Any:
    """A leaf of a term's memory, of a dtype that stays: a weak one would compile a step twice."""
    dtype = jnp.result_type(leaf)
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        raise ValueError(
            "keeps a random key, which a checkpoint can't hold; keep jax.random.key_data(key), and "
            "use jax.random.wrap_key_data of it."
        )
    return jax.lax.convert_element_type(leaf, dtype)


def _statistics_of(term: Any) -> str:
    return getattr(term, "statistics_of", "")


def _takes(function: Callable, parameter: str) -> bool:
    return parameter in inspect.signature(function).parameters


def _check_term(value: Any, culprit: str) -> None:
    """Checks that it is a `Term` of two numbers, or of two equally long rows of them."""
    if isinstance(value, Term):
        total, count = (jnp.shape(each) for each in value)
        if (
            total == count
            and len(total) <= 1
            and jnp.issubdtype(jnp.result_type(value.total), jnp.floating)
        ):
            return
        got = f"Term({_described(value.total)}, {_described(value.count)})"
    else:
        got = _described(value)
    raise ValueError(
        f"{culprit} returned {got}; return Term(total, count), two numbers, the total a float."
    )


def _described(value: Any) -> str:
    """What a person calls a value that is not what it should be."""
    if isinstance(value, jax.Array | np.ndarray):
        return f"an array {value.dtype}{list(value.shape)}"
    return f"a value of type {type(value).__name__}"


def _prepared(name: str, term: Any, passes: Any, memory: dict[str, Any]) -> dict[str, Any]:
    """A term's memory after its `before_phase`."""
    if not hasattr(term, "before_phase"):
        return memory
    with naming(name, "before_phase", beyond=(DataError, ProcessError)):
        changed = term.before_phase(passes, memory)
    return _changed_memory(name, "before_phase", memory, changed)


def _changed_memory(name: str, method: str, memory: dict[str, Any], changed: Any) -> dict[str, Any]:
    """A term's memory with the entries that one of its methods changed, of the form they had."""
    after = {**memory, **changed} if isinstance(changed, Mapping) else changed
    forms = [
        jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), each)
        for each in (memory, after)
    ]
    if forms[0] != forms[1]:
        raise ValueError(
            f"{method} of the term {name!r} returned memory of another structure than its "
            "method memory; return a dict of some of its names, with arrays of the same shapes "
            "and dtypes."
        )
    return jax.tree.map(_kept, after)
