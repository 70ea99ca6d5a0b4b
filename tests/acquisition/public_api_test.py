import subprocess
import sys

from labor_jax import acquisition


def test_every_exported_name_exists():
    assert all(hasattr(acquisition, name) for name in acquisition.__all__)
    assert len(set(acquisition.__all__)) == len(acquisition.__all__)


def test_import_is_pure():
    """The core needs NumPy and JAX alone."""
    code = (
        "import sys\n"
        "from labor_jax import acquisition\n"
        "shell = {'flax', 'optax', 'orbax', 'ml_collections', 'grain', 'sqlite3', 'PIL'}\n"
        "print(sorted(shell & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
