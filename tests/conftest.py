"""What the tests share: a run small enough to be made in seconds."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The same little programs are compiled by many tests and by the processes that they start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
