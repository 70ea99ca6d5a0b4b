"""A run's `report.html`: one file that opens offline, from its results and its workdir."""

import json
import re
from pathlib import Path
from typing import Any

from labor_jax.annotation import LabelStore
from labor_jax.atomic_files import write_atomically
from labor_jax.data import Pair
from labor_jax.experiment.report import (
    about,
    costs,
    gallery,
    headline,
    page,
    quality,
    questions,
    run_files,
    stages,
    training_curves,
)
from labor_jax.experiment.workdir import Workdir

_NUMBERS = re.compile(r"\[\n\s+([-+.\deE,\s]+?)\s+\]")  # of JSON with a line a number


def write_summary(folder: Workdir, summary: dict[str, Any]) -> None:
    """Writes `summary.json`; a list of numbers, such as a row of a matrix, is one line of it."""
    text = json.dumps(summary, indent=2)
    text = _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
    write_atomically(folder.summary, text + "\n")


def write_report(
    folder: Workdir,
    summary: dict[str, Any],
    pair: Pair,
    store: LabelStore,
    *,
    output: Path | None = None,
    note: str = "",
    over: bool = True,
) -> None:
    """Writes `report.html`, one file without outside references.

    Args:
      folder: the run's.
      summary: what `summary.json` holds, or would.
      pair: its data, of which the pool is read; without a pool there are no pictures.
      store: its label store.
      output: another file to write.
      note: a sentence to put first.
      over: whether the run is.
    """
    run = run_files.gather(folder, summary, pair, store)
    truths = run_files.sampled_truths(run)
    asked, compared = questions.read(run, truths), costs.compare(run, truths)
    body = [
        page.paragraph(note, kind="warning") if note else page.Html(""),
        headline.headline(run, asked, compared),
        page.section(
            "What next", page.items(map(page.with_code, headline.next_steps(run, asked, over=over)))
        ),
        quality.section(run),
        quality.classes_section(run, asked.statistics.total.class_pixels),
        questions.section(run, asked),
        gallery.section(run),
        costs.section(run, compared),
        training_curves.section(run),
        about.section(run),
    ]
    text = page.page(stages.title(summary), [each for each in body if each])
    write_atomically(output or folder.report, text)
