"""`labor-jax report`: the report of a run that is over, waits, or was stopped."""

import json
import os

import pytest

from labor_jax import experiment
from labor_jax.experiment import session
from labor_jax.experiment.report import current
from labor_jax.experiment.workdir import ConfigError
from tests import fork_server
from tests.conftest import ROOT
from tests.finished_runs import write_run
from tests.runs import interrupt_training
from tests.tiny import tiny_config

KINDS = ("html", "md", "csv")


def report(*arguments, env=None):
    return fork_server.run(["-m", "labor_jax.report", *arguments], cwd=ROOT, env=env)


def human_config():
    config = tiny_config("ripu_ra")
    config.annotator = "human"
    return config


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    """A run that waits for answers, like one that was stopped in its first phase but for that."""
    path = tmp_path_factory.mktemp("runs") / "waiting"
    with pytest.raises(experiment.RoundWaits):
        experiment.run(human_config(), path)
    return path


@pytest.mark.slow
def test_a_finished_runs_report_is_written_again(tmp_path):
    config = tiny_config("warmup")
    experiment.run(config, tmp_path)
    before = (tmp_path / "report.html").read_text()
    (tmp_path / "report.html").unlink()
    assert current.write(tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text() == before
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**described, "pair": "mine"}))
    current.write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "There are no pictures." in page and "--extension FILE" in page and "<img" not in page
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(ConfigError, match=r"summary\.json is damaged"):
        current.write(tmp_path)


def test_a_waiting_run_has_a_report(waiting, tmp_path):
    result = report(waiting, "--output", tmp_path / "r.html")
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'r.html'}\n"), result.stderr
    page = (tmp_path / "r.html").read_text()
    assert "The run waits in round 1: 0 of 4 images are answered." in page
    assert "before round 1" in page and "<img" in page
    # The run wrote the same before it stopped.
    assert (waiting / "report.html").read_text() == page
    assert not (waiting / "summary.json").exists()


@pytest.mark.slow
def test_a_stopped_run_says_its_phase(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "_REPORT_EVERY", 0.0)  # else there is none before the run's end
    interrupt_training(tiny_config("spl"), tmp_path, "warmup", 2)
    assert "its last checkpoint is of phase supervised" in (tmp_path / "report.html").read_text()
    current.write(tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "The run is not over; its last checkpoint is of phase" in page
    assert "<td>source-only</td>" in page and "<td>warm-up</td>" not in page


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Give the workdir of a run"),
        (("a", "b", "--output=c.md"), "name an .html file"),
        (("RUN", "--workdir=RUN"), "is the only run named"),
        (("/no/such/run",), "holds no run"),
        (("RUN", "--output=/no/such/folder/r.html"), "There is no /no."),
        (("RUN", "--output=RUN"), "is a folder; --output names a file"),
        (
            ("RUN", "--output=RUN/config.json/r.html"),
            "config.json is a file; the output needs a folder",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(arguments, says, waiting):
    result = report(*(each.replace("RUN", str(waiting)) for each in arguments))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert says in line and ".tmp" not in line
    assert json.loads((waiting / "config.json").read_text())


def test_several_runs_are_compared(tmp_path):
    runs = [write_run(tmp_path / str(seed), seed=seed, miou=0.5 + seed / 10) for seed in (0, 1)]
    runs[1] = f"~/{runs[1].name}"
    environment = {**os.environ, "HOME": str(tmp_path)}
    result = report(*runs, tmp_path / "none", "--output=~/c.html", env=environment)
    assert result.returncode == 0, result.stderr
    assert f"left out: {tmp_path / 'none'} holds no run" in result.stderr
    assert "| 50.0 | 60.0 | 55.0 |" in result.stdout
    assert result.stdout.endswith(", ".join(str(tmp_path / f"c.{kind}") for kind in KINDS) + "\n")
    assert all((tmp_path / f"c.{kind}").stat().st_size for kind in KINDS)


@pytest.mark.slow
def test_files_of_others_are_not_replaced(tmp_path, waiting):
    runs = [write_run(tmp_path / str(seed), seed=seed, miou=0.5 + seed / 10) for seed in (0, 1)]
    (tmp_path / "c.md").write_text("mine")
    compared, single = (f"--output={tmp_path}/c.{kind}" for kind in ("html", "md"))
    for arguments in ((*runs, compared), (waiting, single)):
        result = report(*arguments)
        assert result.returncode == 1 and "labor-jax did not write it" in result.stderr
    assert (tmp_path / "c.md").read_text() == "mine" and not (tmp_path / "c.html").exists()
    for _ in range(2):  # its own ones are
        assert report(*runs, f"--output={tmp_path}/d.html").returncode == 0
        assert report(waiting, f"--output={tmp_path}/e.html").returncode == 0
        assert report(waiting, f"--output={waiting}/report.html").returncode == 0


def test_a_run_without_results_says_so(tmp_path, waiting):
    (tmp_path / "config.json").write_text((waiting / "config.json").read_text())
    with pytest.raises(ConfigError, match="has no result yet"):
        current.write(tmp_path)
