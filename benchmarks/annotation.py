"""The labelling tool under load: `python benchmarks/annotation.py`.

Simulated annotators label a whole round over HTTP on loopback: they take an item, label its points
(or sections of its mask) one by one, sometimes undo one, and submit. Halfway the server is killed
(-9) and started again; unacknowledged requests are repeated. The benchmark prints the times from
sending an answer to its acknowledgement. It also checks that each acknowledged answer is in the
label store exactly once, and that the round's answers are those that were acknowledged last. The
command fails if one isn't.

People think between answers; `--think` is the mean of that time (published: 1.87 s per point).
`--think 0` measures how many answers per second the server can take.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import itertools
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.human_runs import write_run
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from labor_jax.experiment.workdir import Workdir

RETRY_SECONDS = 0.05
LOST_SECONDS = 30.0


class LoadError(RuntimeError):
    """The server doesn't answer, or refuses what it should take."""


class Reply(NamedTuple):
    """What the server answered, how long it took, and after how many attempts."""

    status: int
    body: Any
    seconds: float
    attempts: int


class Connection:
    """An HTTP connection that is kept; a request is repeated until it is answered."""

    def __init__(self, port: int):
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, fields: dict[str, Any]) -> Reply:
        """Sends a request.

        Raises:
          LoadError: if no answer comes for a long time.
        """
        body = json.dumps(fields).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        begun = time.monotonic()
        for attempt in itertools.count(1):
            try:
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port)
                sent = time.perf_counter()
                status, answer = await self._exchange(head.encode() + body)
                return Reply(status, json.loads(answer), time.perf_counter() - sent, attempt)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.close()
                if time.monotonic() - begun > LOST_SECONDS:
                    raise LoadError(f"no answer to {path}: {error}") from error
                await asyncio.sleep(RETRY_SECONDS)
        raise AssertionError("unreachable")

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), await reader.readexactly(int(headers["content-length"]))

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


class Record:
    """What the annotators were told.

    Attributes:
      acknowledged: requests that were answered, by their names, with what they did.
      labels: the labels of each item as the last acknowledgement told them, `{pixel: label}`.
      seconds: times of the requests that were answered at the first attempt, by what they did.
      repeated: how many needed more attempts.
    """

    def __init__(self):
        """Nothing was told yet."""
        self.acknowledged: dict[str, str] = {}
        self.labels: dict[str, dict[int, int]] = {}
        self.seconds: dict[str, list[float]] = collections.defaultdict(list)
        self.repeated = 0

    def add(self, reply: Reply, kind: str, item: str | None = None, request: str | None = None):
        """Notes an answer.

        Raises:
          LoadError: if the server refused.
        """
        if reply.status != 200:
            raise LoadError(f"{kind} of {item} was refused: {reply.body}")
        if reply.attempts == 1:
            self.seconds[kind].append(reply.seconds)
        else:
            self.repeated += 1
        if request is not None:
            self.acknowledged[request] = kind
            self.labels[item] = {
                pixel: label for label, runs in reply.body["labels"] for pixel in pixels_of(runs)
            }


def pixels_of(runs: list[int]) -> list[int]:
    """The pixels of a list of runs."""
    pairs = zip(runs[::2], runs[1::2], strict=True)
    return [pixel for start, length in pairs for pixel in range(start, start + length)]


