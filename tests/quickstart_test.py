"""The notebook runs as it is, but for a config small enough for a test."""

import nbformat
from nbclient import NotebookClient

from tests.conftest import ROOT

SHRINK = """
from tests.tiny import tiny_config
config = tiny_config("spl")
import tempfile
workdir = Path(tempfile.mkdtemp()) / "quickstart"
"""


def test_quickstart_runs():
    notebook = nbformat.read(ROOT / "colabs" / "quickstart.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    cells[0].source += SHRINK
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": ROOT}}).execute()
    printed = "".join(
        output.get("text", "") for cell in cells for output in cell.get("outputs", [])
    )
    assert "round 2" in printed
    drawn = [output for output in cells[3].outputs if "image/png" in output.get("data", {})]
    assert len(drawn) == 1
