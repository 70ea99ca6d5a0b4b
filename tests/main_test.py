"""The commands as a user types them: what they print, and what they say of bad input."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from labor_jax import experiment, models
from labor_jax.data import DataError
from labor_jax.evaluation import evaluator
from labor_jax.experiment import components
from tests import fork_server
from tests.conftest import ROOT
from tests.tiny import tiny_config


def command(module, *arguments):
    return fork_server.run(["-m", f"labor_jax.{module}", *arguments], cwd=ROOT)


def overrides(config, *names):
    """`--config.x.y=value` for the fields in which a tiny run differs."""
    flags = []
    for name in names:
        value = config
        for field in name.split("."):
            value = value[field]
        flags.append(f"--config.{name}={value}")
    return flags


TINY = overrides(
    tiny_config("spl"),
    "data.image_size",
    "data.source_count",
    "data.pool_count",
    "data.evaluation_count",
    "source_batch_size",
    "target_batch_size",
    "evaluation_batch_size",
    "model.backbone",
    "model.width",
    "model.output_stride",
    "model.head",
    "supervised.steps",
    "warmup.steps",
    "terms.adversarial.width",
    "selector.steps",
    "round.steps",
    "rounds",
    "preview_images",
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A finished tiny run, made by the command itself."""
    path = tmp_path_factory.mktemp("run") / "spl"
    flags = (*TINY, "--config.data.target_size=None")
    result = command("main", "--config", "spl", "--workdir", path, *flags)
    assert result.returncode == 0, result.stderr
    table = [line.split() for line in result.stdout.splitlines()]
    stages = ["source-only", "warm-up", "round", "round"]
    assert [row[0] for row in table if row and row[0] in stages] == stages
    return path


def test_evaluate_prints_the_runs_miou(workdir):
    summary = json.loads((workdir / "summary.json").read_text())
    result = command("evaluate", "--workdir", workdir, "--checkpoint", "last")
    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1].split()
    assert last[0] == "mIoU"
    assert float(last[1].rstrip("%")) == pytest.approx(100 * summary["final_miou"], abs=0.006)


