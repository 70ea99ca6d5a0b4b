"""What a run knew of its label store, to notice later that the store lost or changed something.

Answers are only ever added, by the run or by people. A correction replaces one, and leaves an event
behind. Anything else is damage: an older copy of the file, a lost `-wal`, rows edited by hand.
"""

import dataclasses
import hashlib
import struct
from typing import Any

from labor_jax.annotation.label_store.checks import shortened
from labor_jax.annotation.label_store.database import LabelStoreError
from labor_jax.annotation.label_store.existing import EXISTING_ROUND
from labor_jax.annotation.label_store.store import LabelStore


@dataclasses.dataclass(frozen=True)
class RoundRecord:
    """One round.

    Attributes:
      images: How many images it asks.
      asked: How many of them have a query.
      answered: How many queries have an answer or need none.
      queries: SHA-256 of the asked pixels.
      answers: SHA-256 of their labels.
      parts: SHA-256 of the queries' parts and guesses; None in records of earlier versions.
      candidates: SHA-256 of the classes of each part; None in records of earlier versions.
    """

    images: int
    asked: int
    answered: int
    queries: str
    answers: str
    parts: str | None = None
    candidates: str | None = None


@dataclasses.dataclass(frozen=True)
class StoreRecord:
    """A label store at one moment.

    Attributes:
      run: The store's identity, see `LabelStore.run`.
      rounds: Its rounds, by number.
      last_event: Number of the last thing that an annotator did; 0 for none.
    """

    run: str
    rounds: dict[int, RoundRecord]
    last_event: int

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, described: dict[str, Any]) -> "StoreRecord":
        """Reads what `to_json` returned."""
        rounds = {int(number): RoundRecord(**each) for number, each in described["rounds"].items()}
        return cls(described["run"], rounds, described["last_event"])


def take(store: LabelStore) -> StoreRecord:
    """Describes a store as it is now. Reads every query and answer once.

    Raises:
      LabelStoreError: If the file can't be read.
    """
    ((last_event,),) = store.database.read("SELECT IFNULL(MAX(id), 0) FROM events")
    numbers = store.database.read("SELECT DISTINCT round FROM round_images")
    rounds = {number: _round_record(store, number) for (number,) in numbers}
    return StoreRecord(store.run, rounds, last_event)


def check(store: LabelStore, before: StoreRecord, after: StoreRecord) -> list[int]:
    """Checks that a store has everything that it had before.

    Args:
      store: The store.
      before: Its earlier record.
      after: Its record now.

    Returns:
      The rounds in which annotators corrected answers meanwhile.

    Raises:
      LabelStoreError: If something is missing or was changed by anything but an annotator. The
        message says what, and what to do.
    """
    if after.run != before.run:
        raise LabelStoreError(
            f"{store.path} is not the label store of this run"
            + (", but an empty one" if not after.rounds else "")
            + f". {_REMEDY}"
        )
    problems, differing = [], []
    # Labels that existed before the run may be imported, again and others, until it trains on them.
    trained = any(number and each.answered == each.images for number, each in before.rounds.items())
    for number, known in before.rounds.items():
        if number == EXISTING_ROUND and not trained:
            continue
        found = after.rounds.get(number)
        if found is None:
            problems.append(f"round {number} with its {known.images} images is missing")
            continue
        if found.asked < known.asked:
            lost = known.asked - found.asked
            problems.append(
                f"queries of {lost} of {known.images} images are missing in round {number} "
                f"({shortened(store.unasked(number))})"
            )
        elif found.answered < known.answered:
            problems.append(
                f"answers to {known.answered - found.answered} of {known.images} images are "
                f"missing in round {number} ({shortened(store.pending(number))})"
            )
        elif found.asked == known.asked and found.queries != known.queries:
            problems.append(f"round {number} asks other pixels than before")
        elif found.asked == known.asked and known.parts not in (None, found.parts):
            problems.append(f"round {number} asks other parts, or shows other guesses, than before")
        elif found.answered == known.answered and (
            found.answers != known.answers or known.candidates not in (None, found.candidates)
        ):
            differing.append(number)
    if after.last_event < before.last_event:
        problems.append(f"{before.last_event - after.last_event} steps of annotators are missing")
    corrected = _corrected_rounds(store, before.last_event)
    changed = [number for number in differing if number not in corrected]
    problems += [f"answers of round {number} were changed by hand" for number in changed]
    if problems:
        raise LabelStoreError(
            f"{store.path} is not as this run left it: {'; '.join(problems)}. {_REMEDY}"
        )
    return differing


_REMEDY = (
    "Restore the file from a copy, together with its -wal file if there is one. To ask again, "
    "start in another --workdir."
)


def _corrected_rounds(store: LabelStore, last_event: int) -> set[int]:
    """The rounds of answers that annotators gave after an event; opinion 2 is no answer."""
    rows = store.database.read(
        "SELECT DISTINCT round FROM events "
        "WHERE id > ? AND opinion = 1 AND kind IN ('submit', 'import')",
        (last_event,),
    )
    return {number for (number,) in rows}


def _round_record(store: LabelStore, number: int) -> RoundRecord:
    queries, answers, parts, candidates = (hashlib.sha256() for _ in range(4))
    # An older file that is open for reading only lacks these columns.
    later = "guess, parts, candidates" if store.database.version >= 4 else "NULL, NULL, NULL"
    with store.database.explaining_errors():
        for (
            image,
            height,
            width,
            mask,
            labels,
            guess,
            numbers,
            held,
        ) in store.database.connection().execute(
            f"SELECT image, height, width, mask, labels, {later} FROM queries "
            "LEFT JOIN answers USING (image, round) WHERE round = ? ORDER BY image",
            (number,),
        ):
            name = image.encode()
            # Lengths come first, so that different contents never give the same bytes.
            queries.update(struct.pack("<qqqq", len(name), height, width, len(mask)) + name + mask)
            parts.update(_framed(name, guess, numbers))
            if labels is not None:
                answers.update(struct.pack("<qq", len(name), len(labels)) + name + labels)
            if held is not None:
                candidates.update(_framed(name, held))
    ((images, asked, answered),) = store.database.read(
        "SELECT COUNT(*), COUNT(q.image), COUNT(*) FILTER (WHERE q.pixels = 0 OR a.round NOT NULL) "
        "FROM round_images r LEFT JOIN queries q USING (image, round) "
        "LEFT JOIN answers a USING (image, round) WHERE r.round = ?",
        (number,),
    )
    return RoundRecord(
        images,
        asked,
        answered,
        *(each.hexdigest() for each in (queries, answers, parts, candidates)),
    )


def _framed(*contents: bytes | None) -> bytes:
    """Contents with their lengths, -1 for none."""
    lengths = [-1 if content is None else len(content) for content in contents]
    return struct.pack(f"<{len(lengths)}q", *lengths) + b"".join(filter(None, contents))
