"""The query phase of a round: scores the pool, selects, asks, and with an oracle answers."""

import functools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from labor_jax import acquisition
from labor_jax.active import pool_query, strategies
from labor_jax.annotation import Oracle
from labor_jax.annotation.cost import KINDS_OF_PARTS, Kind
from labor_jax.annotation.label_store.questions import AnsweredQuestion, Question
from labor_jax.annotation.oracle import PartsAnswer
from labor_jax.data import pipeline
from labor_jax.experiment import batch_inputs, pool_scope
from labor_jax.experiment import budget as budget_lib
from labor_jax.experiment.components import Components
from labor_jax.experiment.handover import Handover
from labor_jax.experiment.keys import named_key, named_seed
from labor_jax.experiment.phases import train_selector
from labor_jax.experiment.plan import Phase
from labor_jax.experiment.spooled_maps import SpooledMaps
from labor_jax.training import loop, processes
from labor_jax.training import mesh as mesh_lib

evaluates = False

_ANSWERED_AS: dict[str, Kind] = {
    **{asks: asks for asks in ("points", "regions", "mask", "full", *KINDS_OF_PARTS)},
    "images": "full",
}
"""How people answer what a method asks."""

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


def hand_on(components: Components, phase: Phase, handover: Handover, state: None) -> Handover:
    """What it was handed, but for the selector, whose work is done."""
    del phase, state
    return _with_first_model(components, handover).replace(selector=None)


def _with_first_model(components: Components, handover: Handover) -> Handover:
    """The handover with the model before the first query, if the method compares with it."""
    method = strategies.method(components.config.acquisition.method)
    if "first_logits" in method.reads and handover.first_model is None:
        return handover.replace(first_model=handover.model)
    return handover


