"""The page's scripts that need no browser, tested in their own language."""

import shutil
import subprocess
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent


@pytest.mark.skipif(not shutil.which("node"), reason="needs node, which is not on PATH")
@pytest.mark.parametrize("file", sorted(_FOLDER.glob("*.test.mjs")), ids=lambda file: file.name)
def test_script(file):
    result = subprocess.run(
        ["node", "--test", file.name],
        cwd=_FOLDER,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
