"""The train step: one pure function for every phase of the experiment.

It shows the network the images of each view once, sums the terms, differentiates and updates. What
the terms are, it does not know.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from labor_jax import models
from labor_jax.training.mesh import BATCH_AXIS
from labor_jax.training.metric_names import is_reserved
from labor_jax.training.microbatches import add_up, map_microbatches
from labor_jax.training.state import TrainState
from labor_jax.training.terms import Player, Term, Terms

# Folded in for views and terms; the network's draws fold in a microbatch's number or a view's.
_VIEWS_KEY, _TERMS_KEY = 2**31 - 1, 2**31 - 2

Step = Callable[[TrainState, dict], tuple[TrainState, dict[str, jax.Array]]]


def make_train_step(
    network: nn.Module,
    optimizer: optax.GradientTransformation,
    terms: Terms,
    *,
    players: Mapping[str, Mapping[str, Player]] | None = None,
    microbatches: int = 1,
    axis_name: str | None = BATCH_AXIS,
    apply: Callable[..., Any] | None = None,
) -> Step:
    """Builds the pure step of a phase.

    Args:
      network: a linen module of images f32[B, h, w, 3] and `train`, such as a `models.Segmenter`.
      optimizer: over its parameters.
      terms: the loss.
      players: the terms', by term and name.
      microbatches: into how many microbatches the step cuts a device's batch, for less memory; the
        number must divide it. Means are over the whole batch, so this changes nothing but random
        draws, which images are paired, and trained batch norm, which normalises each microbatch by
        itself. A term whose count depends on the outputs needs one extra forward pass to count.
      axis_name: the device axis of means and batch norm; None outside of one.
      apply: what takes the place of `network.apply`, such as zeros in the shapes of its results for
        a check of the terms; None for itself.

    Returns:
      `step(state, batch) -> (state, metrics)`. `batch` holds `terms.domains`, each
      `{"image": uint8[B, h, w, 3], "label": int32[B, h, w], "index": int32[B]}`, where the terms
      may do without the index; `metrics` are f32[] means over all
      devices: "loss", the weighted sum, and the loss of each term (NAME) and player (TERM_PLAYER).

    Raises:
      ValueError: two of them have one name, or a player has that of another metric.
    """
    players = players or {}
    _check_names(terms, players)
    # Compiled, so that views of the same shape are traced once.
    apply = apply or jax.jit(network.apply, static_argnames=("train", "mutable"))

    def forward(variables, batch, key):
        """Outputs by view, and the batch statistics that follow from them.

        Batch norm normalises each view by itself, and keeps the statistics that the terms choose.
        """
        outputs, statistics = {}, {}
        for number, view in enumerate(terms.reads):
            outputs[view], statistics[view] = apply(
                variables,
                models.network_input(batch[view]["image"]),
                train=True,
                rngs={"dropout": jax.random.fold_in(key, number)},
                mutable=("batch_stats",),
            )
        followed = [statistics[view] for view in terms.statistics_views]
        return terms.of_all_views(outputs), _mean_after(variables, followed)

    def model_of(variables):
        return models.Model(variables=variables, network=network)

    def losses(outputs, batch, memory, model, key):
        """The terms' and the players' losses, by the names of their metrics."""
        own = terms.losses(outputs, batch, memory, model, key)
        for term, by_player in terms.player_losses(outputs, batch, memory, model, key).items():
            own |= {_player_metric(term, player): loss for player, loss in by_player.items()}
        return own

    def model_loss(params, variables, memory, batch, key, counts):
        variables = {**variables, "params": params}
        outputs, statistics = forward(variables, batch, key)
        terms_key = jax.random.fold_in(key, _TERMS_KEY)
        own = terms.losses(outputs, batch, memory, model_of(variables), terms_key)
        shares = _shares(own, counts, axis_name)
        loss = sum(weight * shares[name] for name, weight in terms.weights.items())
        return loss, ({"loss": loss, **shares}, outputs, statistics)

    def player_gradients(outputs, batch, memory, model, key, counts):
        """Each player's gradient of its own loss, by term and name, and the losses."""
        terms_key = jax.random.fold_in(key, _TERMS_KEY)
        gradients, metrics = {}, {}
        for term, own in players.items():
            gradients[term] = {}
            for player in own:
                name = _player_metric(term, player)

                def loss(params, term=term, player=player, name=name):
                    remembered = {**memory, term: {**memory[term], player: params}}
                    found = terms.player_losses_of(
                        term, outputs, batch, remembered, model, terms_key
                    )
                    if player not in found:
                        raise ValueError(
                            f"player_losses of the term {term!r} returned no loss of its player "
                            f"{player!r}, but of {sorted(found)}; return one for each player."
                        )
                    return _shares({name: found[player]}, counts, axis_name)[name]

                metrics[name], gradients[term][player] = jax.value_and_grad(loss)(
                    memory[term][player]
                )
        return gradients, metrics

    def counts_over_all(state, batch, key):
        """Each term's count over all microbatches and devices; one microbatch needs none."""
        if microbatches == 1:
            return {}

        def count(variables, microbatch, number):
            shapes = jax.eval_shape(forward, variables, microbatch, key)
            outputs = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes[0])
            model, own_key = model_of(variables), jax.random.fold_in(key, number)
            terms_key = jax.random.fold_in(own_key, _TERMS_KEY)
            if _counts_depend(losses, outputs, microbatch, state.memory, model, terms_key):
                outputs, updated = forward(variables, microbatch, own_key)
                variables = {**variables, **updated}
            found = losses(outputs, microbatch, state.memory, model, terms_key)
            return variables, {name: loss.count for name, loss in found.items()}

        _, counts = add_up(count, state.variables, batch, microbatches)
        return _sum_over_devices(counts, axis_name)

    def step(state: TrainState, batch: dict):
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        views_key = jax.random.fold_in(key, _VIEWS_KEY)
        batch = map_microbatches(
            lambda microbatch, number: terms.add_views(
                jax.random.fold_in(views_key, number), microbatch, state.memory
            ),
            batch,
            microbatches,
        )
        counts = counts_over_all(state, batch, key)
        measured = _sum_over_devices(terms.measure(batch, state.memory), axis_name)
        params = state.variables["params"]

        def differentiate(variables, microbatch, number):
            own_key = key if microbatches == 1 else jax.random.fold_in(key, number)
            gradients, (metrics, outputs, statistics) = jax.grad(model_loss, has_aux=True)(
                params, variables, state.memory, microbatch, own_key, counts
            )
            of_players, player_metrics = player_gradients(
                outputs, microbatch, state.memory, model_of(variables), own_key, counts
            )
            summed = (gradients, of_players, {**metrics, **player_metrics})
            return {**variables, **statistics}, summed

        variables, summed = add_up(differentiate, state.variables, batch, microbatches)
        gradients, of_players, metrics = _sum_over_devices(summed, axis_name)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
        variables = {**variables, "params": optax.apply_updates(params, updates)}
        memory, player_optimizers = _moved_players(state, players, of_players)
        memory = terms.update(memory, model_of(variables), measured)
        state = state.replace(
            step=state.step + 1,
            variables=variables,
            optimizer=optimizer_state,
            memory=memory,
            player_optimizers=player_optimizers,
        )
        return state, metrics

    return step