def run(session: Any, phase: Phase, handover: Handover, state: None, save: Any) -> Handover:
    """Asks about the images that were not asked in this round yet; an oracle answers at once.

    Of several processes each asks about its share, and then all see everything. With a budget over
    the pool all images are scored again after a kill, and so the others are asked the same.
    """
    del save  # the label store keeps every image's query as it is made
    handover = _with_first_model(session.components, handover)
    names = session.components.pair.pool.names
    session.store.writer.open_round(phase.round, names)
    unasked = set(session.store.unasked(phase.round, names))
    numbers = [number for number, name in enumerate(names) if name in unasked]
    Asking(session, phase, handover).ask(numbers)
    session.store.synchronise()
    session.keep_labels()
    return hand_on(session.components, phase, handover, state)


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
        self._oracle = Oracle(self._components.pair.pool, self._components.pair.num_classes)
        self._acquisition = strategies.of_round(self._config.acquisition, phase.round)
        self._method = strategies.method(self._acquisition.method)
        self._shows_guess = self._method.asks == "corrections" or (
            self._config.annotator == "human" and self._config.annotation.show_guess
        )
        self._once = session.once
        self._held_out = session.held_out

    def ask(self, numbers: Sequence[int]) -> None:
        """Asks about these images of the pool."""
        if not numbers:
            return
        images = len(numbers)
        if self._method.picked_by_annotator:
            ask = self._picked
        elif self._method.budget == "images":
            ask, images = self._best_images, len(self._components.pair.pool)
        elif self._acquisition.scope == "pool":
            ask, images = self._best_of_pool, len(self._components.pair.pool)
        else:
            ask = self._selected
        own = -(-images // mesh_lib.process_share(self._components.mesh).count)
        with loop.progress_bar(total=own, desc=self.phase.name, unit="image") as bar:
            for batch, query in ask(numbers, bar.update):
                self.record(batch, query)

    def record(self, numbers: np.ndarray, query: acquisition.Query) -> None:
        """Keeps queries of a batch of images, and the oracle's answers, in the label store."""
        store, number, kind = self._store.writer, self.phase.round, _ANSWERED_AS[self._method.asks]
        questions = list(self._questions(numbers, query))
        if self._config.annotator == "human":
            store.ask_many(number, questions, kind=kind)
        else:
            answered = [self._answered(question, kind) for question in questions]
            store.ask_and_answer_many(number, answered, kind=kind)

    def _questions(self, numbers: np.ndarray, query: acquisition.Query) -> Iterator[Question]:
        """The queries of a batch, as the label store takes them."""
        nothing = [None] * len(numbers)
        fields = (query.pixels, query.picks, query.guess, query.parts)
        rows = zip(numbers, *(nothing if each is None else each for each in fields), strict=True)
        for number, pixels, picks, guess, parts in rows:
            name = self._components.pair.pool.names[number]
            yield Question(name, pixels, None if picks < 0 else int(picks), guess, parts)

    def _answered(self, question: Question, kind: Kind) -> AnsweredQuestion:
        """The oracle's answer."""
        name, pixels, clicks, guess, parts = question
        if kind in KINDS_OF_PARTS:
            answer = self._oracle.answer_parts(name, pixels, parts, kind)
        else:
            answer = PartsAnswer(self._oracle.answer(name, pixels))
        labels, candidates = answer
        return AnsweredQuestion(name, pixels, labels, clicks, guess, parts, candidates)

    def _selected(self, numbers: Sequence[int], advance: Callable[[int], Any]) -> Queries:
        """Each image's own query; `advance` is told how many images are done."""

        def strategy():
            images = len(self._components.pair.pool)
            return strategies.build(self._acquisition, self._config.rounds, images)

        weights = self._class_weights()
        for batch, _, query in self._scored(numbers, "pool_query", strategy, weights):
            # Written before the answers: after a kill, answered images are not queried again.
            self._previews.write_candidates(self.phase.name, batch, query.candidates)
            yield batch, query
            advance(len(batch))

    def _best_of_pool(self, numbers: Sequence[int], advance: Callable[[int], Any]) -> Queries:
        """The same under a budget over the pool: scores all of it, then asks these images."""
        weights, wanted = self._class_weights(), frozenset(numbers)

        def score(numbers, length, floor):
            def ranker():
                return strategies.build_ranking(self._acquisition, length)

            name = ("pool_ranking", length)
            for batch, floors, ranking in self._scored(numbers, name, ranker, weights, floor):
                self._previews.write_candidates(self.phase.name, batch, ranking.candidates)
                advance(len(batch))
                yield batch, floors, ranking

        for number, query in pool_scope.queries(
            self._acquisition,
            self._config.rounds,
            self._components.pair.pool,
            score,
            self._available,
        ):
            if number in wanted:
                yield np.array([number]), jax.tree.map(lambda rows: rows[None], query)

    def _best_images(self, numbers: Sequence[int], advance: Callable[[int], Any]) -> Queries:
        """Whole images: scores all of the pool, then asks what is left of the best."""
        pool = self._components.pair.pool

        def strategy():
            return strategies.build(self._acquisition, self._config.rounds)

        own: list[int] = []
        found: list[np.ndarray] = []
        with SpooledMaps() as guesses:
            for batch, _, query in self._scored(range(len(pool)), "pool_query", strategy):
                self._previews.write_candidates(self.phase.name, batch, query.candidates)
                own += batch.tolist()
                vectors = () if query.vector is None else (query.vector,)
                found.append(np.concatenate([query.scores, *vectors], axis=1))
                if query.guess is not None:
                    for number, guess in zip(batch.tolist(), query.guess, strict=True):
                        guesses.put(number, guess)
                advance(len(batch))
            best = self._best(np.array(own, np.int32), np.concatenate(found))
            wanted = frozenset(numbers)
            for number in own:
                if number in wanted:
                    pixels = self._available(number) & (number in best)
                    query = acquisition.Query(pixels, acquisition.MASK, pixels, guesses.get(number))
                    yield np.array([number]), jax.tree.map(lambda rows: rows[None], query)

    def _best(self, own: np.ndarray, values: np.ndarray) -> frozenset[int]:
        """The round's whole images, by the scores and vectors f32[own, 1 + D] of each process."""
        pool = self._components.pair.pool
        images, values = processes.gathered_rows((own, values))
        by_image = np.full((len(pool), values.shape[1]), -np.inf, np.float32)
        by_image[images] = values
        count = budget_lib.build(self._components).images(len(pool), self.phase.round)
        vectors = by_image[:, 1:] if values.shape[1] > 1 else None
        best = acquisition.best_images(by_image[:, 0], count, vectors=vectors)
        return frozenset(best.tolist())

    def _class_weights(self) -> np.ndarray | None:
        """The weights f32[C] of the classes' scores, the same in all processes; None for none."""
        kind, pair = self._acquisition.class_weights, self._components.pair
        counts = np.zeros(pair.num_classes, np.int64)
        if kind == "none":
            return None
        if kind == "answers":
            share = mesh_lib.process_share(self._components.mesh)
            for number in range(share.index, len(pair.pool), share.count):
                if number in self._held_out:  # they only measure
                    continue
                labels = self._store.reader.labels(
                    pair.pool.names[number], self.phase.round - 1, pair.pool.size(number)
                )
                counts += np.bincount(labels.reshape(-1), minlength=256)[: counts.size]
            return acquisition.class_weights_from_answers(processes.total(counts))

        def counter():
            def predicted(image: acquisition.PoolImage) -> jax.Array:
                classes = jnp.argmax(image.logits, axis=-1).reshape(-1)
                return jnp.bincount(classes, length=pair.num_classes)

            return predicted

        images = range(len(pair.pool))
        for _, _, found in self._scored(images, "pool_classes", counter, with_guess=False):
            counts += found.sum(axis=0, dtype=np.int64)
        return acquisition.class_weights_from_predictions(processes.total(counts))

    def _scored(
        self,
        numbers: Sequence[int],
        name: Hashable,
        build: Callable[[], Callable[..., Any]],
        class_weights: np.ndarray | None = None,
        floor: Callable[[], float] | None = None,
        *,
        with_guess: bool = True,
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None, Any]]:
        """Scores in batches; the device works on the next while the host takes one.

        Args:
          numbers: the images, of which this process scores its share.
          name: names what `build` returns.
          build: builds a function of a `PoolImage`.
          class_weights: f32[C], or None.
          floor: gives the floor of an image that is scored next; None where there is none.
          with_guess: whether the function returns queries or rankings, which hold the model's guess
            if this round shows it.

        Yields:
          Numbers of images, their floors, and the function's results on the host.
        """
        with_guess = with_guess and self._shows_guess
        batches = self._dispatched(numbers, name, build, class_weights, floor, with_guess)
        for batch, floors, found in pool_query.one_ahead(batches):
            count = len(batch)
            found = jax.tree.map(lambda rows, n=count: rows[:n], mesh_lib.local_rows(found))
            yield batch, floors, found

    def _dispatched(self, numbers, name, build, class_weights, floor, with_guess):
        split, mesh = self._components.pair.pool, self._components.mesh
        key = named_key(self._config.seed, self.phase.name)
        handed = self._handover
        variables = (handed.model, handed.selector, handed.first_model, class_weights)
        model, selector, first, class_weights = mesh_lib.replicate(variables, mesh)
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
            floors = None
            if floor is not None:
                arrays["floors"] = floors = np.full(len(available), floor(), np.float32)
            on_device = mesh_lib.shard_batch(arrays, mesh)
            query = self._pool_query(size, name, build, with_guess)
            found = query(
                model,
                selector,
                key,
                *(on_device[each] for each in ("image", "available", "index")),
                class_weights,
                on_device.get("floors"),
                first_variables=first,
            )
            yield batch["index"][batch["valid"]], floors, found

    def _picked(self, numbers: Sequence[int], advance: Callable[[int], Any]) -> Queries:
        """Queries of pixels that the annotator picks, without looking at the model."""
        seed = named_seed(self._config.seed, self.phase.name)
        share = mesh_lib.process_share(self._components.mesh)
        for number in numbers[share.index :: share.count]:
            query = self._oracle.point_of_each_class(
                self._components.pair.pool.names[number],
                self._available(number),
                np.random.default_rng((seed, number)),
            )
            everything = np.ones((1, *query.shape), bool)
            self._previews.write_candidates(self.phase.name, [number], everything)
            yield (
                np.array([number]),
                acquisition.Query(query[None], query.sum()[None], everything),
            )
            advance(1)

    def _available(self, number: int) -> np.ndarray:
        """The pixels of a pool image that no earlier round asked, bool[H, W]."""
        split = self._components.pair.pool
        return ~self._store.reader.asked(
            split.names[number], up_to_round=self.phase.round - 1, shape=split.size(number)
        )

    def _pool_query(
        self,
        size: tuple[int, int],
        name: Hashable,
        strategy: Callable[[], Callable[..., Any]],
        with_guess: bool,
    ) -> Callable[..., Any]:
        """The query of images with labels of one size, compiled once for all rounds."""
        components = self._components
        with_selector = "selector_logits" in self._method.reads
        reads = pool_query.fields_read(self._method, samples=self._acquisition.samples)

        def build():
            return pool_query.make_pool_queries(
                components.frozen_segmenter,
                selector=train_selector.network(components) if with_selector else None,
                **reads,
                window=components.inference.window,
                overlap=components.inference.overlap,
                compile=functools.partial(mesh_lib.data_parallel_map, mesh=components.mesh),
            )

        query_of = self._once(("pool_queries", with_selector, *reads.values()), build)
        return query_of(self._once((self._method.name, name), strategy), tuple(size), with_guess)
