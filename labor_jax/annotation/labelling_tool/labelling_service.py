"""Lets many annotators label a run's rounds: hands out items and records every step.

Everything is in the label store's file. Each step is one transaction, which has reached the disk
when the call returns. Nothing is ever deleted: events are only added, and the labels of an item
follow from its events (`item_history.apply`). So any number of processes may work on one file.
"""

import functools
import logging
import math
import sqlite3
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from labor_jax.annotation import pixel_runs
from labor_jax.annotation.cost import KINDS_OF_PARTS
from labor_jax.annotation.label_store import LabelStore
from labor_jax.annotation.label_store.blobs import DamagedItemError
from labor_jax.annotation.labelling_tool import item_history
from labor_jax.annotation.labelling_tool.checks import (
    checked_annotator,
    checked_request,
    checked_seconds,
)
from labor_jax.annotation.labelling_tool.event_log import EventLog, Step
from labor_jax.annotation.labelling_tool.item import Item
from labor_jax.annotation.labelling_tool.item_history import ItemState
from labor_jax.annotation.labelling_tool.item_queue import ItemQueue
from labor_jax.annotation.labelling_tool.item_reader import ItemReader
from labor_jax.annotation.labelling_tool.leases import Lease, LeaseLostError, Leases
from labor_jax.annotation.labelling_tool.progress import ProgressReader
from labor_jax.data.base import IGNORE_LABEL

logger = logging.getLogger(__name__)


