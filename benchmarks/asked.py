"""What runs asked, beside how much: spread over classes, lumps. A markdown table of workdirs.

    python benchmarks/asked.py runs/acquisition_street/*_seed0

A method whose pixels are of few classes, or lie in few lumps, learns less from each. The columns:
labelled pixels and clicks an image (a connected segment is one click), pixels a click, distinct
classes among an image's answers, how many classes the answers of the whole pool are worth (the
exponential of their histogram's entropy: 19 if all are asked alike), the smallest class's pixels,
the share of void, and the mIoU.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import results
from labor_jax.annotation import LabelStore
from labor_jax.workdir import Workdir


class Asked(NamedTuple):
    """What a run asked in all its rounds.

    Attributes:
      name: of its workdir.
      pixels_per_image: asked pixels, a pool image.
      clicks_per_image: connected segments, a pool image.
      classes_per_image: distinct classes among an image's answers, on average.
      effective_classes: exp of the entropy of the classes' histogram.
      smallest_class: pixels of the class that has the fewest, in the whole pool.
      void_fraction: share of the asked pixels that were answered as void.
      miou: after the last round, from 0 to 1.
    """

    name: str
    pixels_per_image: float
    clicks_per_image: float
    classes_per_image: float
    effective_classes: float
    smallest_class: int
    void_fraction: float
    miou: float


def read(workdir: Path) -> Asked | None:
    """Reads what a finished run asked; None if it isn't finished, or asked nothing.

    Raises:
      ResultsError: the folder holds no run, or its files are damaged.
      LabelStoreError: its label store can't be read.
    """
    result = results.read(workdir)
    if result is None or not result.labelled_fraction:
        return None
    folder = Workdir(workdir)
    classes = list(json.loads(folder.summary.read_text())["per_class_iou"])
    with LabelStore(folder.labels, classes=classes, read_only=True) as store:
        rounds = store.rounds()
        images = store.images(rounds[-1])
        counts = sum(store.class_counts(number) for number in rounds)
        distinct = [np.unique(store.labels(image)) for image in images]
        void = sum(store.statistics(number).void_pixels for number in rounds)
        asked = store.statistics(rounds[-1]).labelled_pixels
    shares = counts[counts > 0] / counts.sum()
    return Asked(
        name=Path(workdir).name,
        pixels_per_image=result.pixels_per_image,
        clicks_per_image=result.clicks_per_image,
        classes_per_image=float(np.mean([np.sum(each < len(classes)) for each in distinct])),
        effective_classes=float(np.exp(-np.sum(shares * np.log(shares)))),
        smallest_class=int(counts.min()),
        void_fraction=void / asked,
        miou=result.miou,
    )


def markdown(rows: Sequence[Asked]) -> str:
    """The table, a row a run."""
    header = ("run", "pixels/image", "clicks/image", "pixels/click", "classes/image")
    header += ("effective classes", "smallest class", "void", "mIoU")
    lines = [header, ("---", *["---:"] * (len(header) - 1))]
    for row in rows:
        lines.append(
            (
                row.name,
                f"{row.pixels_per_image:.0f}",
                f"{row.clicks_per_image:.1f}",
                f"{row.pixels_per_image / row.clicks_per_image:.1f}",
                f"{row.classes_per_image:.1f}",
                f"{row.effective_classes:.1f}",
                f"{row.smallest_class}",
                f"{100 * row.void_fraction:.1f}%",
                f"{100 * row.miou:.1f}",
            )
        )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workdirs", nargs="+", type=Path, metavar="WORKDIR")
    rows = []
    for workdir in parser.parse_args().workdirs:
        row = read(workdir) if workdir.is_dir() else None
        if row is None:
            print(f"left out: {workdir} (not finished, or asked nothing)", file=sys.stderr)
        else:
            rows.append(row)
    print(markdown(rows), end="")


if __name__ == "__main__":
    main()
