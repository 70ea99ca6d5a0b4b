"""Running experiments as processes: on which cores, what is started, and what of failures."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import runner
from benchmarks.runner import Run, RunError
from labor_jax import config_argument
from labor_jax.experiment.workdir import Workdir
from tests.conftest import ROOT

FINISHES = "pathlib.Path(sys.argv[1], 'summary.json').write_text('{}')"


@pytest.fixture
def started(monkeypatch):
    """Puts `overrides["code"]` in the place of training; the names of the runs it was done for."""
    names = []

    def command(run, output):
        names.append(run.name)
        workdir = output / run.name
        workdir.mkdir(exist_ok=True)
        code = f"import os, pathlib, sys, time; {run.overrides['code']}"
        return [sys.executable, "-c", code, str(workdir)]

    monkeypatch.setattr(Run, "command", command)
    monkeypatch.setattr(runner, "load_config", lambda run, output: {"name": run.name})
    return names


def fake(name, code=FINISHES, start=""):
    return Run(name, "configs/spl.py", {"code": code}, start=start)


def use_cores(monkeypatch, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(cores), raising=False)
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: None, raising=False)


def test_the_command_is_mains_with_overrides_last(tmp_path):
    run = Run("a", "configs/spl.py:camvid", {"seed": "1"}, ("--config.data.root=D",), "start_seed1")
    assert run.command(tmp_path) == [
        *(sys.executable, "-m", "labor_jax.main"),
        *("--config", f"{ROOT}/configs/spl.py:camvid"),
        *("--config.data.root=D", "--config.seed=1", f"--config.warm_start={tmp_path}/start_seed1"),
        *("--workdir", f"{tmp_path}/a"),
    ]


@pytest.mark.parametrize(
    ("jobs", "nvidia", "chosen", "share"),
    [
        (2, True, None, "0.45"),
        (7, True, None, "0.128"),
        (1, True, None, None),
        (2, False, None, None),
        (2, True, "0.3", "0.3"),
    ],
)
def test_jobs_share_the_memory_of_a_gpu(
    jobs, nvidia, chosen, share, started, tmp_path, monkeypatch
):
    use_cores(monkeypatch, range(8))
    monkeypatch.setattr(runner.devices, "uses_nvidia", lambda: nvidia)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    if chosen:
        monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", chosen)
    says = f"print(os.environ.get('XLA_PYTHON_CLIENT_MEM_FRACTION')); {FINISHES}"
    assert runner.run_all([fake("a", says)], tmp_path, jobs) == {}
    assert (tmp_path / "a.log").read_text().splitlines()[-1] == str(share)


def test_a_start_ends_before_its_first_query(tmp_path):
    run = runner.start_run("configs/active.py:random", 3, ["--config.data.root=D"])
    assert run.name == "start_seed3"
    assert run.extra == ("--config.data.root=D",)
    config = runner.load_config(run, tmp_path)
    assert (config["seed"], config["rounds"], config["warm_start"]) == (3, 0, "")


def test_a_config_is_found_from_here_first(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "spl.py").touch()
    monkeypatch.chdir(tmp_path)
    command = Run("a", "configs/spl.py", {}).command(tmp_path)
    assert f"{tmp_path}/configs/spl.py:" not in command
    assert str(tmp_path / "configs" / "spl.py") in command


@pytest.mark.parametrize(
    ("config", "method", "pair"),
    [
        ("ripu_ra", "ripu_ra", "street"),
        ("ripu_ra:camvid", "ripu_ra", "camvid"),
        ("active:impurity", "impurity", "street"),
        ("configs/ripu_ra.py", "ripu_ra", "street"),
        ("configs/uda.py:advent,camvid", "advent", "camvid"),
        (f"{ROOT}/configs/active.py:random,camvid", "random", "camvid"),
    ],
)
def test_a_run_gets_a_config_that_its_command_can_load(config, method, pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run("a", config, {})
    command = run.command(tmp_path)
    loaded = config_argument.load(command[command.index("--config") + 1])
    assert (loaded.method, loaded.pair) == (method, pair)
    assert runner.load_config(run, tmp_path) == json.loads(loaded.to_json())


def test_the_config_is_checked_by_the_words_that_a_run_gets(tmp_path, monkeypatch):
    """A file below "~", which the command spells out."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text(
        "from labor_jax.config import get_config as load\ndef get_config(): return load('random')\n"
    )
    loaded = []
    load = config_argument.load
    monkeypatch.setattr(config_argument, "load", lambda name: loaded.append(name) or load(name))
    run = Run("a", "~/mine.py", {})
    runner.load_config(run, tmp_path)
    assert loaded == [str(tmp_path / "mine.py")]
    assert loaded[0] in run.command(tmp_path)


