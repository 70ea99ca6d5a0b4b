"""What the tests share: a run small enough to be made in seconds."""

import gc
import os
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# The same little programs are compiled by many tests and by the processes that they start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

# Much of compiling is LLVM's optimisations, and as much the setting up of MLIR for each fusion.
# `XLA_FLAGS= make test` runs with both, as the tests of eight devices do by their own flags.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
)

# Tracing makes so many objects that Python looked for garbage a tenth of the time.
gc.set_threshold(50_000, 20, 50)

# The whole suite in minutes, on however slow a machine; `--hypothesis-profile=default` looks at 100
# examples of each property.
hypothesis.settings.register_profile("suite", max_examples=25, deadline=None)
hypothesis.settings.load_profile("suite")


def pytest_collection_finish():
    """What is imported by now is no garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_programs():
    """Each compiled program holds memory maps, of which Linux gives a process 65,530."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The package as somebody has it who installed the wheel, see `tests.installed`."""
    from tests.installed import Installed

    return Installed(tmp_path_factory.mktemp("installed"))
