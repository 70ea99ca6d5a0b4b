"""The extensions among the examples as a user runs them: from an installed wheel alone."""

import ast
import functools
import json
import os
import shutil

import pytest

from tests.conftest import ROOT
from tests.slow import all_but

EXTENSIONS = sorted(set((ROOT / "examples").glob("*.py")) - {ROOT / "examples" / "own_photos.py"})

_TWO_LAYERS = {"model.backbone": "two_layers", "model.width": 4, "model.output_stride": 4}
_LINEAR = {"model.head": "linear"}
_STREET = {
    "data.image_size": (32, 64),
    "data.source_count": 4,
    "data.pool_count": 2,
    "data.evaluation_count": 2,
}
SETTINGS = {
    "acquisition_function": {**_TWO_LAYERS, **_LINEAR, **_STREET},
    "backbone": {"model.width": 4, **_LINEAR, "warmup.steps": 0, **_STREET},
    "data_pair": {**_TWO_LAYERS, **_LINEAR, "warmup.steps": 0, "data.count": 2},
    "head": {**_TWO_LAYERS, "model.head_channels": 4, "warmup.steps": 0, **_STREET},
    "term": {**_TWO_LAYERS, **_LINEAR, **_STREET, "checkpoint_every": 1},
}
"""What makes a run of each example tiny."""

STEPS = {
    "source_batch_size": 2,
    "target_batch_size": 2,
    "evaluation_batch_size": 2,
    "supervised.steps": 2,
    "warmup.steps": 2,
    "selector.steps": 2,
    "round.steps": 2,
    "rounds": 1,
    "joint.steps": 6,
    "joint.query_steps": (3,),
    "preview_images": 1,
}

REGISTERED = {
    "acquisition_function": ("acquisition", "method", "free_energy"),
    "backbone": ("model", "backbone", "convnext"),
    "data_pair": (None, "pair", "day_night"),
    "head": ("model", "head", "all_mlp"),
    "term": (None, "method", "hidden_blocks"),
}
"""Where the config of each example names what the example registers."""

KINDS = {
    "acquisition_function": "acquisition method 'free_energy'",
    "backbone": "backbone 'convnext'",
    "data_pair": "data pair 'day_night'",
    "head": "head 'all_mlp'",
    "term": "term 'hidden_blocks'",
}


class User:
    """Somebody who has installed the wheel, and copied the examples into an empty folder."""

    def __init__(self, folder, installed):
        self.folder, self.site, self._finished = folder, installed.site, {}
        for path in EXTENSIONS:
            shutil.copy(path, folder)
        self.python = functools.partial(installed.python, cwd=folder)
        self.labor_jax = functools.partial(installed.labor_jax, cwd=folder)

    def run(self, example):
        """Runs or resumes an example, tiny; returns what it printed and its summary."""
        overrides = {**STEPS, **SETTINGS[example]}
        result = self.labor_jax(
            "run",
            f"{example}.py",
            f"--workdir=runs/{example}",
            *(f"--config.{field}={value}" for field, value in overrides.items()),
        )
        return result.stdout, json.loads((self.workdir(example) / "summary.json").read_text())

    def finished(self, example):
        """Runs an example once; returns the same as `run`."""
        if example not in self._finished:
            self._finished[example] = self.run(example)
        return self._finished[example]

    def workdir(self, example):
        return self.folder / "runs" / example


@pytest.fixture(scope="module")
def user(tmp_path_factory, installed):
    return User(tmp_path_factory.mktemp("user"), installed)


@pytest.fixture(
    scope="module",
    params=all_but(["acquisition_function"], [path.stem for path in EXTENSIONS]),
)
def run(request, user):
    """An example's name, what its run printed, and its summary."""
    return request.param, *user.finished(request.param)


def test_the_user_has_the_wheel_and_not_the_repository(user):
    printed = user.python("-c", "import labor_jax; print(labor_jax.__file__)").stdout
    assert printed.startswith(str(user.site))


def test_the_installed_help_lists_commands_configs_and_pairs(user):
    printed = user.labor_jax("--help").stdout
    for name in ("run", "evaluate", "predict", "annotate", "spl", "active", "street", "folders"):
        assert f"\n  {name} " in printed


def test_every_example_is_tested():
    assert [path.stem for path in EXTENSIONS] == sorted(SETTINGS) == sorted(REGISTERED)


@pytest.mark.parametrize("path", EXTENSIONS, ids=lambda path: path.stem)
def test_an_example_has_at_most_thirty_lines_of_code(path):
    text = path.read_text()
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(text.splitlines(), start=1)
    assert sum(bool(line.strip()) and number not in docstrings for number, line in lines) <= 30


def test_an_example_runs_and_its_run_is_named_by_what_it_registers(run, user):
    example, printed, summary = run
    config = json.loads((user.workdir(example) / "config.json").read_text())
    section, field, name = REGISTERED[example]
    assert (config[section] if section else config)[field] == name
    assert summary["final_miou"] is not None and len(summary["rounds"]) == 1
    title = f"{summary['method']} on {summary['pair']}, seed 0"
    assert title in printed
    assert title in (user.workdir(example) / "report.html").read_text()
    if example in ("acquisition_function", "term"):
        assert summary["method"] == name
    if example == "data_pair":
        assert summary["pair"] == name and set(summary["per_class_iou"]) == {"ground", "sky", "orb"}


def test_evaluating_a_run_needs_its_extension_and_says_so(run, user):
    example, _, summary = run
    evaluate = ("evaluate", f"--workdir=runs/{example}")
    without = user.labor_jax(*evaluate, check=False)
    assert without.returncode == 1
    assert f"the {KINDS[example]}" in without.stderr and "--extension FILE" in without.stderr
    assert "Traceback" not in without.stderr
    with_it = user.labor_jax(*evaluate, f"--extension={example}.py")
    assert f"{100 * summary['final_miou']:.2f}%" in with_it.stdout


def predict(user, example, *extension):
    options = (f"--images=runs/{example}/previews", f"--output=predicted/{example}")
    user.labor_jax("predict", f"--workdir=runs/{example}", *options, *extension)
    return list((user.folder / "predicted" / example).rglob("*_overlay.jpg"))


@pytest.mark.slow
def test_a_run_with_a_network_of_ones_own_predicts_with_the_extension(user):
    user.finished("backbone")
    assert predict(user, "backbone", "--extension=backbone.py")


@pytest.mark.slow
def test_a_run_on_a_pair_of_ones_own_predicts_without_it(user):
    user.finished("data_pair")
    assert predict(user, "data_pair")


@pytest.mark.slow
def test_a_run_resumes_with_what_a_term_keeps(user):
    _, whole = user.finished("term")
    workdir = user.workdir("term")
    last = max(map(int, os.listdir(workdir / "checkpoints")))
    assert (workdir / "checkpoints" / str(last - 1)).exists()  # in the midst of the round
    shutil.rmtree(workdir / "checkpoints" / str(last))
    (workdir / "summary.json").unlink()
    _, resumed = user.run("term")
    assert resumed["final_miou"] == whole["final_miou"]
    assert resumed["per_class_iou"] == whole["per_class_iou"]


def test_a_pair_of_ones_own_is_used_by_any_config_once_its_file_is_named(user):
    described = (
        "import labor_jax.config_argument as c, labor_jax.user_files as f;"
        "f.load('data_pair.py'); print(c.load('ppl:day_night').data.count)"
    )
    assert user.python("-c", described).stdout.split() == ["64"]
