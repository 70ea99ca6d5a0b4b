"""Finds a pattern that tells the files of a series from the others in its folder."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence

from labor_jax.data.inspection.scan import ScannedFile
from labor_jax.data.inspection.series import Series


def find_pattern(photos: Series, images: Sequence[ScannedFile]) -> tuple[str, ...] | None:
    """Finds patterns for `FolderLayout.pattern` that match the series and nothing else below it.

    Args:
      photos: the series.
      images: all images below the root. Those with a problem don't count.

    Returns:
      The patterns; ("*",) if there are no other files; None if no simple pattern does it.
    """
    mine = {photos.below(file) for file in photos.files}
    prefix = "" if photos.folder == "." else photos.folder + "/"
    all_below = {
        file.path[len(prefix) :]
        for file in images
        if file.path.startswith(prefix) and not file.problem
    }
    others = all_below - mine
    for patterns in _candidates(photos, mine, others):
        if (
            patterns
            # The field has commas between patterns, and drops the spaces around them.
            and not any("," in pattern or pattern != pattern.strip() for pattern in patterns)
            and all(_matches(name, patterns) for name in mine)
            and not any(_matches(name, patterns) for name in others)
        ):
            return patterns
    return None


def _candidates(photos: Series, mine: set[str], others: set[str]) -> list[tuple[str, ...]]:
    extensions = sorted({file.extension for file in photos.files})
    start = os.path.commonprefix(sorted(mine))  # noqa: RUF071
    stems = [os.path.splitext(name)[0] for name in others]
    last = sorted({stem[-1:] for stem in stems} - {"]", "!", "^", "-"})
    ending = os.path.commonprefix([stem[::-1] for stem in stems])[::-1]  # noqa: RUF071
    folders = sorted({name.partition("/")[0] for name in mine if "/" in name})
    return [
        ("*",),
        tuple(f"*{extension}" for extension in extensions),
        *([(f"*{photos.ending}.*",)] if photos.ending else []),
        *([(f"{_literal(start)}*",)] if start else []),
        tuple(f"{_literal(folder)}/*" for folder in folders),
        (f"*[!{''.join(last)}].*",),
        tuple(f"*[!{''.join(last)}]{extension}" for extension in extensions),
        # Whatever differs from the others' ending in one of its letters.
        tuple(f"*[!{letter}]{_literal(ending[i + 1 :])}.*" for i, letter in enumerate(ending))[
            ::-1
        ],
    ]


def _literal(text: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