@given(st.sets(st.integers(0, 200), min_size=1), st.data())
def test_jobs_share_the_cores_evenly(cores, data):
    jobs = data.draw(st.integers(1, len(cores)))
    with pytest.MonkeyPatch.context() as patch:
        use_cores(patch, cores)
        groups = runner.core_groups(jobs)
    assert sorted(core for group in groups for core in group) == sorted(cores)
    sizes = [len(group) for group in groups]
    assert len(groups) == jobs
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("jobs", [0, 3])
def test_more_jobs_than_cores_are_refused(jobs, monkeypatch):
    use_cores(monkeypatch, {4, 7})
    with pytest.raises(RunError, match=rf"--jobs is {jobs}.* 2 cores.* give 1 to 2"):
        runner.core_groups(jobs)


def test_without_affinity_the_machines_cores_count(monkeypatch, started, tmp_path):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert runner.core_groups(3) == [[0], [1], [2]]
    assert runner.run_all([fake("a")], tmp_path, 3) == {}


def test_each_job_is_pinned_to_cores_of_its_own(monkeypatch, started, tmp_path):
    pinned = {}
    use_cores(monkeypatch, {1, 3, 5, 7})
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda pid, cores: pinned.update({threading.get_ident(): cores})
    )
    waits = f"time.sleep(0.3); {FINISHES}"
    runner.run_all([fake("a", waits), fake("b", waits)], tmp_path, 2)
    assert sorted(pinned.values()) == [[1, 3], [5, 7]]
    assert threading.get_ident() not in pinned


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_process_keeps_the_cores_of_its_job(started, tmp_path):
    writes = f"print(sorted(os.sched_getaffinity(0))); {FINISHES}"
    assert runner.run_all([fake("a", writes)], tmp_path, 1) == {}
    assert (tmp_path / "a.log").read_text().splitlines()[-1] == str(runner.core_groups(1)[0])


def test_a_failure_leaves_the_others_alone_and_shows_its_last_lines(started, tmp_path):
    fails = "[print(f'line {i}', file=sys.stderr) for i in range(99)]; sys.exit(3)"
    runs = [fake("bad", fails), fake("empty", "pass"), fake("good")]
    problems = runner.run_all(runs, tmp_path, 1)
    assert started == ["bad", "empty", "good"]
    assert problems.keys() == {"bad", "empty"}
    shown = [line.strip() for line in problems["bad"].splitlines()]
    assert shown[:-1] == [f"line {i}" for i in range(99 - runner.TAIL_LINES, 99)]
    assert shown[-1] == f"(exit status 3; {tmp_path / 'bad.log'})"
    assert "without a summary.json" in problems["empty"]


def test_a_second_attempts_log_is_appended_and_told_alone(started, tmp_path):
    runner.run_all([fake("a", "print('first'); sys.exit(1)")], tmp_path, 1)
    problem = runner.run_all([fake("a", "print('second'); sys.exit(1)")], tmp_path, 1)["a"]
    assert "second" in problem
    assert "first" not in problem
    log = (tmp_path / "a.log").read_text()
    assert log.index("first") < log.index("second")