def _player_metric(term: str, player: str) -> str:
    """The name of a player's loss among the metrics."""
    return f"{term}_{player}"


def _check_names(terms: Terms, players: Mapping[str, Mapping[str, Player]]) -> None:
    """Checks that each loss has a name of its own, lest one be lost or counted as another."""
    owners = {name: f"the term {name!r}" for name in terms.weights}
    for term, own in players.items():
        for player in own:
            name, owner = _player_metric(term, player), f"the player {player!r} of {term!r}"
            other = "another metric" if is_reserved(name) else owners.get(name)
            if other:
                raise ValueError(
                    f"{owner} has the metric {name!r}, which is the name of {other} too; rename "
                    "the player."
                )
            owners[name] = owner


def _mean_after(variables: dict[str, Any], updated: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of several updates of the same collections; what no update moved keeps its bits."""
    if len(updated) == 1:
        return updated[0]

    def moved(before, *after):
        return before + sum(each - before for each in after) / len(after)

    return {
        name: jax.tree.map(moved, variables[name], *(each[name] for each in updated))
        for name in updated[0]
    }


def _shares(
    losses: dict[str, Term], counts: dict[str, jax.Array], axis_name: str | None
) -> dict[str, jax.Array]:
    """This microbatch's and device's share of each loss, the mean over all of them.

    A device whose pixels are mostly void must not weigh as much as a full one, so that one device
    and eight give the same loss. Summing the shares, and their gradients, gives the mean; a loss
    of which nothing counts is exactly 0.

    Args:
      losses: on this microbatch of this device.
      counts: over all of them, where there are several microbatches; else empty.
      axis_name: the device axis, or None outside of one.
    """

    def share(name, loss):
        count = jax.lax.stop_gradient(jnp.asarray(loss.count, jnp.float32))
        everywhere = counts[name] if counts else _sum_over_devices(count, axis_name)
        means = jnp.where(
            everywhere > 0, loss.total / jnp.where(everywhere > 0, everywhere, 1.0), 0.0
        )
        return jnp.sum(means)  # of one mean, or of a `Term.sum_of`

    return {name: share(name, loss) for name, loss in losses.items()}


def _counts_depend(losses: Callable, outputs: Any, *others: Any) -> bool:
    """Whether a loss's count depends on the outputs, so that counting takes a forward pass.

    An operation counts as dependent as soon as one of its operands is: the answer may be a needless
    yes, never a wrong no.
    """

    def counts(outputs, *others):
        return [loss.count for loss in losses(outputs, *others).values()]

    arguments = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (outputs, *others))
    traced = jax.make_jaxpr(counts)(*arguments).jaxpr
    dependent = set(traced.invars[: len(jax.tree.leaves(outputs))])
    for equation in traced.eqns:
        if any(not hasattr(each, "val") and each in dependent for each in equation.invars):
            dependent.update(equation.outvars)
    return any(not hasattr(each, "val") and each in dependent for each in traced.outvars)


def _moved_players(state: TrainState, players, gradients):
    """The terms' memory and the players' optimiser states after an update of the players."""
    memory = dict(state.memory)
    optimizers = {term: dict(own) for term, own in state.player_optimizers.items()}
    for term, own in players.items():
        for name, player in own.items():
            params = state.memory[term][name]
            updates, optimizers[term][name] = player.optimizer.update(
                gradients[term][name], state.player_optimizers[term][name], params
            )
            memory[term] = {**memory[term], name: optax.apply_updates(params, updates)}
    return memory, optimizers


def _sum_over_devices(tree: Any, axis_name: str | None) -> Any:
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)
