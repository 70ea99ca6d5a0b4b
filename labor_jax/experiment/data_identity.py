"""Which images and labels a run works with: `data.json` in its workdir.

A run goes on with those that it began with, and runs are compared that have the same.
"""

import json
import logging
from collections.abc import Collection
from typing import Any

from labor_jax.data import ROLES, DataError, Pair, fingerprint
from labor_jax.experiment.workdir import Workdir, write_atomically

logger = logging.getLogger(__name__)


def check_and_keep(
    folder: Workdir,
    pair: Pair,
    *,
    roles: Collection[str] = ROLES,
    verify: str,
    begun: bool,
    accept_changes: bool,
) -> None:
    """Compares a run's data with what it began with, and writes down what they are now.

    Args:
      folder: the run's.
      pair: its data.
      roles: the splits that it reads.
      verify: `config.data.verify`.
      begun: whether the run has results; before that, data may change.
      accept_changes: `config.data.accept_changes`.

    Raises:
      DataError: the data differ; the message names images.
    """
    before = read(folder) if begun else {}
    found = fingerprint.of_pair(pair, verify=verify, roles=roles)
    if accept_changes:
        for role, phrases in differences(before, found).items():
            logger.warning("Going on with other data. %s: %s.", role, "; ".join(phrases))
    else:
        _raise_if_different(folder, before, found)
    described = {role: _merged(before.get(role, {}), images) for role, images in found.items()}
    write_atomically(folder.data, json.dumps(described) + "\n")


def check(folder: Workdir, pair: Pair, *, roles: Collection[str] = ROLES) -> None:
    """Compares data with those of a run, which is left as it is.

    Args:
      folder: the run's.
      pair: the data.
      roles: the splits to compare, of those that the pair has.

    Raises:
      DataError: the data differ; the message names images.
    """
    before = read(folder)
    found = fingerprint.of_pair(pair, verify="headers", roles=roles)
    _raise_if_different(folder, before, found)


def read(folder: Workdir) -> dict[str, fingerprint.Fingerprint]:
    """What `data.json` holds; nothing if there is none, or if it is damaged."""
    try:
        described = json.loads(folder.data.read_text())
        if not all(
            isinstance(images, dict) and all("size" in each for each in images.values())
            for images in described.values()
        ):
            raise ValueError("it describes no images")
    except FileNotFoundError:
        return {}
    except (AttributeError, TypeError, ValueError) as error:
        logger.warning("%s is damaged (%s), so the data can't be compared.", folder.data, error)
        return {}
    return described


def differences(
    before: dict[str, fingerprint.Fingerprint], found: dict[str, fingerprint.Fingerprint]
) -> dict[str, list[str]]:
    """What differs in each split that both have, as phrases; only splits in which anything does."""
    compared = {
        role: fingerprint.differences(before[role], found[role]) for role in before if role in found
    }
    return {role: phrases for role, phrases in compared.items() if phrases}


def _raise_if_different(
    folder: Workdir,
    before: dict[str, fingerprint.Fingerprint],
    found: dict[str, fingerprint.Fingerprint],
) -> None:
    differing = differences(before, found)
    if differing:
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
