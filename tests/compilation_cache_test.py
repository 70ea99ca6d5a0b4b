"""Programs kept on disk: which folder, and that a second process finds them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labor_jax import compilation_cache
from tests.slow import all_but

PROGRAM = """
import sys
import jax

if sys.argv[2] == "late":
    jax.jit(lambda x: x + 1)(1.0)
from labor_jax import compilation_cache
assert not jax.config.jax_compilation_cache_dir
compilation_cache.enable(sys.argv[1])

@jax.jit
def doubled(x):
    return 2 * x

found = []
jax.monitoring.register_event_listener(lambda event, **_: found.append(event))
doubled(1.0)
print(found.count("/jax/compilation_cache/cache_hits"))
"""


def hits(path, when="early"):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), when],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr and "machine" not in result.stderr.lower()
    return int(result.stdout)


@pytest.mark.parametrize("when", all_but(["late"], ["early", "late"]))
def test_a_second_process_finds_what_the_first_compiled(when, tmp_path):
    assert hits(tmp_path / "kept", when) == 0
    assert hits(tmp_path / "kept", when) >= 1


@pytest.mark.slow
def test_an_empty_path_keeps_nothing():
    assert hits("") == 0
    assert hits("") == 0


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path, caplog):
    (tmp_path / "file").touch()
    assert compilation_cache._made(tmp_path / "file" / "x") is None
    (line,) = caplog.messages
    assert "can't be kept" in line and "config.compilation_cache" in line


def test_the_folder_honours_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compilation_cache.folder("~/.cache/a/b").parent == tmp_path / "a" / "b"
    assert compilation_cache.folder("/elsewhere").parent == Path("/elsewhere")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert compilation_cache.folder("~/.cache/a").parent == Path.home() / ".cache" / "a"
