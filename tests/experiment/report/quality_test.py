"""IoU by stage and class, mistakes, and the supervised run that a run is measured by."""

import json
import shutil

import numpy as np
import pytest

from labor_jax.experiment.report import quality
from tests.evaluation.scenes import CLASSES
from tests.experiment.report.pages import cells_of
from tests.tiny import tiny_config

IOU = dict(zip(CLASSES, (0.75, 0.5, 0.625, None), strict=True))


def test_iou_by_stage_comes_from_the_summary_or_the_metrics(run):
    """The stage before the rounds stands in the metrics alone; older summaries lack the rounds."""
    worse = {name: iou and iou / 2 for name, iou in IOU.items()}
    run.summary["rounds"][1]["per_class_iou"] = IOU
    run = run._replace(
        metrics=[
            {"step": 1, "phase": "supervised", "miou": 0.1, "per_class_iou": dict.fromkeys(IOU, 0)},
            {"step": 2, "phase": "warmup", "miou": 0.1, "per_class_iou": worse},
            {"step": 3, "phase": "round_1/train", "loss": 1.0},
            {"step": 3, "phase": "round_1/train", "miou": 0.1, "per_class_iou": worse},
        ]
    )
    found = quality.class_iou_by_stage(run)
    assert found == {"warm-up": worse, "round 1": worse, "round 2": IOU}


def test_iou_of_the_last_stage_is_always_known(run):
    assert quality.class_iou_by_stage(run) == {"last": run.summary["per_class_iou"]}
    run.summary["per_class_iou"] = None
    assert quality.class_iou_by_stage(run) == {}
    assert quality.classes_section(run, np.zeros(4, int)) == ""


def test_the_class_table_begins_with_the_worst(run):
    run.summary["rounds"][0]["per_class_iou"] = {**IOU, "car <b>": 0.6}
    run.summary["rounds"][1]["per_class_iou"] = IOU
    cells = cells_of(quality.classes_section(run, np.array([5, 1234, 0, 0])))
    assert cells[:6] == ["class", "", "round 1", "round 2", "change", "answers"]
    assert cells[6:12] == ["car <b>", "", "60.0%", "50.0%", "-10.0", "1,234"]
    assert [cells[6 * row] for row in (1, 2, 3, 4)] == ["car <b>", "sky & co", "road", "never"]


def test_columns_that_would_be_empty_are_left_out(run):
    cells = cells_of(quality.classes_section(run, np.zeros(4, int)))
    assert cells[:6] == ["class", "", "last", "car <b>", "", "50.0%"]


