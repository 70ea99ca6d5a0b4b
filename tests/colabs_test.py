"""The notebooks run as they are, but for settings small enough for a test.

Each runs in an empty folder, with the package and nothing else of the repository.
"""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NETWORK = """
config.model.update(backbone="two_layers", width=4, output_stride=4, head="linear", pretrained="")
config.update(source_batch_size=2, target_batch_size=2, evaluation_batch_size=2)
config.supervised.steps = config.warmup.steps = config.selector.steps = config.round.steps = 2
config.terms.adversarial.width = 4
config.log_every = 1
config.preview_images = 1
"""
SCENES = """
config.data.update(image_size=(32, 64), source_count=4, pool_count=2, evaluation_count=2)
"""
TINY = {
    "labor_in_ten_minutes": [f"{NETWORK}{SCENES}config.rounds = 2"],
    "acquisition_on_your_logits": ["SIZE = (32, 64)"],
    "your_own_photos": [
        f"{NETWORK}COUNTS = dict(source=4, pool=2, evaluation=2)\nconfig.data.long_side = 64"
    ],
    "many_devices": ["SIMULATED = 2", f"{NETWORK}{SCENES}"],
}
"""What follows the settings of each notebook."""


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Runs a notebook that was made tiny; returns what its cells printed and their pictures."""
    site, folder = tmp_path / "site", tmp_path / "empty"
    site.mkdir()
    folder.mkdir()
    (site / "labor_jax").symlink_to(ROOT / "labor_jax")
    monkeypatch.setenv("PYTHONPATH", str(site))

    def execute(name):
        notebook = nbformat.read(ROOT / "colabs" / f"{name}.ipynb", as_version=4)
        tiny = iter(TINY[name])
        for cell in notebook.cells:
            if "settings" in cell.metadata.get("tags", ()):
                cell.source += f"\n{next(tiny)}"
        assert next(tiny, None) is None
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        printed = "".join(output.get("text", "") for output in outputs)
        pictures = sum("image/png" in output.get("data", ()) for output in outputs)
        return printed, pictures, folder

    return execute


@pytest.mark.slow
def test_labor_in_ten_minutes(executed):
    printed, pictures, folder = executed("labor_in_ten_minutes")
    assert pictures == 6
    assert "After round 2" in printed and "round 2: mIoU" in printed
    assert (folder / "runs/spl_street/rounds/report.html").exists()


@pytest.mark.slow
def test_acquisition_on_your_logits(executed):
    printed, pictures, _ = executed("acquisition_on_your_logits")
    assert pictures == 6
    assert "asked twice: 0" in printed and "ripu_pa" in printed


@pytest.mark.slow
def test_your_own_photos(executed):
    printed, pictures, folder = executed("your_own_photos")
    assert pictures == 2
    assert "Round 1 waits for the answers to 2 images" in printed
    assert "round 2: " in printed
    assert (folder / "model.zip").stat().st_size > 1000


@pytest.mark.slow
def test_many_devices(executed):
    printed, _, _ = executed("many_devices")
    assert "images 1 to 1" in printed and "each of the 2 devices has all" in printed
    one, every = re.search(r"loss at step   1: (\S+) and (\S+)", printed).groups()
    assert float(one) == pytest.approx(float(every), abs=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_it_is_kept_without_output_and_begins_with_badge_and_installation(name):
    notebook = nbformat.read(ROOT / "colabs" / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    path = f"{address.removeprefix('https://')}/blob/main/colabs/{name}.ipynb"
    assert path.replace(".com/", "/") in notebook.cells[0].source.splitlines()[0]
    assert f'REPOSITORY = "{address}"' in code[0].source


def test_installing_keeps_jax_and_numpy(monkeypatch):
    notebook = nbformat.read(ROOT / "colabs" / "your_own_photos.ipynb", as_version=4)
    *lines, install = next(c for c in notebook.cells if c.cell_type == "code").source.splitlines()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    names = {}
    exec("\n".join(lines), names)
    pins = Path(names["constraints"].name).read_text().splitlines()
    Path(names["constraints"].name).unlink()
    versions = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")}
    assert {f"{name}=={version}" for name, version in versions.items()} <= set(pins)
    assert "--constraint {constraints.name}" in install and "%pip install" in install
    assert "{PACKAGE} @ git+{REPOSITORY}" in install


def test_there_is_a_test_of_each_notebook():
    assert {path.stem for path in (ROOT / "colabs").glob("*.ipynb")} == set(TINY)
