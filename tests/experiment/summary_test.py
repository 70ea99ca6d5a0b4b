"""A run's results as checkpoints hold them."""

import json

import numpy as np
import pytest

from labor_jax.annotation import LabelStore
from labor_jax.annotation.labelling_tool.item import Item
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.experiment.summary import Results, round_entry
from tests.tiny import tiny_config

CLASSES = ("road", "car")


def test_results_survive_a_checkpoint():
    results = Results(miou={"warmup": 0.5}, confusion=[[3, 1], [0, 2]], device="1 CPU, float32")
    assert Results.from_json(json.loads(json.dumps(results.to_json()))) == results


def test_a_checkpoint_of_an_older_version_is_read():
    older = Results(miou={"warmup": 0.5}, seconds={"warmup": 2.0}).to_json()
    for name in ("confusion", "miou_error", "device"):
        del older[name]
    results = Results.from_json(older)
    assert results.miou == {"warmup": 0.5} and results.confusion is None


def test_second_opinions_take_a_time_of_their_own(tmp_path):
    """Measured beside published seconds are the answers alone, for both are of their clicks."""
    config = tiny_config("active:entropy")
    config.annotator, config.annotation.second_opinion = "human", 1.0
    with LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store:

        def ask(number):
            store.open_round(number, ["a"])
            query = np.zeros((4, 5), bool)
            query[0, number] = True
            store.ask("a", number, query, kind="points", clicks=1)

        def answer(annotator, seconds):
            item, token = service.next(annotator)
            (pixel,) = np.flatnonzero(store.query("a", item.round))
            name = f"{annotator} {item.round}"
            service.mark(item, token, f"{name} mark", 1, [int(pixel), 1], seconds)
            service.submit(item, token, f"{name} submit")

        ask(1)
        service = LabellingService(store, second_opinion=1.0)
        answer("ann", 3.0)
        answer("bob", 7.0)
        results = Results(miou={"round_1/train": 0.5})
        first = round_entry(config, CLASSES, store, results, 1)
        assert (first["annotation_seconds"], first["second_opinion_seconds"]) == (3.0, 7.0)
        assert first["measured_seconds"] == 3.0 and first["clicks"] == 1
        results.rounds.append(first)
        ask(2)
        answer("cem", 2.0)
        second = round_entry(config, CLASSES, store, results, 2)
        assert (second["annotation_seconds"], second["second_opinion_seconds"]) == (5.0, 7.0)


def test_a_correction_is_counted_in_each_later_round_and_prices_no_other_image(tmp_path):
    """An image was answered in the tool, the other by a file that told no time."""
    config = tiny_config("active:entropy")
    config.annotator = "human"
    query = np.arange(20).reshape(4, 5) == 7
    with LabelStore(tmp_path / "labels.sqlite", classes=CLASSES) as store:
        service = LabellingService(store)

        def ask(number, *names):
            store.open_round(number, names)
            for name in names:
                store.ask(name, number, np.roll(query, number), kind="points", clicks=1)

        def correct(number, name, seconds):
            _, token = service.reopen(Item(number, name), "ann", f"{name} {number} reopen")
            pixel = int(np.flatnonzero(np.roll(query, number))[0])
            service.mark(Item(number, name), token, f"{name} {number} mark", 0, [pixel, 1], seconds)
            service.submit(Item(number, name), token, f"{name} {number} submit")

        def entry(number):
            return round_entry(config, CLASSES, store, results, number)

        ask(1, "a", "b")
        for name in "ab":
            store.answer(name, 1, np.ones((4, 5), np.uint8))
        results = Results(miou={"round_1/train": 0.5})
        published = entry(1)
        correct(1, "b", 1.2)
        first = entry(1)
        assert first["annotation_source"] == published["annotation_source"] == "published"
        assert first["annotation_seconds"] == published["annotation_seconds"] > 4
        results.rounds.append(first)
        ask(2, "a")
        item, token = service.next("ann")
        service.mark(item, token, "mark", 1, [int(np.flatnonzero(np.roll(query, 2))[0]), 1], 3.0)
        service.submit(item, token, "submit")
        assert entry(2)["annotation_seconds"] == first["annotation_seconds"] + 3.0
        results.rounds.append(entry(2))
        ask(3, "b")
        store.answer("b", 3, np.ones((4, 5), np.uint8))
        correct(2, "a", 5.0)
        expected = 1.5 * published["annotation_seconds"] + 3.0 + 5.0
        assert entry(3)["annotation_seconds"] == pytest.approx(expected)
