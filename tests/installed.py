"""What somebody has who installed the wheel: the package alone, no repository."""

import os
import shutil
import subprocess
import sys

from tests import fork_server
from tests.conftest import ROOT


class Installed:
    """The package, built and installed into a folder as from a wheel."""

    def __init__(self, folder):
        project = folder / "project"  # building would leave files in the repository
        project.mkdir()
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, project)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "labor_jax", project / "labor_jax", ignore=ignored)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        wheels, self.site = folder / "wheels", folder / "site"
        options = ["--no-deps", "--no-build-isolation"]
        subprocess.run([*pip, "wheel", project, *options, "--wheel-dir", wheels], check=True)
        (wheel,) = wheels.iterdir()
        subprocess.run([*pip, "install", "--no-deps", "--target", self.site, wheel], check=True)

    def start(self, *arguments, cwd):
        """Starts Python in a folder, with the installed package alone."""
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start_labor_jax(self, *arguments, cwd):
        """Starts the console script in a folder."""
        return self.start(self.site / "bin" / "labor-jax", *arguments, cwd=cwd)

    def python(self, *arguments, cwd, check=True):
        """Runs Python in a folder; returns its output, errors and exit status."""
        result = fork_server.run(arguments, cwd=cwd, env=self._environment())
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    def labor_jax(self, *arguments, cwd, check=True):
        """Runs the console script in a folder; returns the same as `python`."""
        return self.python(self.site / "bin" / "labor-jax", *arguments, cwd=cwd, check=check)

    def _environment(self):
        return {**os.environ, "PYTHONPATH": str(self.site)}
