"""A workdir belongs to one config and one process, and its files are whole."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labor_jax.annotation import LabelStore
from labor_jax.experiment import workdir
from labor_jax.experiment.workdir import ConfigError, Workdir
from tests.tiny import tiny_config

ROOT = Path(__file__).resolve().parents[2]


def open_and_close(path, config):
    Workdir.open(path, config).close()


def test_a_new_folder_holds_the_config(tmp_path):
    config = tiny_config()
    path = tmp_path / "runs" / "new"
    open_and_close(path, config)
    assert json.loads((path / "config.json").read_text()) == json.loads(config.to_json())
    read = Workdir.existing(path).read_config()
    assert read.model.width == config.model.width
    assert list(read.data.image_size) == list(config.data.image_size)


def test_the_same_config_opens_it_again(tmp_path):
    open_and_close(tmp_path, tiny_config())
    open_and_close(tmp_path, tiny_config())


def start_run(path):
    """A run that has begun to compute."""
    open_and_close(path, tiny_config())
    (path / "metrics.jsonl").write_text("{}\n")


def test_another_config_is_an_error_that_tells_them_apart(tmp_path):
    start_run(tmp_path)
    other = tiny_config()
    other.optimizer.momentum = 0.5
    other.data.image_size = (48, 64)
    other.log_every = 77
    with pytest.raises(ConfigError) as caught:
        Workdir.open(tmp_path, other)
    message = str(caught.value)
    assert "config.optimizer.momentum: 0.9 there, 0.5 now" in message
    assert "config.data.image_size: [32, 64] there, [48, 64] now" in message
    assert "log_every" not in message and str(tmp_path) in message
    # The run's own config is untouched, and the refusal holds no lock.
    assert Workdir.existing(tmp_path).read_config().optimizer.momentum == 0.9
    open_and_close(tmp_path, tiny_config())


def test_settings_of_a_term_that_another_one_uses_are_compared(tmp_path):
    config, other = tiny_config("uda:dacs"), tiny_config("uda:dacs")
    assert config.warmup.terms.mean_teacher == 0  # class_mix uses its teacher
    open_and_close(tmp_path, config)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    other.terms.mean_teacher.confidence = "class_balanced"
    with pytest.raises(ConfigError, match=r"mean_teacher\.confidence: 'image_share' there"):
        Workdir.open(tmp_path, other)
    other.terms.mean_teacher.confidence = "image_share"
    other.terms.adversarial.learning_rate = 1.0  # which nothing uses
    open_and_close(tmp_path, other)


def test_what_never_began_takes_another_config(tmp_path):
    open_and_close(tmp_path, tiny_config())
    other = tiny_config()
    other.model.pretrained = "found.pth"
    open_and_close(tmp_path, other)
    assert Workdir.existing(tmp_path).read_config().model.pretrained == "found.pth"
    (tmp_path / "checkpoints" / "3").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"model\.pretrained: 'found\.pth' there, '' now"):
        Workdir.open(tmp_path, tiny_config())


def test_a_field_more_or_less_is_a_difference_too(tmp_path):
    start_run(tmp_path)
    other = tiny_config()
    with other.unlocked():
        del other.round.steps
        other.round.distillation = 2.0
    with pytest.raises(ConfigError) as caught:
        Workdir.open(tmp_path, other)
    assert "config.round.steps: 3 there, None now" in str(caught.value)
    assert "config.round.distillation: None there, 2.0 now" in str(caught.value)


def test_free_fields_may_differ_and_the_last_values_are_kept(tmp_path):
    config, other = (tiny_config(pair="gtav") for _ in range(2))
    open_and_close(tmp_path, config)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    other.update(log_every=7, checkpoint_every=9, warm_start="elsewhere", compilation_cache="")
    other.update(gradient_accumulation=2, per_device_batch_size=1, evaluation_batch_size=1)
    other.model.remat = not other.model.remat
    other.annotation.lease_seconds = 5.0
    other.data.update(cache_bytes=1, cache_folder="c", num_threads=3, verify="full")
    other.data.accept_changes = True
    with other.unlocked():  # the fields that follow these are compared, and stay as they are here
        other.update(recipe="today", schedule="short")
    other.data.update(root="moved", source_root="moved", target_root="moved")
    open_and_close(tmp_path, other)
    read = Workdir.existing(tmp_path).read_config()
    assert (read.log_every, read.data.root) == (7, "moved")
    changed = workdir.differing_fields(json.loads(config.to_json()), json.loads(other.to_json()))
    assert set(changed) == set(workdir.FREE_FIELDS)


def test_a_run_that_failed_in_its_first_step_takes_another_config(tmp_path):
    open_and_close(tmp_path, tiny_config())
    (tmp_path / "metrics.jsonl").touch()  # as it is before the first line
    with LabelStore(tmp_path / "labels.sqlite", classes=("road", "sky")) as store:
        store.add_existing("a", np.zeros((2, 2), np.uint8), np.ones((2, 2), bool))
        other = tiny_config()
        other.source_batch_size = 1
        open_and_close(tmp_path, other)
        # What it asked people is worth keeping, though it trained nothing.
        store.open_round(1, ["a"])
    with pytest.raises(ConfigError, match=r"source_batch_size: 1 there"):
        Workdir.open(tmp_path, tiny_config())


def test_processes_of_a_run_may_differ_in_what_their_machines_have(tmp_path):
    first = Workdir.open(tmp_path, tiny_config())
    other = tiny_config()
    other.data.update(root="moved", num_threads=3)
    assert Workdir.join(tmp_path, other).path == first.path
    for field, value in (("checkpoint_every", 7), ("gradient_accumulation", 2)):
        other = tiny_config()
        other[field] = value
        with pytest.raises(ConfigError, match=f"config.{field}.*{value} now\nGive all processes"):
            Workdir.join(tmp_path, other)
    first.close()


@pytest.mark.parametrize("left", ["labels.sqlite", "checkpoints/10/state"])
def test_results_without_their_config_are_not_adopted(tmp_path, left):
    (tmp_path / left).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / left).touch()
    with pytest.raises(ConfigError, match=r"no config\.json"):
        Workdir.open(tmp_path, tiny_config())
    assert not (tmp_path / "config.json").exists()


def test_a_damaged_config_of_results_is_an_error(tmp_path):
    start_run(tmp_path)
    (tmp_path / "config.json").write_text('{"seed": ')
    with pytest.raises(ConfigError, match=r"config\.json is damaged"):
        Workdir.open(tmp_path, tiny_config())


def test_a_damaged_config_of_a_run_that_never_began_is_written_anew(tmp_path):
    (tmp_path / "config.json").write_text('{"seed": ')
    open_and_close(tmp_path, tiny_config())
    assert Workdir.existing(tmp_path).read_config().seed == tiny_config().seed


@pytest.mark.parametrize("content", [b"[]", b"null", b"{}", b"\xff\xfe", b'{"terms": "x"}'])
def test_a_config_of_something_else_is_an_error(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.json is (damaged|of another version)"):
        Workdir.existing(tmp_path).read_config()


def test_a_config_of_an_earlier_version_is_an_error_that_names_fields(tmp_path):
    config = json.loads(tiny_config().to_json())
    config["source"] = config.pop("supervised")
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match=r"it has no config\.supervised\.learning_rate"):
        Workdir.open(tmp_path, tiny_config())


def test_existing_needs_a_run(tmp_path):
    with pytest.raises(ConfigError, match=r"holds no run.*labor-jax run"):
        Workdir.existing(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_tilde_is_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    open_and_close("~/run", tiny_config())
    assert Workdir.existing("~/run").path == tmp_path / "run"
    assert Workdir("~nobody_of_this_name/run").path == Path("~nobody_of_this_name/run")


def test_a_folder_in_use_is_refused_until_it_is_closed(tmp_path):
    first = Workdir.open(tmp_path, tiny_config())
    with pytest.raises(ConfigError, match="Another process is running in"):
        Workdir.open(tmp_path, tiny_config())
    assert Workdir.existing(tmp_path).read_config().seed == 0  # reading is free
    first.close()
    first.close()
    open_and_close(tmp_path, tiny_config())


def test_another_process_is_refused_and_its_end_frees_the_folder(tmp_path):
    script = (
        "import sys\n"
        "from labor_jax.experiment.workdir import Workdir\n"
        "from tests.tiny import tiny_config\n"
        f"folder = Workdir.open({str(tmp_path)!r}, tiny_config())\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(ConfigError, match="Another process is running in"):
            Workdir.open(tmp_path, tiny_config())
        other.kill()
    open_and_close(tmp_path, tiny_config())


def test_differing_fields():
    before = {"a": 1, "b": {"c": [1, 2], "d": None}, "e": "x"}
    after = {"a": 1, "b": {"c": [1, 3], "d": None}, "f": {"g": 0}}
    assert workdir.differing_fields(before, after) == {
        "b.c": ([1, 2], [1, 3]),
        "e": ("x", None),
        "f.g": (None, 0),
    }
    assert workdir.differing_fields(before, before) == {}
