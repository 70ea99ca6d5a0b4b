"""What the commands share, and `labor-jax COMMAND`."""

import asyncio
import errno
import importlib
import logging
import subprocess
import sys
import types

import pytest
from absl import flags

from labor_jax import __main__ as labor_jax_command
from labor_jax import command_line, recipes
from tests import fork_server
from tests.conftest import ROOT


def labor_jax(*arguments, folder=ROOT):
    """Runs the command of the console script."""
    return fork_server.run(
        [
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[1:] = "
            f"{[str(each) for each in arguments]!r}; from labor_jax.__main__ import main; "
            "sys.exit(main())",
        ],
        cwd=folder,
    )


def test_the_errors_that_are_shown_without_traceback_exist():
    for module, name in command_line._USER_ERRORS.items():
        assert issubclass(getattr(importlib.import_module(module), name), Exception)
    assert len(command_line._user_errors()) == len(command_line._USER_ERRORS)


def test_help_lists_commands_configs_and_pairs():
    shown = labor_jax("--help").stdout
    for word in (*labor_jax_command.COMMANDS, *recipes.NAMES, "street", "camvid", "folders"):
        (line,) = (each for each in shown.splitlines() if each.startswith(f"  {word} "))
        assert len(line.split()) > 3


@pytest.mark.parametrize("command", labor_jax_command.COMMANDS)
def test_every_command_says_its_flags(command):
    result = labor_jax(command, "--help")
    assert result.returncode == 0, result.stderr
    usage = result.stdout.splitlines()[0]
    assert usage.startswith(f"Usage: labor-jax {command} ") and usage.endswith(" [FLAGS]")
    assert "  --extension=EXTENSION " in result.stdout
    overwrites = command in ("predict", "frames", "strip", "export")
    assert ("  --overwrite " in result.stdout) == overwrites
    assert ("--workdir" in result.stdout) == (command not in ("build_dataset", "check", "frames"))
    assert str(ROOT) not in result.stdout and "repeat this option" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "spl", "--rounds=4"), "There is no flag --rounds. Did you mean --config.rounds?"),
        (("run", "--config.seed=1"), "as in labor-jax run spl --config.seed=VALUE"),
        (("run", "spl", "camvid"), "A pair stands behind a colon, as in spl:camvid."),
        (("run",), "Name an experiment, as in labor-jax run spl."),
        (("exchange", "--rund=3"), "There is no flag --rund. Did you mean --round?"),
        (("annotate", "runs/mine"), "as in labor-jax annotate --workdir runs/mine"),
        (("annotate", "--workdir=x", "--port=80000"), "--port is 80000; it lies from 0 to 65535"),
        (("frames", "drive", "--output=o", "--min-difference=999"), "--min_difference is 999.0"),
        (("frames", "drive", "--output=o"), "drive is a folder; name its videos"),
    ],
)
def test_a_slip_gets_the_right_words(arguments, says, tmp_path):
    (tmp_path / "drive").mkdir()
    result = labor_jax(*arguments, folder=tmp_path)
    assert result.returncode == 1 and says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_help_of_a_config_lists_its_fields(tmp_path):
    (tmp_path / "mine.py").write_text(EXTENSION)
    shown = labor_jax("run", "random:rain", "--extension", "mine.py", "-h", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "Fields of random on rain, with their values:" in shown.stdout
    assert "--config.acquisition.points=3 " in shown.stdout
    module = fork_server.run(
        ["-m", "labor_jax.main", "--config=spl", "--config.rounds=7", "--help"], cwd=ROOT
    )
    assert module.returncode == 0, module.stderr
    assert "--config.rounds=7 " in module.stdout  # the command's own overrides are in it
    assert "LabOR" in module.stdout
    wrong = labor_jax("run", "slp", "--help")
    assert wrong.returncode == 1 and "Did you mean spl?" in wrong.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("run", "spl", "--help"), ("report", "-h")])