def test_mistakes_are_ordered_by_their_share_of_the_label(run):
    run.summary["confusion"] = [[90, 10, 0, 0], [3, 5, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert quality.mixed_up(run) == [
        ("car <b>", "road", pytest.approx(0.3)),
        ("car <b>", "sky & co", pytest.approx(0.2)),
        ("road", "car <b>", pytest.approx(0.1)),
    ]
    del run.summary["confusion"]
    assert quality.mixed_up(run) == []


def test_a_large_confusion_matrix_shows_the_worst_classes(run):
    count = 30
    confusion = np.diag(np.full(count, 100))
    confusion[29, 0] = 50
    classes = tuple(f"c{number}" for number in range(count))
    run = run._replace(classes=classes, palette=np.zeros((count, 3), np.uint8))
    run.summary.update(
        confusion=confusion.tolist(), per_class_iou=dict.fromkeys(classes, 0.5), rounds=[]
    )
    text = quality.classes_section(run, np.zeros(count, int))
    assert "24 classes with the most wrong pixels" in text
    assert ">c29</text>" in text and ">c25</text>" not in text


@pytest.fixture(params=["supervised_street_seed3", "supervised_short_street_seed3"])
def supervised(run, request):
    """A finished supervised run beside the run, named as `labor-jax run` names it."""
    folder = run.folder.path.parent / request.param
    folder.mkdir()
    (folder / "config.json").write_text(tiny_config("supervised").to_json())
    (folder / "summary.json").write_text(json.dumps(SUPERVISED))
    return folder


SUPERVISED = {"method": "supervised", "final_miou": 0.7, "rounds": [{"labelled_fraction": 1.0}]}


def test_a_supervised_run_beside_it_is_the_upper_line(run, supervised):
    assert quality.supervised_beside(run) == 0.7
    assert "supervised, all labels" in quality.section(run)
    other = {**run.config, "data": {**run.config["data"], "pool_count": 3}}
    (supervised / "config.json").write_text(json.dumps(other))
    assert quality.supervised_beside(run) is None
    (supervised / "summary.json").write_text("{")
    assert quality.supervised_beside(run) is None


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"data": {"num_threads": 7, "cache_bytes": 0, "verify": "full", "root": "there"}}, 0.7),
        ({"evaluation_overlap": 8}, 0.7),  # without a window it changes nothing
        ({"evaluation_window": [64, 64]}, None),
        ({"evaluation_flip": True}, None),
        ({"model": {"width": 8}}, None),
        ({"schedule": "other"}, None),
        ({"recipe": "today"}, None),
        ({"protocol": "joint"}, None),
        ({"rounds": 5}, None),
        ({"seed": 1}, None),
        ({"round": {"steps": 99}}, None),
        ({"warmup": {"steps": 99}}, None),
        ({"optimizer": {"weight_decay": 0.5}}, None),
        ({"per_device_batch_size": 1, "acquisition": {"radius": 9}}, 0.7),
    ],
)
def test_a_supervised_run_shares_what_changes_a_number(fields, found, run, supervised):
    config = json.loads((supervised / "config.json").read_text())
    for name, value in fields.items():
        config[name] = {**config[name], **value} if isinstance(value, dict) else value
    (supervised / "config.json").write_text(json.dumps(config))
    assert quality.supervised_beside(run) == found


def test_a_supervised_run_is_of_the_same_images(run, supervised):
    for folder, content in ((run.folder.path, "a"), (supervised, "b")):
        images = {"1": {"size": [4, 6], "image": {"sha256": content}}}
        (folder / "data.json").write_text(json.dumps({"evaluation": images}))
    assert quality.supervised_beside(run) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"rounds": []},
        {"rounds": [{"labelled_fraction": 0.5}]},
        {"method": "spl"},
        {"final_miou": None},
        {"rounds": None},
        {"rounds": [7]},
    ],
)
def test_a_supervised_run_has_asked_for_all_labels_or_the_next_folder_counts(
    fields, run, supervised
):
    (supervised / "summary.json").write_text(json.dumps({**SUPERVISED, **fields}))
    assert quality.supervised_beside(run) is None
    other = supervised.with_name("supervised_z_street_seed3")
    shutil.copytree(supervised, other)
    (other / "summary.json").write_text(json.dumps(SUPERVISED))
    assert quality.supervised_beside(run) == 0.7


def test_a_joint_run_is_measured_by_the_joint_run_with_all_labels(run, supervised):
    joint = run._replace(config=json.loads(tiny_config("ripu_ra").to_json()))
    assert quality.supervised_beside(joint) is None
    folder = supervised.with_name("all_joint_street_seed3")
    folder.mkdir()
    (folder / "config.json").write_text(tiny_config("active:all").to_json())
    (folder / "summary.json").write_text(json.dumps({**SUPERVISED, "method": "all"}))
    assert quality.supervised_beside(joint) == 0.7
    assert quality.supervised_beside(run) == 0.7  # of the other folder


def test_before_the_first_stage_is_over_there_is_no_section(run):
    run.summary.update(rounds=[], source_only_miou=None, warmup_miou=None, measured_on="nothing")
    assert quality.section(run) == ""


def test_rounds_without_miou_have_a_table_and_no_curves(run):
    for entry in run.summary["rounds"]:
        entry["miou"] = None
    text = quality.section(run)
    assert "round 2" in text and "Nothing was measured" not in text and "<svg" not in text
