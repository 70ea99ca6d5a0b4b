"""The rows of README's page on the papers' protocols, and what runs one at a size for tests."""

import functools
import re
import shlex

from absl import flags
from ml_collections import config_flags

from labor_jax import command_line, experiment
from tests.conftest import ROOT
from tests.driving import driving_data
from tests.tiny import tiny_config

ROWS = {
    command: int(steps.replace(",", ""))
    for command, steps in re.findall(
        r"^\|[^|]*\| `(configs/\w+\.py:(?:gtav|synthia)[^`]*)` \|[^|]*\| ([\d,]+) \|$",
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )
}
"""README's commands and the steps it tells."""


def row_config(command, *extra):
    """The config of a row, as `labor_jax.main` reads it."""
    arguments = ["main", *shlex.split(f"--config={ROOT}/{command}"), *extra]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=arguments)
    values(arguments)
    command_line.settle(values.config)
    return values.config


def shrunk(config, root):
    """A row's config at a size for tests; what makes it that row stays."""
    model = tiny_config().model.copy_and_resolve_references()
    model.update(head=config.model.head, head_channels=8)
    size = (64, 64)
    config.update(
        model=model,
        source_batch_size=2,
        target_batch_size=2,
        evaluation_batch_size=2,
        preview_images=1,
        log_every=2,
    )
    config.data.update(
        root=str(root),
        cache_folder=str(root / "cache"),
        source_size=size,
        target_size=size,
        evaluation_size=size,
    )
    for section in (config.source, config.warmup, config.selector, config.round):
        section.steps = min(section.steps, 2)
    config.warmup.discriminator_width = 4
    config.rounds = min(config.rounds, 2)
    steps = (0, 2) if config.joint.query_steps[0] == 0 else (2, 4)
    config.joint.update(steps=6, schedule_steps=9, query_steps=steps)
    return config


class Rows:
    """Runs rows in tiny folders of the official layouts."""

    def __init__(self, folder):
        self._folder = folder
        self._root = driving_data(folder / "data").root

    def run(self, command):
        """A row's config and the summary of its run."""
        config = shrunk(row_config(command), self._root)
        if config.method == "warmup":
            return config, self.warm_up(config.pair)[1]
        if config.method in ("ppl", "spl", "supervised"):  # as README says, they share it
            config.warm_start = str(self.warm_up(config.pair)[0])
        return config, experiment.run(config, self._folder / re.sub(r"\W+", "_", command))

    @functools.cache  # noqa: B019, it lives as long as a file's tests
    def warm_up(self, pair):
        """The workdir and summary of the pair's warm-up."""
        workdir = self._folder / "warmup"
        config = shrunk(row_config(f"configs/warmup.py:{pair}"), self._root)
        return workdir, experiment.run(config, workdir)


def check_row(rows, command):
    """Runs a row and checks what every run of it holds."""
    config, summary = rows.run(command)
    pair, rounds = config.pair, config.rounds
    assert summary["pair"] == pair
    assert [entry["round"] for entry in summary["rounds"]] == list(range(1, rounds + 1))
    assert not rounds or summary["rounds"][-1]["labelled_pixels"] > 0
    assert set(summary["subset_miou"]) == ({"16", "13"} if pair == "synthia" else set())
    if pair == "synthia":
        iou = [value for value in summary["per_class_iou"].values() if value is not None]
        assert 0 <= summary["subset_miou"]["13"] <= max(iou)
