"""Which classes are things, single and countable, such as cars; other classes are stuff."""

from collections.abc import Sequence

THINGS = (
    "traffic light",
    "traffic sign",
    "sign",
    "sign symbol",
    "person",
    "pedestrian",
    "rider",
    "bicyclist",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
"""Names of things in street scenes, Cityscapes' and CamVid's."""


def things_among(
    classes: Sequence[str], things: Sequence[str], *, default: Sequence[str], term: str
) -> list[bool]:
    """Which classes are named as things.

    Args:
      classes: the data's names.
      things: a term's setting, names in any case, with spaces, "_" or "-" between words.
      default: the setting's; it names things of other data as well.
      term: its name, for the error.

    Returns:
      As many as classes.

    Raises:
      ValueError: things differ from the default, and one of them is no class.
    """
    names = [_plain(name) for name in classes]
    wanted = {_plain(name) for name in things}
    unknown = sorted(wanted - set(names))
    if unknown and tuple(things) != tuple(default):
        raise ValueError(
            f"config.terms.{term}.things names {', '.join(unknown)}; the classes are "
            f"{', '.join(classes)}."
        )
    return [name in wanted for name in names]


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ")