def test_strip_draws_five_panels(workdir, tmp_path):
    result = command("strip", "--workdir", workdir, "--output", tmp_path / "s.png", "--scale", 1)
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "s.png") as strip:
        assert strip.width == 5 * 64 + 4 * 4

    (tmp_path / "mine.png").write_text("mine")
    result = command("strip", "--workdir", workdir, "--output", tmp_path / "mine.png")
    assert result.returncode == 1 and "mine.png is in the way" in result.stderr
    assert (tmp_path / "mine.png").read_text() == "mine"

    output = ("--output", tmp_path / "s.webp")
    result = command("strip", "--workdir", workdir, *output, "--scale", 60)
    assert result.returncode == 1 and not (tmp_path / "s.webp").exists()
    said = "A .webp file can hold 16,383 pixels a side, and the strip has 19,216: take a smaller"
    assert said in result.stderr and "Traceback" not in result.stderr
    result = command("strip", "--workdir", workdir, *output, "--scale", 0)
    assert result.returncode == 1 and "--scale is 0; it is at least 1" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--config.rond=2",), ("Unknown field config.rond", "rounds")),
        (("--config.data.rot=x",), ("Unknown field config.data.rot", "root")),
        (("--config.rounds=many",), ("rounds", "many")),
        (("--config.rounds=-1",), ("config.rounds is -1",)),
        (("--config.acquisition.method=sql",), ("'sql'", "spl, ppl")),
        (("--no_such_flag=1",), ("no_such_flag",)),
        (("--num_processes=2",), ("--coordinator_address", "--process_id together")),
        (("--config.data.pool_count=0",), ("0",)),
        (("--config.data.augment.scale=(0.5,2.0)",), ("augment.scale", "augment.crop")),
        (
            ("--config.round.terms.source_labels=0", "--config.round.terms.answers=0"),
            ("learn nothing",),
        ),
    ],
)
def test_a_bad_flag_is_named_before_anything_runs(arguments, says, tmp_path):
    workdir = tmp_path / "run"
    result = command("main", "--config", "configs/spl.py", "--workdir", workdir, *arguments)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert all(text in result.stderr for text in says), result.stderr
    assert not workdir.exists()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            "configs/spl.py:gatv",
            ("'gatv'", "street, camvid, camvid_reverse, camvid_pool, gtav"),
        ),
        ("configs/slp.py", ("no file configs/slp.py", "spl")),
        ("slp", ("'slp'", "Did you mean spl?")),
        ("configs/spl.py:camvid", ("--config.data.root=DIR",)),
    ],
)
def test_an_unknown_config_or_pair_is_named(config, says, tmp_path):
    result = command("main", "--config", config, "--workdir", tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert all(text in result.stderr for text in says), result.stderr


def write_tree(root, images=4):
    generator = np.random.default_rng(0)
    for role in ("source", "pool", "evaluation"):
        for kind in ("images", "labels"):
            (root / role / kind).mkdir(parents=True)
        for i in range(images):
            pixels = generator.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(root / role / "images" / f"{i}.png")
            label = generator.integers(0, 3, (64, 64), np.uint8)
            Image.fromarray(label).save(root / role / "labels" / f"{i}.png")


def folders_config(root):
    config = tiny_config("random", "folders")
    config.data.root = str(root)
    config.data.classes = ("road", "sky", "tree")
    return config


@pytest.mark.slow
def test_folders_of_ones_own_run(tmp_path):
    write_tree(tmp_path / "data")
    summary = experiment.run(folders_config(tmp_path / "data"), tmp_path / "run")
    assert set(summary["per_class_iou"]) == {"road", "sky", "tree"}
    assert len(summary["rounds"]) == 2


def test_a_broken_image_is_named_by_the_command(tmp_path):
    write_tree(tmp_path / "data")
    broken = tmp_path / "data" / "pool" / "images" / "2.png"
    os.truncate(broken, broken.stat().st_size // 2)
    result = command(
        "main",
        "--config=configs/spl.py:folders",
        f"--workdir={tmp_path / 'run'}",
        f"--config.data.root={tmp_path / 'data'}",
        "--config.data.classes=('road','sky','tree')",
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert str(broken) in result.stderr


def test_a_pool_without_labels_is_refused_before_training(tmp_path):
    write_tree(tmp_path / "data")
    config = folders_config(tmp_path / "data")
    config.data.pool.labels = ""
    with pytest.raises(DataError, match="no label"):
        experiment.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_evaluate_needs_a_run(tmp_path):
    result = command("evaluate", "--workdir", tmp_path)
    assert result.returncode == 1
    assert "holds no run" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_evaluate_takes_published_weights(tmp_path):
    config = tiny_config("spl")
    config.model.update(
        backbone="resnet18", stem="small", head="deeplab_v2", output_stride=8, width=4
    )
    run = components.build(config)
    variables = components.initial_variables(run)
    models.save_weights(tmp_path / "model.npz", run.segmenter, variables, layout="ripu")
    network = overrides(
        config, "model.backbone", "model.stem", "model.head", "model.output_stride", "model.width"
    )
    weights = f"--config.model.pretrained={tmp_path / 'model.npz'}"
    unread = ("--config.data.source_count=0", "--config.data.pool_count=0")
    result = command("evaluate", "--config=spl", weights, *TINY, *network, *unread)
    assert result.returncode == 0, result.stderr
    evaluate = evaluator.make_evaluator(run.frozen_segmenter, run.pair.classes, run.mesh)
    found = evaluate(variables, run.pair.evaluation, batch_size=2, size=None)
    *_, last = result.stdout.splitlines()
    assert f"{100 * found.miou:.2f}%" in last and "model.npz" in last

    backbone = tmp_path / "backbone.npz"
    models.save_weights(backbone, run.segmenter, variables, layout="torchvision")
    backbone_alone = (f"--config.model.pretrained={backbone}", *network, *unread)
    for flags in ((), backbone_alone):
        headless = command("evaluate", "--config=spl", *TINY, *flags)
        assert headless.returncode == 1 and not headless.stdout
        assert "holds no head" in headless.stderr
        assert "Traceback" not in headless.stderr
    both = command("evaluate", "--config=configs/spl.py", f"--workdir={tmp_path}")
    assert both.returncode == 1 and "either --workdir or --config" in both.stderr


def test_the_first_lines_name_device_and_workdir(workdir, tmp_path):
    changed = f"--config.data.source_count={tiny_config('spl').data.source_count + 1}"
    result = command("main", "--config=spl", f"--workdir={workdir}", *TINY, changed)
    assert result.returncode == 1 and "holds a run of another config" in result.stderr
    first, second = result.stderr.splitlines()[:2]
    assert first.split(" ", 1)[1].startswith("Device: ") and first.endswith(", float32")
    assert second.endswith(f"Workdir: {workdir}")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("main", "--config=spl", "--workdir=FILE"), "FILE is a file, but a folder is needed"),
        (("main", "--config=spl", "--workdir=FILE/x"), "a part of that path is a file"),
        (("main", "--config=FOLDER"), "There is no file FOLDER"),
        (("predict", "--workdir=RUN", "--images=IMAGES", "--output=FILE"), "FILE is a file"),
        (("evaluate", "--workdir=FILE"), "FILE holds no run"),
        (("strip", "--workdir=RUN", "--output=FOLDER"), "name a .png, .jpg or .webp file"),
        (("strip", "--workdir=RUN", "--output=FILE/s.png"), "FILE is a file; the output"),
        (
            ("exchange", "--workdir=RUN", "--export=coco", "--output=FILE/x"),
            "is a file, but a folder",
        ),
        (("report", "--workdir=RUN", "--output=FOLDER"), "FOLDER is a folder; --output"),
        (("build_dataset", "--dataset=gtav", "--folder=FILE", "--data_dir=FILE"), "FILE"),
    ],
)
def test_a_file_in_the_wrong_place_is_a_sentence(arguments, says, workdir, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 32)).save(tmp_path / "images" / "a.png")

    def real(text):
        for name in ("FILE", "FOLDER", "IMAGES"):
            text = text.replace(name, str(tmp_path / name.lower()))
        return text.replace("RUN", str(workdir))

    result = command(*map(real, arguments))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr, result.stderr
    assert real(says) in result.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mount") is None, reason="no mount command")
def test_a_full_disk_is_said_and_the_run_resumes(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs more rights than this user has")
    try:
        arguments = ("--config=configs/spl.py", f"--workdir={disk / 'run'}", *TINY)
        result = command("main", *arguments)
        assert result.returncode == 1
        assert "Traceback" not in result.stderr, result.stderr
        last = result.stderr.splitlines()[-1]
        assert last.startswith("The disk is full") and "run the same command" in last
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert command("main", *arguments).returncode == 0
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
