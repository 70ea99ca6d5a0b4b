"""The query phase of a round: scores the pool, selects, asks, and with an oracle answers."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from labor_jax import components
from labor_jax.acquisition import pool, strategies
from labor_jax.annotation import Oracle
from labor_jax.annotation.shared_store import SharedStore
from labor_jax.components import Components
from labor_jax.data import pipeline
from labor_jax.evaluation.previews import Previews
from labor_jax.phases import Phase
from labor_jax.training import loop
from labor_jax.training import mesh as mesh_lib

Queries = Iterator[tuple[np.ndarray, strategies.Query]]
"""Numbers of pool images, and their queries on the host."""


class PoolQueries:
    """Asks about the pool, image by image, and remembers in the store what was asked."""

    def __init__(self, parts: Components, store: SharedStore, previews: Previews):
        """Looks up the acquisition method.

        Args:
          parts: the run's components.
          store: where queries and answers go.
          previews: shows what the queries of some images were chosen from.
        """
        self._parts = parts
        self._config = parts.config
        self._store = store
        self._previews = previews
        self._oracle = Oracle(parts.pair.pool)
        self._strategy = strategies.build(self._config.acquisition, self._config.rounds)

    def ask(self, phase: Phase, model: Any, selector: Any) -> None:
        """Asks about the images not yet asked in this round; the oracle answers at once.

        Of several processes each asks about its part, and then all see everything.

        Args:
          phase: the query phase.
          model: the model's variables.
          selector: the pixel selector's, or None.
        """
        names = self._parts.pair.pool.names
        self._store.writer.open_round(phase.round, names)
        left = set(self._store.unasked(phase.round, names))
        indices = [number for number, name in enumerate(names) if name in left]
        if strategies.picked_by_annotator(self._config.acquisition.method):
            queries = self._picked(phase, indices)
        else:
            queries = self._selected(phase, model, selector, indices)
        part = -(-len(indices) // mesh_lib.process_part(self._parts.mesh)["process_count"])
        with loop.progress_bar(total=part, desc=phase.name, unit="image") as bar:
            for numbers, query in queries:
                # Before the answers: an image that has them is not looked at again after a kill.
                self._previews.write_candidates(phase.name, numbers, query.candidates)
                self._record(phase.round, numbers, query)
                bar.update(len(numbers))
        self._store.synchronise()

    def _record(self, round_number: int, numbers: np.ndarray, query: strategies.Query) -> None:
        names = [self._parts.pair.pool.names[number] for number in numbers]
        clicks = [None if picks < 0 else int(picks) for picks in query.picks]
        kind = strategies.answered_as(self._config.acquisition.method)
        store = self._store.writer
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

    def _selected(self, phase: Phase, model: Any, selector: Any, indices: Sequence[int]) -> Queries:
        """Scores and selects in batches, one ahead of what it yields."""
        split, mesh = self._parts.pair.pool, self._parts.mesh
        key = components.phase_key(self._config.seed, phase.name)
        model, selector = mesh_lib.replicate((model, selector), mesh)

        def dispatched() -> Queries:
            batches = pipeline.inference_batches(
                split,
                batch_size=self._config.evaluation_batch_size,
                size=self._config.data.target_size,
                with_labels=False,
                indices=indices,
                num_threads=self._config.data.num_threads,
                **mesh_lib.process_part(mesh),
            )
            for batch in batches:
                size = split.size(int(batch["index"][0]))
                available = [self._available(phase, index) for index in batch["index"]]
                on_device = mesh_lib.shard_batch(
                    {
                        "image": batch["image"],
                        "available": np.stack(available),
                        "index": batch["index"].astype(np.int32),
                    },
                    mesh,
                )
                yield (
                    batch["index"][batch["valid"]],
                    self._compiled(size)(
                        model,
                        selector,
                        key,
                        on_device["image"],
                        on_device["available"],
                        on_device["index"],
                    ),
                )

        for numbers, query in pool.one_ahead(dispatched()):
            count = len(numbers)
            yield numbers, jax.tree.map(lambda rows, n=count: rows[:n], mesh_lib.local_rows(query))

    def _picked(self, phase: Phase, indices: Sequence[int]) -> Queries:
        """The same where the annotator picks what to label, without looking at the model."""
        seed = components.data_seed(self._config.seed, phase.name)
        part = mesh_lib.process_part(self._parts.mesh)
        for index in indices[part["process_index"] :: part["process_count"]]:
            query = self._oracle.point_of_each_class(
                self._parts.pair.pool.names[index],
                self._available(phase, index),
                np.random.default_rng((seed, index)),
            )
            everything = np.ones((1, *query.shape), bool)
            yield np.array([index]), strategies.Query(query[None], query.sum()[None], everything)

    def _available(self, phase: Phase, index: int) -> np.ndarray:
        """The pixels of a pool image that no earlier round asked, bool[H, W]."""
        split = self._parts.pair.pool
        return ~self._store.reader.asked(
            split.names[index], up_to_round=phase.round - 1, shape=split.size(index)
        )

    @functools.cache  # noqa: B019, it lives as long as the process
    def _compiled(self, size: tuple[int, int]):
        return pool.make_pool_query(
            self._parts.frozen_segmenter,
            self._strategy,
            size,
            with_features=strategies.uses_features(self._config.acquisition.method),
            with_guess=self._config.annotator == "human" and self._config.annotation.show_guess,
            window=self._parts.inference.window,
            overlap=self._parts.inference.overlap,
            compile=functools.partial(mesh_lib.data_parallel_map, mesh=self._parts.mesh),
        )
