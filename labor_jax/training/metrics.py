"""The run's metrics file: one JSON object a line."""

import json
import logging
import math
import os
from pathlib import Path
from typing import Any

from labor_jax.atomic_files import sync_folder, write_atomically

logger = logging.getLogger(__name__)


class MetricsFile:
    """Appends to `metrics.jsonl`; a resumed run first drops what it will write again."""

    def __init__(self, path: str | os.PathLike, *, resume_step: int = 0):
        """Opens the file.

        Args:
          path: the file; made if absent.
          resume_step: lines of a later global step, and a last line that a kill cut short, are
            dropped; so are damaged ones, with a warning.
        """
        self._path = Path(path)
        kept, damaged = [], 0
        if self._path.exists():
            *lines, last = self._path.read_bytes().split(b"\n")
            for line in (*lines, last):
                step = _step_of(line)
                if step is None:
                    damaged += line is not last
                elif step <= resume_step:
                    kept.append(line.decode() + "\n")
            if damaged:
                logger.warning("%d damaged lines of %s were dropped.", damaged, self._path)
            write_atomically(self._path, "".join(kept))
        self._file = self._path.open("a")
        sync_folder(self._path.parent)

    def write(self, step: int, phase: str, **values: Any) -> None:
        """Appends `{"step": …, "phase": …, **values}`; NaN becomes null, as JSON has none."""
        self._file.write(json.dumps(jsonable({"step": step, "phase": phase, **values})) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Brings the lines so far to the disk, where a power cut leaves them."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self.sync()
        self._file.close()


def _step_of(line: bytes) -> int | None:
    """The global step of a line; None for one that is damaged."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    step = record.get("step") if isinstance(record, dict) else None
    return step if isinstance(step, int) else None


def jsonable(value: Any) -> Any:
    """The value with arrays as lists, and NaN and infinities as None."""
    if isinstance(value, dict):
        return {key: jsonable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(each) for each in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
