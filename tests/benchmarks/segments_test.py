"""What the labelling tool's segments yield, on street scenes."""

import shutil

import numpy as np
import pytest
from scipy import ndimage

from benchmarks import segments
from benchmarks.human_runs import write_run
from labor_jax.data import street

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="needs node on PATH")


def _strips(label, seed):
    """Parts of a band along the borders of classes, like those that two classifiers differ in."""
    border = ndimage.morphological_gradient(label.astype(int), 3) > 0
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=label.shape), 8)
    return ndimage.binary_dilation(border, iterations=2) & (noise > np.quantile(noise, 0.8))


def test_keys_for_segments_along_edges_give_far_fewer_wrong_labels_than_for_components():
    scenes = street.StreetScenes("camera", 4, size=(192, 384), seed=0)
    labels = [scenes.label(number) for number in range(4)]
    asked = [(scenes.image(i), label, _strips(label, i)) for i, label in enumerate(labels)]
    counts = segments.measure(asked)
    components, divided, classes = (
        sum(count[kind]["groups"] for count in counts)
        for kind in ("components", "segments", "classes")
    )
    assert segments.right_share(counts, "classes") == 1.0
    assert segments.right_share(counts, "components") < 0.65
    assert segments.right_share(counts, "segments") > 0.8
    assert components < divided < 3 * classes
    for count, (_, label, mask) in zip(counts, asked, strict=True):
        assert count["segments"]["pixels"] == (label[mask] != 255).sum()
        connected = ndimage.label(mask, np.ones((3, 3)))[1]
        assert count["components"]["groups"] == connected


def test_the_table_of_a_run(tmp_path, capsys):
    write_run(tmp_path / "run", kind="mask")
    segments.main([str(tmp_path / "run")])
    *_, line = capsys.readouterr().out.splitlines()
    name, *numbers = line.strip("| ").split(" | ")
    assert name == "run" and len(numbers) == 7
    assert float(numbers[1].rstrip("%")) <= 100
