"""The run's metrics file: one JSON object a line."""

import json
import math
import os
from pathlib import Path
from typing import Any


class MetricsFile:
    """Appends to `metrics.jsonl`; a resumed run first drops what it will write again."""

    def __init__(self, path: str | os.PathLike, *, resume_step: int = 0):
        """Opens the file.

        Args:
          path: the file; made if absent.
          resume_step: lines of a later global step, and a last line that a kill cut short, are
            dropped.
        """
        self._path = Path(path)
        kept = []
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if record["step"] <= resume_step:
                    kept.append(line + "\n")
            replacement = self._path.with_suffix(".tmp")
            replacement.write_text("".join(kept))
            os.replace(replacement, self._path)
        self._file = self._path.open("a")

    def write(self, step: int, phase: str, **values: Any) -> None:
        """Appends `{"step": …, "phase": …, **values}`; NaN becomes null, as JSON has none."""
        self._file.write(json.dumps(jsonable({"step": step, "phase": phase, **values})) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


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