def test_output_may_be_cut_off(arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "labor_jax", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()  # as `| head` does
    assert process.stderr.read() == ""
    process.wait()


def test_an_unknown_command_lists_the_valid_ones():
    result = labor_jax("evalaute")
    assert result.returncode == 1
    assert "Did you mean evaluate?" in result.stderr and "run, evaluate" in result.stderr


EXTENSION = """
import numpy as np
import labor_jax

@labor_jax.acquisition.register("brightest_logit")
def brightest_logit(logits):
    return logits.max(axis=-1)

def images_and_labels(count):
    generator = np.random.default_rng(0)
    return (
        generator.integers(0, 256, (count, 32, 32, 3), np.uint8),
        generator.integers(0, 2, (count, 32, 32), np.uint8),
    )

def defaults(config):
    \"\"\"Tiny.\"\"\"
    config.update(source_batch_size=2, target_batch_size=2, evaluation_batch_size=2, rounds=1)
    config.model.update(
        backbone="two_layers", width=4, output_stride=4, head="linear", head_channels=4
    )
    config.acquisition.points = 3
    config.supervised.steps = config.round.steps = 2
    config.warmup.steps = 0

@labor_jax.data.register_pair("rain", defaults=defaults)
def load(config, roles):
    \"\"\"Rain.\"\"\"
    return labor_jax.data.pair_from_arrays(
        "rain",
        ("dry", "wet"),
        source=images_and_labels(4),
        pool=images_and_labels(4),
        evaluation=images_and_labels(2),
    )
"""


@pytest.mark.slow
def test_an_extension_registers_what_a_config_names(tmp_path):
    (tmp_path / "mine.py").write_text(EXTENSION)
    extension = f"--extension={tmp_path / 'mine.py'}"
    method = ("--config.acquisition.method=brightest_logit", "--config.acquisition.fraction=0")
    run = ("run", "random:rain", *method, "--workdir=run")
    result = labor_jax(*run, folder=tmp_path)
    assert result.returncode == 1 and "--extension FILE" in result.stderr

    result = labor_jax(*run, extension, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "brightest_logit" in result.stdout and "rain" in result.stdout

    result = labor_jax("evaluate", "--workdir=run", folder=tmp_path)
    assert result.returncode == 1
    assert "method 'brightest_logit' and the data pair 'rain', which are not reg" in result.stderr
    assert "Traceback" not in result.stderr
    result = labor_jax("evaluate", "--workdir=run", extension, folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].startswith("dry")


def test_an_extension_that_registers_what_is_taken_is_one_sentence(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import labor_jax\nlabor_jax.acquisition.register('entropy')(lambda logits: logits)"
    )
    result = labor_jax("predict", "--extension=mine.py", folder=tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("--extension=mine.py: ") and "'entropy'" in line


def caught(call):
    """The error that a call raises."""
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def closed_loop():
    """An error of a closed event loop, whose traceback starts in asyncio, as TensorStore's does."""
    loop = asyncio.new_event_loop()
    loop.close()
    error = caught(lambda: loop.call_soon_threadsafe(print))
    trace = error.__traceback__
    while "asyncio" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return error.with_traceback(trace)


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (closed_loop(), False),
        (caught(lambda: int("x")), True),
        (RuntimeError("Event loop is closed"), True),  # somebody else's
    ],
)
def test_only_what_tensorstore_leaves_behind_is_not_printed(error, printed, monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "__unraisablehook__", shown.append)
    found = types.SimpleNamespace(exc_value=error, exc_traceback=error.__traceback__)
    command_line._report_unraisable(found)
    assert shown == ([found] if printed else [])


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (ValueError("Failed to write: No space left on device [os_error_code='28']"), False),
        (OSError(errno.EIO, "Input/output error"), True),
        (None, True),
    ],
)
def test_asyncio_does_not_repeat_a_full_disk(error, logged):
    info = None if error is None else (type(error), error, None)
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "never retrieved", (), info)
    assert command_line._is_no_full_disk(record) == logged


def test_commands_are_written_as_the_process_was_started(monkeypatch):
    assert command_line.words("annotate") == ["python", "-m", "labor_jax.annotate"]
    assert command_line.words("run") == ["python", "-m", "labor_jax.main"]
    monkeypatch.setattr(command_line, "called_by_name", True)
    assert command_line.words("run") == ["labor-jax", "run"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--label_maps"], True),
        (["--label-maps=false"], False),
        (["--nolabel-maps"], False),
        (["--nolabel_maps"], False),
    ],
)
def test_hyphens_stand_for_the_underscores_of_a_flag(arguments, expected, monkeypatch):
    known = flags.FlagValues()
    flags.DEFINE_bool("label_maps", True, "", flag_values=known)
    monkeypatch.setattr(command_line.flags, "FLAGS", known)
    monkeypatch.setattr(sys, "argv", [sys.argv[0], *arguments])
    known.register_key_flag_for_module(sys.argv[0], known["label_maps"])
    for _ in range(2):  # also of a second command in one process
        command_line._accept_hyphens()
    known(sys.argv)
    assert known.label_maps == expected


@pytest.mark.parametrize("text", ["360,640", "360x640", "(360, 640)"])
def test_a_size_is_read_as_people_write_it(text):
    assert command_line.parse_size(text) == (360, 640)
    assert command_line.parse_size(None) is None
