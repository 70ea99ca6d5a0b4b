"""The stages of a run as a table: what each had labelled, what that cost, and its mIoU."""

from typing import Any

from labor_jax.annotation import LabelStore, cost
from labor_jax.experiment import amounts, notes

HEADER = ("stage", "labelled", "pixels/image", "annotation", "mIoU")

BEFORE = (
    ("source-only", "source_only_miou"),
    ("warm-up", "warmup_miou"),
    ("retraining", "retraining_miou"),
    ("before round 1", "before_rounds_miou"),
)
"""The stages before the rounds: their names, and where `summary.json` holds their mIoU."""


def table_rows(summary: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """The run's stages: name, labelled share, pixels an image, annotation time, mIoU."""
    rows = [
        (name, "0", "0", "0", percent(summary[key]))
        for name, key in BEFORE
        if summary.get(key) is not None or key in summary.get("unmeasured", ())
    ]
    for entry in summary["rounds"]:
        rows.append(
            (
                f"round {entry['round']}",
                amounts.share(entry["labelled_fraction"]),
                amounts.count(entry["pixels_per_image"]),
                _annotation(entry),
                percent(entry["miou"]),
            )
        )
    return rows


def text_table(summary: dict[str, Any]) -> str:
    """The stages as an aligned text table."""
    rows = [HEADER, *table_rows(summary)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(["", title(summary), *lines, *sentences(summary)])


def title(summary: dict[str, Any]) -> str:
    """What was run: "spl on street, seed 0"."""
    return f"{summary['method']} on {summary['pair']}, seed {summary['seed']}"


def sentences(summary: dict[str, Any]) -> list[str]:
    """What has to be said below the table."""
    subsets = [
        f"mIoU of the {name} classes: {'none is labelled' if miou is None else percent(miou)}"
        for name, miou in (summary.get("subset_miou") or {}).items()
    ]
    return [*subsets, *notes.notes(summary)]


def before_rounds(summary: dict[str, Any]) -> tuple[str, float] | None:
    """The last stage before the rounds that has a mIoU: its name and mIoU; None without one."""
    measured = [(name, summary[key]) for name, key in BEFORE if summary.get(key) is not None]
    return measured[-1] if measured else None


def waiting_round(store: LabelStore) -> int | None:
    """The round that isn't answered as a whole; None without one."""
    return next((number for number in store.rounds() if not store.round_complete(number)), None)


def where_it_is(phase: str, store: LabelStore) -> str:
    """Says how far a run is that isn't over."""
    waiting = waiting_round(store)
    if waiting is not None:
        asked = store.statistics(waiting)
        return (
            f"The run waits in round {waiting}: {asked.answered_images} of {asked.images} "
            "images are answered."
        )
    return f"The run is not over; its last checkpoint is of phase {phase}."


def percent(share: float | None) -> str:
    """A share as a percentage; a dash where nothing was measured."""
    return "\N{EN DASH}" if share is None else f"{100 * share:.2f}%"


def _annotation(entry: dict[str, Any]) -> str:
    """The time of a round's labels and those before; "1.5 h" alone is the published estimate.

    A measured time stands before it: "1.2 h, measured; 1.5 h, published".
    """
    time = amounts.duration(entry["annotation_seconds"])
    source = entry.get("annotation_source", cost.PUBLISHED.name)
    if source == cost.PUBLISHED.name:
        return time
    times = [f"{time}, {source}"]
    if "work" in entry:  # older runs have LabOR's estimate under this name
        times.append(f"{amounts.duration(entry['published_seconds'])}, {cost.PUBLISHED.name}")
    return "; ".join(times)