def test_what_needs_a_start_that_failed_is_not_started(started, tmp_path):
    runs = [fake("start", "sys.exit(1)"), fake("a", start="start"), fake("b")]
    problems = runner.run_all(runs, tmp_path, 1)
    assert started == ["start", "b"]
    assert problems["a"] == "not started, since start failed"


def test_a_finished_run_of_the_same_config_is_not_started(started, tmp_path):
    for name, config in (("same", {"name": "same", "log_every": 1}), ("other", {"name": "x"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        (tmp_path / name / "summary.json").write_text("{}")
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "config.json").write_text('{"name": "open"}')
    assert runner.run_all([fake("same"), fake("other"), fake("open")], tmp_path, 1) == {}
    assert started == ["other", "open"]


@pytest.mark.parametrize("field", ["root", "source_root", "target_root"])
def test_a_finished_run_on_other_data_is_started_until_main_takes_them(field, tmp_path):
    folder, config = Workdir(tmp_path), {"data": {field: "/A"}}
    folder.config.write_text(json.dumps(config))
    folder.summary.write_text("{}")
    assert runner.is_finished(folder, config)
    other = {"data": {field: "/B"}}
    assert not runner.is_finished(folder, other)
    folder.config.write_text(json.dumps(other))  # then main refuses the data
    written = folder.summary.stat().st_mtime_ns + 1_000_000
    os.utime(folder.config, ns=(written, written))
    assert not runner.is_finished(folder, other)


def test_a_loaded_config_is_what_main_makes_of_the_flags(tmp_path):
    overrides = {"acquisition.method": "entropy", "data.target_size": "(32, 64)", "seed": "2"}
    config = runner.load_config(Run("a", "configs/random.py", overrides), tmp_path)
    assert config["method"] == "entropy"
    assert config["data"]["target_size"] == [32, 64]
    assert config["seed"] == 2
    last = Run("a", "configs/spl.py", {"rounds": "0"}, ("--config.rounds=7",), "start")
    assert runner.load_config(last, tmp_path)["rounds"] == 0
    assert runner.load_config(last, tmp_path)["warm_start"] == str(tmp_path / "start")


@pytest.mark.parametrize(
    ("config", "overrides", "says"),
    [
        ("configs/spl.py", {"rond": "1"}, "rond"),
        ("configs/spl.py", {"rounds": "many"}, "many"),
        ("configs/spl.py:gatv", {}, "gatv"),
        ("configs/sql.py", {}, "sql.py"),
    ],
)
def test_a_bad_config_is_told_before_anything_starts(config, overrides, says, tmp_path):
    good, bad = Run("good", "configs/spl.py", {}), Run("bad", config, overrides)
    with pytest.raises(RunError, match=f"bad: the config .*{says}"):
        runner.run_all([good, bad], tmp_path / "new", 1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (Run("a", "configs/spl.py", {}), Run("a", "configs/ppl.py", {}), "would be a"),
        (
            Run("a", "configs/spl.py", {"selector.noise": "1"}),
            Run("b", "configs/spl.py", {"selector.noise": "1.0"}),
            "a and b are the same run",
        ),
    ],
)
def test_the_same_run_twice_is_refused(one, other, says, tmp_path):
    with pytest.raises(RunError, match=says):
        runner.run_all([one, other], tmp_path / "new", 1)


def test_sigterm_ends_the_processes(started, tmp_path):
    def terminate():
        while not Path(tmp_path, "a", "pid").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    sleeps = "pathlib.Path(sys.argv[1], 'pid').write_text(str(os.getpid())); time.sleep(100)"
    threading.Thread(target=terminate, daemon=True).start()
    with pytest.raises(SystemExit):
        runner.run_all([fake("a", sleeps), fake("b")], tmp_path, 1)
    assert started == ["a"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_arguments_are_split_at_the_first_dashes():
    assert runner.split_extra(["--a", "1"]) == (["--a", "1"], [])
    assert runner.split_extra(["--a", "--", "--b", "--"]) == (["--a"], ["--b", "--"])
