"""`import labor_jax` is light, and what it offers is imported on use."""

import ast
import subprocess
import sys

import pytest

import labor_jax
from tests.conftest import ROOT


def in_a_new_process(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_importing_the_package_imports_no_jax():
    heavy = "[name for name in ('jax', 'flax', 'numpy', 'absl') if name in sys.modules]"
    assert in_a_new_process(f"import sys, labor_jax; print(*{heavy})") == []


def test_predictions_import_neither_charts_nor_clustering():
    slow = "[name for name in ('matplotlib', 'scipy.cluster') if name in sys.modules]"
    code = f"import sys, labor_jax; labor_jax.load; labor_jax.get_config('spl'); print(*{slow})"
    assert in_a_new_process(code) == []


def test_losses_and_acquisition_need_no_import_of_their_own():
    used = in_a_new_process(
        "import sys, labor_jax; labor_jax.losses.cross_entropy; labor_jax.acquisition.ripu;"
        "print('jax' in sys.modules, 'labor_jax.models' in sys.modules, 'flax' in sys.modules)"
    )
    assert used == ["True", "False", "False"]


def test_the_help_of_all_commands_imports_no_jax():
    code = (
        "import sys, contextlib, io; sys.argv[1:] = ['--help']; from labor_jax import __main__;"
        "contextlib.redirect_stdout(io.StringIO()).__enter__(); __main__.main();"
        "sys.stdout = sys.__stdout__; print('jax' in sys.modules, 'flax' in sys.modules)"
    )
    assert in_a_new_process(code) == ["False", "False"]


@pytest.mark.parametrize("command", [True, False])
def test_an_older_python_is_one_sentence(command):
    """As Python 3.10 would run the package's first lines."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.version_info = (3, 10, 1);"
        f"sys.argv = ['{'/usr/bin/labor-jax' if command else 'script.py'}']; import labor_jax"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    *trace, line = result.stderr.splitlines()
    assert result.returncode == 1
    assert line.endswith("needs Python 3.11 or newer; this is Python 3.10. Install a newer one.")
    assert bool(trace) != command


def test_the_first_file_is_readable_for_older_pythons():
    ast.parse((ROOT / "labor_jax" / "__init__.py").read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("name", labor_jax.__all__)
def test_everything_that_is_offered_exists(name):
    assert getattr(labor_jax, name) is not None
    assert name in dir(labor_jax)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lossses'"):
        labor_jax.lossses  # noqa: B018
