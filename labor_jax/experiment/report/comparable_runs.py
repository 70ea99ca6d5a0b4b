"""Which runs make a row of a table, and which can't be compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from labor_jax.data import ROLES
from labor_jax.experiment import data_identity
from labor_jax.experiment.report.comparison import Row, Table
from labor_jax.experiment.report.results import Result, ResultsError
from labor_jax.experiment.workdir import (
    NAMED_CHOICES,
    UNCOMPARED_FIELDS,
    differing_fields,
    effective_fields,
)


def compare(results: Sequence[Result]) -> Table:
    """The table of some runs, with a column for each field that differs, and for other data.

    Args:
      results: at least one.

    Raises:
      ResultsError: there are none, or two runs of the same config and seed.
    """
    if not results:
        raise ResultsError("None of the runs is finished, so there is nothing to compare.")
    by_data = _grouped(results, lambda one, other: _same_data(one, other, ROLES))
    groups = [
        (on_data[0].workdir, group)
        for on_data in by_data
        for group in _grouped(
            on_data, lambda one, other: not _differences(one.config, other.config)
        )
    ]
    for _, group in groups:
        seen: dict[int, Result] = {}
        for result in group:
            other = seen.setdefault(result.seed, result)
            if other is not result:
                raise ResultsError(
                    f"{other.workdir} and {result.workdir} are runs of the same config and seed; "
                    "give one of them."
                )
    fields = _varied_fields([group[0].config for _, group in groups])
    several = len(by_data) > 1
    rows = [
        Row(
            (
                *(_value(group[0].config, field) for field in fields),
                *([f"data of {workdir}"] if several else []),
            ),
            tuple(group),
        )
        for workdir, group in groups
    ]
    return Table((*fields, *(["data"] if several else [])), tuple(rows))


def _grouped(
    results: Sequence[Result], same: Callable[[Result, Result], bool]
) -> list[list[Result]]:
    """The results in groups of those that are the same as the group's first."""
    groups: list[list[Result]] = []
    for result in results:
        group = next((each for each in groups if same(each[0], result)), None)
        if group is None:
            groups.append([result])
        else:
            group.append(result)
    return groups


def _same_data(one: Result, other: Result, roles: Collection[str]) -> bool:
    """Whether no image or label of these splits is known to differ."""
    return data_identity.differences(one.data, other.data).keys().isdisjoint(roles)


def comparable(results: Sequence[Result], tell: Callable[[str], None]) -> list[Result]:
    """The runs whose mIoU can be compared with the first one's; tells why others are left out.

    Args:
      results: of finished runs.
      tell: gets a line for each run that is left out.
    """
    kept: list[Result] = []
    for result in results:
        if result.miou is None:
            tell(f"left out: {result.workdir} measured no mIoU (its pair has no labels for it)")
        elif kept and result.pair != kept[0].pair:
            tell(
                f"left out: {result.workdir} is a run on {result.pair}, {kept[0].workdir} one on "
                f"{kept[0].pair}; their mIoU can't be compared"
            )
        elif kept and result.classes != kept[0].classes:
            tell(
                f"left out: {result.workdir} has other classes ({len(result.classes)}) than "
                f"{kept[0].workdir} ({len(kept[0].classes)}); their mIoU can't be compared"
            )
        elif kept and result.measured_on != kept[0].measured_on:
            tell(
                f"left out: {result.workdir} measures mIoU on {result.measured_on}, "
                f"{kept[0].workdir} on {kept[0].measured_on}; they can't be compared"
            )
        elif kept and not _same_data(kept[0], result, [_measuring_role(result)]):
            tell(
                f"left out: {result.workdir} measures mIoU on other images or labels than "
                f"{kept[0].workdir}; they can't be compared"
            )
        else:
            kept.append(result)
    return kept


def _measuring_role(result: Result) -> str:
    """The split that a run's mIoU is measured on."""
    return "pool" if result.measured_on == "answers" else "evaluation"


def _differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The fields that tell two configs apart, but for the seed and what changes no result."""
    used = differing_fields(effective_fields(one), effective_fields(other))
    return [
        name
        for name in differing_fields(one, other)
        if name in used and name not in ("seed", *UNCOMPARED_FIELDS)
    ]


def _varied_fields(configs: Sequence[dict[str, Any]]) -> list[str]:
    """The fields in which some configs differ, the method first; the method if there are none."""
    fields = {name for config in configs for name in _differences(configs[0], config)}
    fields |= {name for name in NAMED_CHOICES if len({config.get(name) for config in configs}) > 1}
    if {"method", "acquisition.method"} <= fields:
        pairs = {
            (_value(config, "method"), _value(config, "acquisition.method")) for config in configs
        }
        if len(pairs) == len({method for method, _ in pairs}):  # then the method says both
            fields.remove("acquisition.method")
    first = ("method", *NAMED_CHOICES)
    return sorted(fields, key=lambda name: (name not in first, name)) or ["method"]


def _value(config: dict[str, Any], field: str) -> Any:
    """The value of a dotted field, None where there is no such field."""
    value: Any = config
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
