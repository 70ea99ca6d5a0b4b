"""`import labor_jax` is light, and what it offers is imported on use."""

import subprocess
import sys

import pytest

import labor_jax


def in_a_new_process(code):
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_importing_the_package_imports_no_jax():
    heavy = "[name for name in ('jax', 'flax', 'numpy', 'absl') if name in sys.modules]"
    assert in_a_new_process(f"import sys, labor_jax; print(*{heavy})") == []


def test_losses_and_acquisition_need_no_import_of_their_own():
    used = in_a_new_process(
        "import sys, labor_jax; labor_jax.losses.cross_entropy; labor_jax.acquisition.ripu;"
        "print('jax' in sys.modules, 'labor_jax.models' in sys.modules, 'flax' in sys.modules)"
    )
    assert used == ["True", "False", "False"]


@pytest.mark.parametrize("name", labor_jax.__all__)
def test_everything_that_is_offered_exists(name):
    assert getattr(labor_jax, name) is not None
    assert name in dir(labor_jax)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lossses'"):
        labor_jax.lossses  # noqa: B018
