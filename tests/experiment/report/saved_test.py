"""Damaged results: both kinds of report name the file and the field."""

import json

import pytest

from labor_jax.experiment.report import comparison_page, current, saved
from labor_jax.experiment.report.results import ResultsError
from labor_jax.experiment.workdir import ConfigError, Workdir
from tests.finished_runs import write_run


def damage(path, change):
    """Puts other fields into a file of JSON, or other JSON in its place."""
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, **change} if isinstance(change, dict) else change))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ([], "it holds no JSON object"),
        ({"final_miou": float("nan")}, "final_miou is NaN, not a number from 0 to 1"),
        ({"final_miou": "0.5"}, 'final_miou is "0.5"'),
        ({"warmup_miou": 7}, "warmup_miou is 7"),
        ({"seed": "0"}, 'seed is "0", not an integer'),
        ({"rounds": None}, "rounds is null, not a list of objects"),
        ({"rounds": [1]}, r"rounds is \[1\]"),
        ({"rounds": [{"round": 1}]}, r"it has no rounds\[1\]\.miou"),
        ({"per_class_iou": [0.5]}, r"per_class_iou is \[0.5\]"),
        ({"per_class_iou": {"road": "x"}}, "per_class_iou is"),
        ({"subset_miou": []}, r"subset_miou is \[\]"),
        ({"confusion": [[1, 2]]}, "confusion is"),
        ({"wall_seconds": None}, "wall_seconds is null"),
        ({"versions": [1]}, r"versions is \[1\]"),
        ({"existing_labels": {}}, "existing_labels is {}"),
    ],
)
def test_a_damaged_summary_names_its_field(change, says, tmp_path):
    runs = [write_run(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    damage(runs[1] / "summary.json", change)
    with pytest.raises(ConfigError, match=rf"summary\.json is .*{says}"):
        saved.read_summary(Workdir(runs[1]))
    with pytest.raises(ResultsError, match=rf"summary\.json is .*{says}"):
        comparison_page.write(runs, tmp_path / "c.html")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "it has no method"),
        ("[]", "it holds no JSON object"),
        ('{"method": "spl", "pair": 3, "acquisition": {}}', "pair is 3, not a text"),
        ('{"method": "spl", "pair": "street", "acquisition": []}', r"acquisition is \[\]"),
    ],
)
def test_a_damaged_config_names_its_field(text, says, tmp_path):
    runs = [write_run(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    (runs[1] / "config.json").write_text(text)
    with pytest.raises(ResultsError, match=rf"config\.json is .*{says}"):
        comparison_page.write(runs, tmp_path / "c.html")


@pytest.mark.parametrize(
    ("change", "says"),
    [([], "it holds no JSON object"), ({"rounds": None}, "rounds is null"), ({"pair": 1}, "pair")],
)
def test_the_report_of_one_run_names_the_field_too(change, says, folder, pair, store, finished):
    described = {"name": "street", "classes": pair.classes, "palette": pair.palette.tolist()}
    folder.pair.write_text(json.dumps(described))
    damage(folder.config, {"pair": "nobody's"})
    del finished["subset_miou"]  # as in older versions
    folder.summary.write_text(json.dumps(finished))
    current.write(folder.path)
    damage(folder.summary, change)
    with pytest.raises(ConfigError, match=rf"summary\.json is .*{says}"):
        current.write(folder.path)


@pytest.mark.parametrize("text", ["7", "[]", "{}", "{"])
def test_the_report_of_one_run_names_a_damaged_config(text, folder, pair, store, finished):
    described = {"name": "street", "classes": pair.classes, "palette": pair.palette.tolist()}
    folder.pair.write_text(json.dumps(described))
    folder.summary.write_text(json.dumps(finished))
    folder.config.write_text(text)
    try:
        current.write(folder.path)
    except ConfigError as error:
        assert "config.json is " in str(error)
    else:
        assert "config.json is " in folder.report.read_text()
