"""What one key for each segment of a mask costs and yields, with and without a cut along edges.

    python benchmarks/segments.py runs/spl_camvid

For the first round of each workdir that asked masks, a markdown table: how many keys an image takes
and which share of the asked pixels gets its class, if the key of each segment is that of its most
frequent class (void aside). A segment is a connected component, or what the labelling tool makes of
it along the image's edges. The last columns are of the labels' own outlines: the keys that would
answer everything rightly, and the share that is right if these outlines are one pixel beside the
truth, as people's often are. Needs node.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labor_jax.annotation import LabelStore
from labor_jax.data import transforms
from labor_jax.experiment.workdir import Workdir

_SCRIPT = Path(__file__).with_suffix(".mjs")


def measure(asked: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> list[dict]:
    """Divides masks as the labelling tool's page does, and compares with the labels.

    Args:
      asked: For each image its pixels, `uint8[H, W, 3]`, labels, `uint8[H, W]`, and mask,
        `bool[H, W]`.

    Returns:
      For each image the "milliseconds" that the division took and, for "components", "segments"
      "classes" (components of one class) and "shifted" (the same, of the labels one pixel to the
      right), the number of "groups", the "pixels" that are not void, and how many of them are
      "right": of their group's most frequent class.
    """
    parts = []
    for image, labels, mask in asked:
        opaque = np.full((*labels.shape, 1), 255, np.uint8)
        parts.append(np.array(labels.shape[::-1], "<u4").tobytes())
        parts += [np.concatenate([image, opaque], -1).tobytes(), labels.tobytes()]
        parts.append(mask.astype(np.uint8).tobytes())
    result = subprocess.run(
        ["node", str(_SCRIPT)], input=b"".join(parts), capture_output=True, check=True
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


def right_share(counts: list[dict], kind: str) -> float:
    """The share of the pixels that have their group's most frequent class."""
    return sum(count[kind]["right"] for count in counts) / max(
        1, sum(count[kind]["pixels"] for count in counts)
    )


def _asked(workdir: Path) -> Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    folder = Workdir.existing(workdir)
    pair = folder.load_pair(["pool"])
    pool = pair.pool
    with LabelStore(folder.labels, classes=pair.classes, read_only=True) as store:
        for number, name in enumerate(pool.names):
            if name in store.images(1):
                labels = pool.label(number)
                image = transforms.resize_image(pool.image(number), pool.size(number))
                yield image, labels, store.query(name, 1)


def _row(name: str, counts: list[dict]) -> str:
    cells = [name]
    for kind in ("components", "segments", "classes", "shifted"):
        keys = sum(count[kind]["groups"] for count in counts) / len(counts)
        cells += [] if kind == "shifted" else [f"{keys:.1f}"]
        cells += [] if kind == "classes" else [f"{right_share(counts, kind):.1%}"]
    cells.append(f"{np.median([count['milliseconds'] for count in counts]):.0f}")
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workdirs", nargs="+", type=Path, metavar="WORKDIR")
    workdirs = parser.parse_args(arguments).workdirs
    if not shutil.which("node"):
        parser.error("node is not on PATH; install Node.js")
    print(
        "| run | components | right | segments | right | keys for all | one pixel beside | ms |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for workdir in workdirs:
        print(_row(workdir.name, measure(_asked(workdir))))


if __name__ == "__main__":
    main()
