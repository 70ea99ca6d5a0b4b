"""DACS's mixed view: whose pixels, whose labels, how much they weigh."""

import numpy as np
import pytest

from tests.adaptation.teacher_terms import (
    both_domains,
    domain,
    first_state,
    made_views,
    model,
    probabilities,
    terms,
)

PLAIN = {"jitter": 0.0, "blur": 0.0}


def views_of(batch, **settings):
    loss = terms(
        {"class_mix": 1.0},
        class_mix={**PLAIN, **settings},
        mean_teacher={"threshold": 0.5},
    )
    state = first_state(loss)
    return made_views(loss, batch, state.memory, seed=3)


def test_half_of_the_classes_are_the_sources_and_the_rest_is_taught():
    batch = both_domains()
    views = views_of(batch)
    mixed, source, taught = views["mixed"], batch["source"], views["taught"]
    for i in range(4):
        present = set(np.unique(source["label"][i])) - {255}
        pasted = np.all(mixed["image"][i] == source["image"][i], -1) & (
            mixed["label"][i] == source["label"][i]
        )
        classes = set(np.unique(mixed["label"][i][pasted]))
        chosen = {c for c in present if pasted[source["label"][i] == c].all()}
        assert len(chosen) >= -(-len(present) // 2) and chosen <= classes
        from_source = np.isin(source["label"][i], list(chosen))
        rest = ~from_source
        np.testing.assert_array_equal(mixed["image"][i][rest], batch["target"]["image"][i][rest])
        np.testing.assert_array_equal(mixed["label"][i][rest], taught["label"][i][rest])
        np.testing.assert_allclose(mixed["weight"][i][rest], taught["weight"][i][rest])
        assert np.all(mixed["weight"][i][from_source] == 1)
    assert 0 < taught["weight"][batch["target"]["label"] == 255].mean() < 1
    assert set(np.unique(mixed["label"])) <= set(range(5))  # void is never pasted


def test_fewer_and_smaller_source_images_are_repeated_and_padded():
    batch = {"source": domain(0, 2, size=(12, 28)), "target": domain(1, 4, 0.1)}
    mixed = views_of(batch)["mixed"]
    assert mixed["image"].shape == (4, 16, 24, 3) and mixed["label"].shape == (4, 16, 24)
    p = probabilities(model(), batch["target"]["image"]).argmax(-1)
    answers = batch["target"]["label"]
    taught = np.where(answers == 255, p, answers)
    target = np.all(mixed["image"] == batch["target"]["image"], -1)
    np.testing.assert_array_equal(mixed["label"][target], taught[target])
    for i in range(4):
        colours = {tuple(each) for each in batch["source"]["image"][i % 2].reshape(-1, 3)}
        pasted = {tuple(each) for each in mixed["image"][i][~target[i]]}
        assert pasted and pasted <= colours


@pytest.mark.parametrize("reach", [0, 2])
def test_a_neighbours_answers_are_pasted_with_what_is_around(reach):
    batch = both_domains(one_class=True)
    batch["source"]["label"][:] = 255  # so that the source pastes nothing
    answers = np.full((4, 16, 24), 255, np.int32)
    answers[1, 5, 7], answers[1, 0, 0], answers[0, 5, 8] = 2, 3, 4
    batch["target"]["label"] = answers
    views = views_of(batch, paste="source_and_answers", reach=reach)
    mixed, taught = views["mixed"], views["taught"]
    rows, columns = np.mgrid[:16, :24]
    near = np.zeros((16, 24), bool)
    for row, column in ((5, 7), (0, 0)):
        near |= (np.abs(rows - row) <= reach) & (np.abs(columns - column) <= reach)
    near[5, 8] = False  # the image's own answer
    for name, own in (("label", taught), ("weight", taught), ("image", taught)):
        kept = near.reshape(16, 24, *[1] * (own[name].ndim - 3))
        expected = np.where(kept, own[name][1], own[name][0])
        np.testing.assert_array_equal(mixed[name][0], expected)
        np.testing.assert_array_equal(mixed[name][1], own[name][1])  # nobody answered on image 2
    assert (mixed["label"][0, 5, 7], mixed["weight"][0, 5, 7]) == (2, 1)
    assert (mixed["label"][0, 5, 8], mixed["weight"][0, 5, 8]) == (4, 1)
