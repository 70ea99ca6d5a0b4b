"""Curves from the lines of metrics.jsonl, of this version and of older ones."""

import re

from labor_jax.experiment.report import training_curves


def lines(phase, steps, **values):
    return [{"step": step, "phase": phase, "loss": 1.0, **values} for step in steps]


def titles(text):
    return re.findall(r"<figcaption>(.*?)</figcaption>", text)


def test_each_value_has_a_chart_and_the_first_three_come_first(run):
    metrics = lines("warmup", (1, 2), adversarial=0.5, learning_rate=0.1, time=1.0)
    metrics += lines("round_1/train", (3, 4), images_per_second=20.0)
    metrics.append({"step": 4, "phase": "round_1/train", "miou": 0.5, "per_class_iou": {}})
    text = training_curves.section(run._replace(metrics=metrics))
    assert titles(text) == ["Loss", "Learning rate", "Images per second", "adversarial"]


def test_an_older_run_has_its_losses(run):
    text = training_curves.section(run._replace(metrics=lines("warmup", (1, 2))))
    assert titles(text) == ["Loss"]
    assert training_curves.section(run._replace(metrics=[])) == ""


def test_the_selector_has_a_line_of_its_own(run):
    metrics = lines("round_1/selector", (1, 2)) + lines("round_1/train", (3, 4))
    text = training_curves.section(run._replace(metrics=metrics))
    assert "pixel selector</li>" in text and "model</li>" in text


def test_long_runs_are_thinned_and_damaged_values_are_gaps(run):
    metrics = lines("warmup", range(5000))
    metrics[7]["loss"] = None  # NaN, as JSON has it
    text = training_curves.section(run._replace(metrics=metrics))
    assert len(text) < 30_000
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_values_without_a_chart_are_named(run):
    many = {f"term_{number:02d}": 1.0 for number in range(15)}
    text = training_curves.section(run._replace(metrics=lines("warmup", (1, 2), **many)))
    assert len(titles(text)) == 12 and "Not shown: term_11, " in text
