"""Names of metrics that no loss may have."""

RESERVED = (
    "images_per_second",
    "learning_rate",
    "loss",
    "miou",
    "per_class_iou",
    "phase",
    "step",
    "time",
)
"""Entries of a line that are no term's and no player's; so are "miou_…", those of subsets."""


def is_reserved(name: str) -> bool:
    """Whether no loss may have this name."""
    return name in RESERVED or name.startswith("miou_")
