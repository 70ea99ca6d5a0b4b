"""The query phase of a round: scores the pool, selects, asks, and with an oracle answers."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from labor_jax import acquisition
from labor_jax.active import pool_query, strategies
from labor_jax.annotation import Oracle
from labor_jax.data import pipeline
from labor_jax.experiment import batch_inputs
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.keys import named_key, named_seed
from labor_jax.experiment.phases import train_selector
from labor_jax.experiment.plan import Phase
from labor_jax.training import loop
from labor_jax.training import mesh as mesh_lib

evaluates = False

Queries = Iterator[tuple[np.ndarray, acquisition.Query]]
"""Numbers of pool images, and their queries on the host."""


def domains(config: ConfigDict, phase: Phase) -> tuple[str, ...]:
    """A query reads no training images."""
    del config, phase
    return ()


def first_state(components: Components, phase: Phase, handover: Handover, key: jax.Array) -> None:
    """A query has no state: the label store remembers what it asked."""
    del components, phase, handover, key


def checkpointed(handover: Handover) -> Handover:
    """The part of the handover that a checkpoint keeps: all of it."""
    return handover


def hand_on(phase: Phase, handover: Handover, state: None) -> Handover:
    """What it was handed, but for the selector, whose work is done."""
    del phase, state
    return handover.replace(selector=None)


def run(session: Any, phase: Phase, handover: Handover, state: None, save: Any) -> Handover:
    """Asks about the images that were not asked in this round yet; an oracle answers at once.

    Of several processes each asks about its share, and then all see everything.
    """
    del save  # the label store keeps every image's query as it is made
    names = session.components.pair.pool.names
    session.store.writer.open_round(phase.round, names)
    unasked = set(session.store.unasked(phase.round, names))
    numbers = [number for number, name in enumerate(names) if name in unasked]
    Asking(session, phase, handover).ask(numbers)
    session.store.synchronise()
    session.keep_labels()
    return hand_on(phase, handover, state)


class Asking:
    """One round's query.

    Attributes:
      phase: the query phase.
    """

    def __init__(self, session: Any, phase: Phase, handover: Handover):
        """Looks up the acquisition method.

        Args:
          session: the run's `Session`.
          phase: the query phase.
          handover: with the model, and the selector where the method reads its logits.
        """
        self._components = session.components
        self._config = session.config
        self._store = session.store
        self._previews = session.previews
        self.phase = phase
        self._handover = handover
        self._oracle = Oracle(self._components.pair.pool)
        self._method = strategies.method(self._config.acquisition.method)
        self._once = session.once

    def ask(self, numbers: Sequence[int]) -> None:
        """Asks about these images of the pool."""
        picked = self._method.picked_by_annotator
        queries = self._picked(numbers) if picked else self._selected(numbers)
        share = mesh_lib.process_share(self._components.mesh)
        own = -(-len(numbers) // share.count)
        with loop.progress_bar(total=own, desc=self.phase.name, unit="image") as bar:
            for batch, query in queries:
                # Written before the answers: after a kill, answered images are not queried again.
                self._previews.write_candidates(self.phase.name, batch, query.candidates)
                self.record(batch, query)
                bar.update(len(batch))

    def record(self, numbers: np.ndarray, query: acquisition.Query) -> None:
        """Keeps queries of a batch of images, and the oracle's answers, in the label store."""
        names = [self._components.pair.pool.names[number] for number in numbers]
        clicks = [None if picks < 0 else int(picks) for picks in query.picks]
        store, round_number, kind = self._store.writer, self.phase.round, self._method.asks
        if self._config.annotator == "human":
            guesses = [None] * len(names) if query.guess is None else query.guess
            store.ask_many(
                round_number, zip(names, query.pixels, clicks, guesses, strict=True), kind=kind
            )
        else:
            answers = map(self._oracle.answer, names, query.pixels)
            store.ask_and_answer_many(
                round_number, zip(names, query.pixels, answers, clicks, strict=True), kind=kind
            )

    def _selected(self, numbers: Sequence[int]) -> Queries:
        """Scores and selects in batches; the device works on the next while the host takes one."""
        for batch, query in pool_query.one_ahead(self._dispatched(numbers)):
            count = len(batch)
            yield batch, jax.tree.map(lambda rows, n=count: rows[:n], mesh_lib.local_rows(query))

    def _dispatched(self, numbers: Sequence[int]) -> Iterator[tuple[np.ndarray, Any]]:
        split, mesh = self._components.pair.pool, self._components.mesh
        key = named_key(self._config.seed, self.phase.name)
        variables = (self._handover.model, self._handover.selector)
        model, selector = mesh_lib.replicate(variables, mesh)
        batches = pipeline.inference_batches(
            split,
            batch_inputs.inference_spec(self._components, "target"),
            with_labels=False,
            indices=numbers,
        )
        for batch in batches:
            size = split.size(int(batch["index"][0]))
            available = [self._available(number) for number in batch["index"]]
            arrays = {
                "image": batch["image"],
                "available": np.stack(available),
                "index": batch["index"].astype(np.int32),
            }
            on_device = mesh_lib.shard_batch(arrays, mesh)
            query = self._pool_query(size)
            yield (
                batch["index"][batch["valid"]],
                query(model, selector, key, *(on_device[name] for name in arrays)),
            )

    def _picked(self, numbers: Sequence[int]) -> Queries:
        """The same where the annotator picks what to label, without looking at the model."""
        seed = named_seed(self._config.seed, self.phase.name)
        share = mesh_lib.process_share(self._components.mesh)
        for number in numbers[share.index :: share.count]:
            query = self._oracle.point_of_each_class(
                self._components.pair.pool.names[number],
                self._available(number),
                np.random.default_rng((seed, number)),
            )
            everything = np.ones((1, *query.shape), bool)
            yield (
                np.array([number]),
                acquisition.Query(query[None], query.sum()[None], everything),
            )

    def _available(self, number: int) -> np.ndarray:
        """The pixels of a pool image that no earlier round asked, bool[H, W]."""
        split = self._components.pair.pool
        return ~self._store.reader.asked(
            split.names[number], up_to_round=self.phase.round - 1, shape=split.size(number)
        )

    def _pool_query(self, size: tuple[int, int]) -> Callable[..., acquisition.Query]:
        """The query of images with labels of one size, compiled once for all rounds."""
        components, config = self._components, self._config

        def build():
            return pool_query.make_pool_query(
                components.frozen_segmenter,
                strategies.build(config.acquisition, config.rounds),
                size,
                selector=(
                    train_selector.network(components)
                    if "selector_logits" in self._method.reads
                    else None
                ),
                with_features="features" in self._method.reads,
                with_guess=config.annotator == "human" and config.annotation.show_guess,
                window=components.inference.window,
                overlap=components.inference.overlap,
                compile=functools.partial(mesh_lib.data_parallel_map, mesh=components.mesh),
            )

        return self._once(("pool_query", size), build)
