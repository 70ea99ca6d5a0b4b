"""What runs asked, beside how much: spread over classes, lumps. A markdown table of workdirs.

    python benchmarks/asked.py runs/acquisition_street/*_seed0

A method whose pixels are of few classes, or lie in few lumps, learns less from each. The columns:
labelled pixels and clicks an image (a point or a region is one click, and of a mask each connected
segment), pixels a click, distinct classes among an image's answers, how many classes the answers of
the whole pool are worth (the exponential of their histogram's entropy: 19 if all are asked alike),
the smallest class's pixels, the share of void, and the mIoU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import results
from labor_jax.annotation import LabelStore, LabelStoreError
from labor_jax.experiment.workdir import Workdir


class Asked(NamedTuple):
    """What a run asked in all its rounds.

    Attributes:
      name: of its workdir.
      pixels_per_image: asked pixels, a pool image.
      clicks_per_image: as in the run's `Result`; None where whole images were asked.
      classes_per_image: distinct classes among an image's answers, on average.
      effective_classes: exp of the entropy of the classes' histogram.
      smallest_class: pixels of the class that has the fewest, in the whole pool.
      void_fraction: share of the asked pixels that were answered as void.
      miou: after the last round, from 0 to 1.
    """

    name: str
    pixels_per_image: float
    clicks_per_image: float | None
    classes_per_image: float
    effective_classes: float
    smallest_class: int
    void_fraction: float
    miou: float


def describe(result: results.Result) -> Asked:
    """Describes the answers of a run that asked pixels, from its label store.

    Raises:
      LabelStoreError: the store can't be read, or is of another run.
    """
    with LabelStore(
        Workdir(result.workdir).labels, classes=result.classes, read_only=True
    ) as store:
        rounds = store.rounds()
        asked = store.statistics(rounds[-1]).labelled_pixels if rounds else 0
        if not asked:
            raise LabelStoreError(
                f"{store.path} holds no query, but the run's summary.json counts some; copy the "
                "labels.sqlite of the same run."
            )
        void = sum(store.statistics(number).void_pixels for number in rounds)
        counts = sum(store.class_counts(number) for number in rounds)
        distinct = [np.unique(store.labels(image)) for image in store.images(rounds[-1])]
    shares = counts[counts > 0] / counts.sum()
    return Asked(
        name=result.workdir.name,
        pixels_per_image=result.pixels_per_image,
        clicks_per_image=result.clicks_per_image,
        classes_per_image=float(np.mean([np.sum(each < len(counts)) for each in distinct])),
        effective_classes=float(np.exp(-np.sum(shares * np.log(shares)))),
        smallest_class=int(counts.min()),
        void_fraction=void / asked,
        miou=result.miou,
    )


def markdown(rows: Sequence[Asked]) -> str:
    """The table, a row a run."""
    header = ("run", "pixels/image", "clicks/image", "pixels/click", "classes/image")
    header += ("effective classes", "smallest class", "void", "mIoU")
    lines = []
    for row in rows:
        clicks = row.clicks_per_image
        lines.append(
            (
                row.name,
                f"{row.pixels_per_image:.0f}",
                f"{clicks:.1f}" if clicks else "-",
                f"{row.pixels_per_image / clicks:.1f}" if clicks else "-",
                f"{row.classes_per_image:.1f}",
                f"{row.effective_classes:.1f}",
                f"{row.smallest_class}",
                f"{100 * row.void_fraction:.1f}%",
                f"{100 * row.miou:.1f}",
            )
        )
    return results.markdown_lines(header, lines, text_columns=1)


def main(arguments: Sequence[str]) -> int:
    """Prints the table of some workdirs; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workdirs", nargs="+", type=Path, metavar="WORKDIR")
    rows = []
    for result in results.read_finished(parser.parse_args(arguments).workdirs, results.to_stderr):
        if not result.pixels_per_image:
            results.to_stderr(f"left out: {result.workdir} asked nothing")
            continue
        try:
            rows.append(describe(result))
        except LabelStoreError as error:
            results.to_stderr(f"left out: {result.workdir}: {error}")
    if not rows:
        results.to_stderr(
            "None of the runs is finished and asked anything, so there is nothing to describe."
        )
        return 1
    print(markdown(rows), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
