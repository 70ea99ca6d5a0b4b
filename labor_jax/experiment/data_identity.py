"""That a run goes on with the images and labels that it began with: `data.json` in the workdir."""

import json
import logging
from collections.abc import Collection
from typing import Any, NamedTuple

from labor_jax.annotation.label_store.reader import LabelReader
from labor_jax.atomic_files import write_atomically
from labor_jax.data import ROLES, DataError, Pair, fingerprint
from labor_jax.experiment.workdir import Workdir

logger = logging.getLogger(__name__)

_CODINGS = "label_codings"  # in data.json, beside the roles
_OF_EVERY_RUN = ("pool", "evaluation")  # the source is read as long as a phase needs it


class RunData(NamedTuple):
    """What is known of a run's data, by role: its images, and how its label files are read."""

    images: dict[str, fingerprint.Fingerprint]
    codings: dict[str, fingerprint.LabelCoding]


_UNKNOWN = RunData({}, {})


def checked(
    folder: Workdir,
    pair: Pair,
    *,
    roles: Collection[str] = ROLES,
    verify: str,
    begun: bool,
    accept_changes: bool,
) -> RunData:
    """Compares a run's data with what it began with.

    Args:
      folder: the run's.
      pair: its data.
      roles: the splits that it reads.
      verify: `config.data.verify`.
      begun: whether the run has results; before that, data may change.
      accept_changes: `config.data.accept_changes`.

    Returns:
      What the data are now, for `keep`.

    Raises:
      DataError: the data differ; the message names images, or the class table.
    """
    before = read(folder) if begun else _UNKNOWN
    found = _describe(pair, verify, roles)
    _compare(folder, _with_absent(before), _with_absent(found), accept_changes)
    described = {
        role: _merged(before.images.get(role, {}), images) for role, images in found.images.items()
    }
    return RunData(described, found.codings)


def keep(folder: Workdir, data: RunData) -> None:
    """Writes down what a run's data are."""
    described = {**data.images, _CODINGS: data.codings}
    write_atomically(folder.data, json.dumps(described) + "\n")


def check_open_round(store: LabelReader, names: Collection[str]) -> None:
    """Checks that a round which isn't over can go on with the pool's images as they are now.

    Args:
      store: the run's label store.
      names: of the pool's images.

    Raises:
      DataError: images are missing that the round asks, or it is still to ask all of the pool and
        that has changed.
    """
    rounds = store.rounds()
    if not rounds:
        return
    pool, asked = set(names), store.images(rounds[-1])
    if store.unasked(rounds[-1]):
        changed = [name for name in asked if name not in pool] + sorted(pool - set(asked))
    else:
        changed = [name for name in store.pending(rounds[-1]) if name not in pool]
    if changed:
        raise DataError(
            f"Round {rounds[-1]} isn't answered as a whole, and asks about the pool's images as "
            f"they were when it began. Missing or new now: {len(changed)}, such as "
            f"{changed[0]!r}. Restore the pool until the round is answered; after that it may "
            "change, with --config.data.accept_changes=True."
        )


def check(
    folder: Workdir,
    pair: Pair,
    *,
    roles: Collection[str] = ROLES,
    accept_changes: bool = False,
) -> None:
    """Compares data with those of a run, which is left as it is.

    Args:
      folder: the run's.
      pair: the data.
      roles: the splits to compare, of those that the pair has.
      accept_changes: whether to warn of differences in place of an error.

    Raises:
      DataError: the data differ; the message names images, or the class table.
    """
    _compare(folder, read(folder), _describe(pair, "headers", roles), accept_changes)


def differences_from(folder: Workdir, pair: Pair, role: str) -> list[str]:
    """What is known to differ between a split of a pair and that of a run, as phrases."""
    found = differences(read(folder), _describe(pair, "headers", [role]))
    return found.get(role, [])


def _describe(pair: Pair, verify: str, roles: Collection[str]) -> RunData:
    return RunData(
        fingerprint.of_pair(pair, verify=verify, roles=roles),
        fingerprint.label_codings(pair, roles=roles),
    )


def read(folder: Workdir) -> RunData:
    """What `data.json` holds; nothing if there is none, or if it is damaged."""
    try:
        images = json.loads(folder.data.read_text())
        codings = images.pop(_CODINGS, {})  # an older version of the package wrote none
        if not all(
            isinstance(each, dict) and all("size" in image for image in each.values())
            for each in images.values()
        ):
            raise ValueError("it describes no images")
        if not all("sha256" in coding for coding in codings.values()):
            raise ValueError("it does not say how labels are read")
    except FileNotFoundError:
        return _UNKNOWN
    except (AttributeError, TypeError, ValueError) as error:
        logger.warning("%s is damaged (%s), so the data can't be compared.", folder.data, error)
        return _UNKNOWN
    return RunData(images, codings)


def _with_absent(data: RunData) -> RunData:
    """The data with an empty split for each that every run reads and that isn't there.

    So all images of a split count as missing if its folder is gone, as an unmounted disk's is.
    Nothing is added to data that are unknown.
    """
    if not data.images:
        return data
    return data._replace(images={**{role: {} for role in _OF_EVERY_RUN}, **data.images})


def differences(before: RunData, found: RunData) -> dict[str, list[str]]:
    """What differs in each split that both have, as phrases; only splits in which anything does."""
    compared = {
        role: [
            *fingerprint.differences(before.images[role], images),
            *fingerprint.coding_differences(before.codings.get(role), found.codings.get(role)),
        ]
        for role, images in found.images.items()
        if role in before.images
    }
    return {role: phrases for role, phrases in compared.items() if phrases}


def _compare(folder: Workdir, before: RunData, found: RunData, accept_changes: bool) -> None:
    differing = differences(before, found)
    if accept_changes:
        for role, phrases in differing.items():
            logger.warning("Going on with other data. %s: %s.", role, "; ".join(phrases))
    elif differing:
        listed = "\n".join(f"  {role}: {'; '.join(phrases)}" for role, phrases in differing.items())
        raise DataError(
            f"The data are not those that the run in {folder.path} began with:\n{listed}\n"
            "Restore them, or check config.data. If the change is meant, go on with "
            "--config.data.accept_changes=True; or start anew in another --workdir."
        )


def _merged(
    before: fingerprint.Fingerprint, found: fingerprint.Fingerprint
) -> fingerprint.Fingerprint:
    """What is known now, with hashes that were taken before of files that are still the same."""

    def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        same = old.get("bytes") == new.get("bytes")
        return {**old, **new} if same else new

    return {
        name: {
            "size": each["size"],
            **{
                part: merged(before.get(name, {}).get(part, {}), each[part])
                for part in ("image", "label")
                if part in each
            },
        }
        for name, each in found.items()
    }