async def annotate(name: str, port: int, record: Record, *, think: float, seed: int) -> None:
    """Labels items until none is left."""
    dice = random.Random(seed)
    connection = Connection(port)
    numbers = itertools.count()
    last = None

    async def step(item: dict[str, Any], kind: str, **fields: Any) -> None:
        if think:
            await asyncio.sleep(dice.uniform(0.5, 1.5) * think)
        request = f"{name}/{next(numbers)}"
        fields = {"lease": item["lease"], "request": request, "seconds": think, **fields}
        action = "marks" if kind == "mark" else kind
        reply = await connection.post(f"/api/items/{item['id']}/{action}", fields)
        record.add(reply, kind, item["id"], request)

    with contextlib.closing(connection):
        if think:
            await asyncio.sleep(dice.uniform(0, 2) * think)  # nobody begins at one moment
        while True:
            reply = await connection.post("/api/next", {"annotator": name, "after": last})
            record.add(reply, "next")
            item = reply.body["item"]
            if item is None:
                if reply.body["progress"]["round_complete"]:
                    return
                await asyncio.sleep(max(think, RETRY_SECONDS))
                continue
            last = item["id"]
            asked = item["asked"]
            # A click answers a point, or a section of a mask: a few of its runs.
            size = 2 if item["kind"] == "points" else max(2, len(asked) // 40 * 2)
            for i in range(0, len(asked), size):
                section = asked[i : i + size]
                await step(item, "mark", label=dice.randrange(19), pixels=section)
                if dice.random() < 0.05:
                    await step(item, "undo")
                    await step(item, "mark", label=dice.choice([0, 255]), pixels=section)
            await step(item, "submit")


@contextlib.contextmanager
def serving(workdir: Path, port: int) -> Iterator[subprocess.Popen]:
    """A server of the labelling tool, in a process of its own."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "labor_jax.annotate"),
            *("--workdir", str(workdir), "--port", str(port)),
        ],
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if not process.stdout.readline():
            raise LoadError("the server didn't start; see above")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def load(
    workdir: Path, *, annotators: int, think: float, kills: int, answers: int
) -> tuple[Record, float]:
    """Lets the annotators label the round, and kills the server on the way.

    Args:
      workdir: the run's.
      annotators: how many.
      think: mean seconds between an annotator's answers.
      kills: how often the server is killed.
      answers: about how many there will be; the kills are spread over them.

    Returns:
      What they were told, and the seconds that it took.
    """
    record, port = Record(), free_port()
    begun = time.perf_counter()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(workdir, port))
        begun = time.perf_counter()
        people = [
            asyncio.create_task(
                annotate(f"annotator {number}", port, record, think=think, seed=number)
            )
            for number in range(annotators)
        ]
        for kill in range(kills):
            while len(record.acknowledged) < answers * (kill + 1) / (kills + 1):
                await asyncio.sleep(0.01)
                if all(person.done() for person in people):
                    break
            server.send_signal(signal.SIGKILL)
            server.wait()
            # In a thread: the annotators go on trying.
            server = await asyncio.to_thread(stack.enter_context, serving(workdir, port))
        await asyncio.gather(*people)
    return record, time.perf_counter() - begun


def problems(workdir: Path, record: Record) -> list[str]:
    """What is lost, doubled or wrong in a run's label store after its round was labelled."""
    found = []
    with LabelStore(Workdir(workdir).labels, classes=street.CLASSES, read_only=True) as store:
        stored = store.database.read("SELECT request, kind FROM events WHERE request IS NOT NULL")
        counts = collections.Counter(stored)
        expected = set(record.acknowledged.items())
        lost, more = expected - counts.keys(), counts.keys() - expected
        doubled = [event for event, count in counts.items() if count > 1]
        for what, events in (("lost", lost), ("never acknowledged", more), ("doubled", doubled)):
            if events:
                found.append(f"{len(events)} answers are {what}, as {sorted(events)[0]}")
        submits = store.database.read(
            "SELECT image, COUNT(*) FROM events WHERE kind = 'submit' GROUP BY round, image"
        )
        again = [image for image, count in submits if count != 1]
        if again:
            found.append(f"{len(again)} images were answered more than once, as {again[0]}")
        if not store.round_complete(1):
            found.append(f"{len(store.pending(1))} images have no answer")
        for number, image in enumerate(store.images(1)):
            told = record.labels.get(f"1-{number}-1", {})
            labels = store.labels(image).reshape(-1)
            asked = np.flatnonzero(store.asked(image))
            wrong = [pixel for pixel in asked.tolist() if told.get(pixel) != labels[pixel]]
            if wrong:
                found.append(f"{len(wrong)} labels of {image} aren't those that were told")
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--annotators", type=int, default=50)
    parser.add_argument("--images", type=int, default=250)
    parser.add_argument("--kind", choices=["points", "mask"], default="points")
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--think", type=float, default=1.0, help="seconds between answers, a mean")
    parser.add_argument("--kills", type=int, default=1, help="how often the server is killed")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "run"
        size = (arguments.height, arguments.width)
        write_run(workdir, images=arguments.images, size=size, kind=arguments.kind)
        a_query = 6 if arguments.kind == "points" else 42
        record, seconds = asyncio.run(
            load(
                workdir,
                annotators=arguments.annotators,
                think=arguments.think,
                kills=arguments.kills,
                answers=arguments.images * a_query,
            )
        )
        found = problems(workdir, record)
    print(f"{arguments.annotators} annotators, {arguments.images} items, {seconds:.0f} s")
    answers = [t for kind in ("mark", "undo", "submit") for t in record.seconds[kind]]
    for what, times in (("answers", answers), ("items given out", record.seconds["next"])):
        p50, p99, longest = 1000 * np.percentile(times, [50, 99, 100])
        print(
            f"{what}: {len(times)}, {len(times) / seconds:.0f} a second; "
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.1f} ms"
        )
    print(f"sent again after the server was killed {arguments.kills} times: {record.repeated}")
    print("\n".join(found) or "every acknowledged answer is stored exactly once")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
