"""The devices by name, and what is said if they are missing or not used."""

import logging
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import jax
import pytest

from labor_jax import devices
from tests.conftest import ROOT


def device(kind, platform="gpu", process=0):
    return types.SimpleNamespace(device_kind=kind, platform=platform, process_index=process)


@pytest.mark.parametrize(
    ("present", "dtype", "described"),
    [
        ([device("cpu", "cpu")], "float32", "1 CPU, float32"),
        ([device("NVIDIA H100 80GB HBM3")] * 4, "bfloat16", "4 NVIDIA H100 80GB HBM3, bfloat16"),
        (
            [device("TPU v4", "tpu", process) for process in (0, 0, 1, 1)],
            "float32",
            "4 TPU v4 in 2 processes, float32",
        ),
    ],
)
def test_a_description_names_device_number_and_precision(present, dtype, described):
    assert devices.describe(present, dtype) == described


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with an NVIDIA driver on which nobody has told JAX anything."""
    (tmp_path / "nvidia-smi").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    told = jax.config.jax_platforms
    jax.config.update("jax_platforms", None)
    yield monkeypatch
    jax.config.update("jax_platforms", told)


def test_an_unused_gpu_is_a_warning_with_the_command(machine, caplog):
    assert devices.has_nvidia_driver()
    devices.warn_of_unused_gpu([device("cpu", "cpu")])
    assert "pip install -U 'jax[cuda12]'" in caplog.text and "JAX_PLATFORMS=cpu" in caplog.text


@pytest.mark.parametrize("why", ["the GPU is used", "told", "hidden", "no driver"])
def test_no_warning_without_reason(why, machine, caplog):
    present = [device("cpu", "cpu")]
    if why == "the GPU is used":
        present = [device("NVIDIA H100")]
    elif why == "told":
        jax.config.update("jax_platforms", "cpu")
    elif why == "hidden":
        machine.setenv("CUDA_VISIBLE_DEVICES", "")
    else:
        machine.setattr(devices, "has_nvidia_driver", lambda: False)
    with caplog.at_level(logging.DEBUG):
        devices.warn_of_unused_gpu(present)
    assert not caplog.text


def test_a_driver_is_found_by_its_files(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for there in (True, False):
        monkeypatch.setattr(Path, "exists", lambda path, there=there: there)
        assert devices.has_nvidia_driver() == there


def test_whether_jax_would_use_nvidia_is_known_without_starting_it(machine):
    installed = []
    machine.setattr(devices.importlib.util, "find_spec", lambda name: name in installed or None)
    assert not devices.uses_nvidia()
    installed.append("jax_cuda12_plugin")
    assert devices.uses_nvidia()
    jax.config.update("jax_platforms", "cpu")
    assert not devices.uses_nvidia()
    jax.config.update("jax_platforms", "cuda,cpu")
    assert devices.uses_nvidia()


def run_with(platform, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "labor_jax", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": platform},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("platform", "says"),
    [
        ("cuda", "pip install -U 'jax[cuda12]'"),
        pytest.param("tpu", "pip install -U 'jax[tpu]'", marks=pytest.mark.slow),
        pytest.param("cdua", "", marks=pytest.mark.slow),
    ],
)
def test_missing_devices_are_one_sentence(platform, says, tmp_path):
    if platform != "cdua" and any(each.platform in ("gpu", "tpu") for each in jax.devices()):
        pytest.skip("this machine has an accelerator")
    result = run_with(platform, "run", "spl", "--workdir", str(tmp_path / "run"))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert f"JAX_PLATFORMS is {platform!r}" in line and "JAX_PLATFORMS=cpu" in line and says in line
    assert not (tmp_path / "run").exists()