class LabellingService:
    """Takes the steps of all annotators on a label store's rounds.

    Threads and processes may share it, as they may the store. A caller's mistake raises
    `ValueError`, `UnknownItemError` or `LeaseLostError`; a problem with the file raises
    `LabelStoreError`. All of them leave the file unchanged.

    Attributes:
      reader: Reads the items and their labels.
      progress: Reads how far the rounds are.
    """

    def __init__(
        self,
        store: LabelStore,
        *,
        lease_seconds: float = 120.0,
        second_opinion: float = 0.0,
        clock: Callable[[], float] = time.time,
    ):
        """Works on a store that is open for writing.

        Args:
          store: The run's label store.
          lease_seconds: How long an annotator keeps an item without renewing the lease.
          second_opinion: The share of the items that a second annotator also answers. Which items
            depends on their names alone, so a larger share includes those of a smaller one.
          clock: Returns the seconds since 1970, the same in all processes.

        Raises:
          ValueError: If a setting is out of range.
        """
        if not (math.isfinite(lease_seconds) and lease_seconds > 0):
            raise ValueError(f"lease_seconds is {lease_seconds}; it must be a number above 0")
        self._store = store
        self._database = store.database
        self.reader = ItemReader(store, second_opinion=second_opinion)
        self.progress = ProgressReader(self.reader, clock)
        self._queue = ItemQueue(self.reader, clock)
        self._leases = Leases(lease_seconds, clock)
        self._events = EventLog(self.reader, clock)
        store.database.set_metadata("second_opinion", repr(float(second_opinion)))

    def next(
        self, annotator: str, *, prefer: Item | None = None, after: Item | None = None
    ) -> Lease | None:
        """Gives an annotator an item of the newest round, with its lease.

        The preferred item comes first, then those that the annotator already holds, with a new
        token. The others follow in their order: first opinions before second ones, and those that
        the annotator skipped last. Who comes from an item gets what they hold last: another page of
        theirs may have it open. Nobody gets both opinions of an image, unless they only skipped
        one; who skipped the first one gets the second one when the first one is answered. Items
        that the file holds damaged are left out, with an error in the log.

        Args:
          annotator: Their name, see `checked_annotator`.
          prefer: An item to give if it is open, even if they hold it.
          after: The item that the annotator comes from: those behind it precede those before it.

        Returns:
          The lease, or None if nothing is open for them.

        Raises:
          ValueError: If the name is invalid.
        """
        annotator = checked_annotator(annotator)
        if self._leases.outlast(self._database.connection()):
            self._database.grouped(self._leases.shorten)
        while True:
            with self._queue.reserved(annotator, prefer=prefer, after=after) as item:
                if item is None:
                    return None
                try:
                    self.reader.state(item)  # before the transaction, so that others can write
                    lease = self._database.grouped(
                        functools.partial(self._grant_if_free, item=item, annotator=annotator)
                    )
                except DamagedItemError as error:
                    logger.error("An item is set aside: %s", error)
                    self._queue.set_aside(item)
                    continue
            if lease is not None:  # otherwise another process was faster
                return lease

    def reopen(self, item: Item, annotator: str, request: str, seconds: float = 0.0) -> Lease:
        """Gives an annotator the item that they ask for, answered or not, with its lease.

        Its answer stays until it is submitted again; the labels start from it.

        Args:
          item: An item of any round.
          annotator: Their name.
          request: A new unique name for this step; repeating a step under its name has no effect.
          seconds: The annotator's active time.

        Raises:
          UnknownItemError: If there is no such item.
          LeaseLostError: If somebody else holds it, if the annotator worked on its other opinion,
            or if the request is repeated and the lease was lost since.
          ValueError: If an argument is invalid.
        """
        annotator = checked_annotator(annotator)
        step = Step("reopen", seconds=checked_seconds(seconds), request=checked_request(request))
        self.reader.check(item)

        def take(connection: sqlite3.Connection) -> tuple[Lease, ItemState | None]:
            if self._events.find_repeated(connection, item, step) is not None:
                return self._leases.granted_to(connection, item, annotator), None
            obstacle = self._leases.obstacle(connection, item, annotator)
            if obstacle is not None:
                raise LeaseLostError(obstacle)
            state = self.reader.replay(connection, item)
            submitted = self.reader.submitted_labels(item, state)
            held = self.reader.submitted_candidates(item, state)
            if submitted is not None and not (
                np.array_equal(submitted, state.labels) and _same(held, state.candidates)
            ):
                restart = Step("import", content=item_history.packed_labels(submitted, held))
                by = self._events.submitted_by(connection, item) or annotator
                state = self._events.record(connection, item, state, by, restart)
            state = self._events.record(connection, item, state, annotator, step)
            return self._leases.grant(connection, item, annotator), state

        lease, state = self._database.grouped(take)
        if state is not None:
            self.reader.remember(item, state)
        return lease

    def mark(
        self,
        item: Item,
        token: str,
        request: str,
        label: int,
        pixels: list[int] | str,
        seconds: float = 0.0,
    ) -> ItemState:
        """Labels some of an item's pixels.

        Args:
          item: The item.
          token: Its lease's token.
          request: A new unique name for this step. Repeating a step under its name has no effect
            and returns the state after the first time.
          label: A class, or 255 for void.
          pixels: Asked pixels, as runs or bits; see `labor_jax.annotation.pixel_runs`.
          seconds: The annotator's active time since the step before.

        Returns:
          The item's state.

        Raises:
          UnknownItemError: If there is no such item.
          LeaseLostError: If the token isn't that of the item's lease.
          ValueError: If the label is not a class, if a pixel isn't asked, if the query's parts are
            answered as wholes and some of them are split, or if another argument is invalid.
        """
        return self._label("mark", item, token, request, label, pixels, seconds)

    def toggle(
        self,
        item: Item,
        token: str,
        request: str,
        label: int,
        pixels: list[int] | str,
        seconds: float = 0.0,
    ) -> ItemState:
        """Adds a class to each of some parts, or takes it away where a part has it; see `mark`.

        Void takes all classes away; a part that is void already is open then. `ValueError` also if
        the query doesn't ask for all classes of its parts.
        """
        return self._label("toggle", item, token, request, label, pixels, seconds)

    def _label(
        self,
        step: Literal["mark", "toggle"],
        item: Item,
        token: str,
        request: str,
        label: int,
        pixels: list[int] | str,
        seconds: float,
    ) -> ItemState:
        if type(label) is not int or not (
            0 <= label < len(self._store.classes) or label == IGNORE_LABEL
        ):
            raise ValueError(
                f"label is {label!r:.40}; a label is a class from 0 to "
                f"{len(self._store.classes) - 1}, or {IGNORE_LABEL} for void"
            )
        self.reader.check(item)
        question = self.reader.question(item)
        if (step == "toggle") != (question.kind == "classes"):
            raise ValueError(f"the query asks {question.kind}, which no {step} answers")
        ranks = pixel_runs.to_ranks(question.asked, pixels)
        if question.kind in KINDS_OF_PARTS:
            _check_whole_parts(question.parts, pixel_runs.positions(ranks))
        content = item_history.packed_runs(ranks)
        return self._step(item, token, Step(step, label, content, seconds, request))

    def undo(self, item: Item, token: str, request: str, seconds: float = 0.0) -> ItemState:
        """Undoes the last mark; see `mark`. `ValueError` if there is none."""
        return self._step(item, token, Step("undo", seconds=seconds, request=request))

    def redo(self, item: Item, token: str, request: str, seconds: float = 0.0) -> ItemState:
        """Restores what `undo` undid; see `mark`. `ValueError` if there is nothing."""
        return self._step(item, token, Step("redo", seconds=seconds, request=request))

    def submit(self, item: Item, token: str, request: str, seconds: float = 0.0) -> ItemState:
        """Makes an item's labels its answer, and ends the lease; see `mark`.

        `ValueError` if an asked pixel has no label yet.
        """
        return self._step(item, token, Step("submit", seconds=seconds, request=request))

    def skip(self, item: Item, token: str, request: str, seconds: float = 0.0) -> ItemState:
        """Gives an item back unanswered; its marks stay. See `mark`."""
        return self._step(item, token, Step("skip", seconds=seconds, request=request))

    def renew(self, item: Item, token: str) -> ItemState:
        """Renews the lease of an annotator who is still working; see `mark`."""
        return self._hold(item, token, ends=False)

    def release(self, item: Item, token: str) -> ItemState:
        """Gives an item back without a step, so that it counts as no skip; see `mark`."""
        return self._hold(item, token, ends=True)

    def import_answer(
        self,
        image: str,
        round: int,
        labels: np.ndarray,
        *,
        annotator: str,
        candidates: np.ndarray | None = None,
        seconds: float = 0.0,
        replace: bool = False,
    ) -> None:
        """Records an answer that was given in another tool, as an event of the item.

        Args:
          image: Name of the image.
          round: The round that asked it.
          labels: As for `LabelStore.answer`.
          annotator: Who answered.
          candidates: As for `LabelStore.answer`.
          seconds: How long it took in all. Label Studio counts on while an answer is corrected, so
            the time of the item's earlier imports is part of it.
          replace: Overwrite a different answer.

        Raises:
          UnknownItemError: If the round doesn't ask the image.
          LeaseLostError: If somebody is working on it.
          ValueError: As `LabelStore.answer`, or if the name is invalid.
        """
        item, annotator = Item(round, image), checked_annotator(annotator)
        seconds = checked_seconds(seconds)
        self.reader.check(item)
        with self._database.transaction() as connection:
            holder = self._leases.holder(connection, item)
            if holder is not None:
                raise LeaseLostError(f"{holder} works on image {image!r} of round {round} now.")
            state = self.reader.replay(connection, item)
            before = self.reader.answer(item)
            held = self._store.candidates(image, round)
            self._store.answer(image, round, labels, candidates=candidates, replace=replace)
            answer = self.reader.answer(item)
            if before is not None and np.array_equal(before, answer) and _same(held, candidates):
                return
            content = item_history.packed_labels(answer, candidates)
            earlier = sum(
                each.seconds for each in self.reader.events(item) if each.kind == "import"
            )
            step = Step("import", content=content, seconds=max(0.0, seconds - earlier))
            self._events.record(connection, item, state, annotator, step)
        self.progress.forget()

    def _hold(self, item: Item, token: str, *, ends: bool) -> ItemState:
        self.reader.check(item)

        def hold(connection: sqlite3.Connection) -> ItemState:
            self._leases.renew(connection, item, token)
            if ends:
                self._leases.end(connection, item)
            return self.reader.replay(connection, item)

        return self.reader.remember(item, self._database.grouped(hold))

    def _grant_if_free(
        self, connection: sqlite3.Connection, item: Item, annotator: str
    ) -> Lease | None:
        if self._is_done(connection, item) or self._leases.obstacle(connection, item, annotator):
            return None
        return self._leases.grant(connection, item, annotator)

    def _is_done(self, connection: sqlite3.Connection, item: Item) -> bool:
        if item.opinion == 1:
            return self._store.answered(item.image, item.round)
        return self.reader.replay(connection, item).submitted is not None

    def _step(self, item: Item, token: str, step: Step) -> ItemState:
        step = step._replace(
            request=checked_request(step.request), seconds=checked_seconds(step.seconds)
        )
        self.reader.check(item)

        def take(connection: sqlite3.Connection) -> tuple[ItemState, bool]:
            repeated = self._events.find_repeated(connection, item, step)
            if repeated is not None:
                return repeated, False
            annotator = self._leases.renew(connection, item, token)
            before = self.reader.replay(connection, item)
            is_first_answer = (
                step.kind == "submit" and self.reader.submitted_labels(item, before) is None
            )
            state = self._events.record(connection, item, before, annotator, step)
            if step.kind == "submit":
                self._store_answer(item, state)
            if step.kind in ("submit", "skip"):
                self._leases.end(connection, item)
            return state, is_first_answer

        state, is_first_answer = self._database.grouped(take)
        self.reader.remember(item, state)
        if is_first_answer:
            self.progress.count_answer(item)
        return state

    def _store_answer(self, item: Item, state: ItemState) -> None:
        if state.remaining:
            raise ValueError(
                f"{state.remaining} of the {state.labels.size} asked pixels have no label yet; "
                "label them, or mark them as void"
            )
        if item.opinion == 1:
            self._store.answer_asked(
                item.image, item.round, state.labels, candidates=state.candidates, replace=True
            )


def _same(before: np.ndarray | None, after: np.ndarray | None) -> bool:
    """Whether two answers name the same classes of parts, or none."""
    if before is None or after is None:
        return before is after
    return np.array_equal(before, after)


def _check_whole_parts(parts: np.ndarray, ranks: np.ndarray) -> None:
    """Raises a `ValueError` if the asked pixels of these ranks split a part of their query."""
    sizes = np.bincount(parts)
    marked = np.bincount(parts[ranks], minlength=len(sizes))
    split = np.count_nonzero((marked > 0) & (marked < sizes))
    if split:
        raise ValueError(f"the pixels split {split} of the parts; each part gets one answer")
