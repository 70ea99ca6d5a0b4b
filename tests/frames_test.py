"""Frames of videos as a pool, by the command."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.videos import brightening, write_video

pytest.importorskip("av", reason="videos need PyAV (the extra video)")


def frames(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "labor_jax", "frames", *map(str, arguments)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_frames_become_a_pool_without_near_duplicates(tmp_path):
    images = brightening(40, step=5)
    images[20:31] = images[20]  # the car waits
    write_video(tmp_path / "drive.mp4", images)
    result = frames("drive.mp4", "--every=500ms", "--output=pool", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "6 frames kept, 2 near-duplicates dropped" in result.stdout
    assert f"--config.data.pool.images={tmp_path / 'pool'} " in result.stdout
    names = sorted(path.name for path in (tmp_path / "pool").glob("*.jpg"))
    times = ("00.000", "00.500", "01.000", "01.500", "02.000", "03.500")
    assert names == [f"drive_0000{time}.jpg" for time in times]
    with Image.open(tmp_path / "pool" / names[1]) as image:
        np.testing.assert_allclose(np.asarray(image), 25, atol=6)

    again = frames("drive.mp4", "--every=500ms", "--output=pool", folder=tmp_path)
    assert again.returncode == 0 and "6 frames kept" in again.stdout
    other = frames("drive.mp4", "--every=1s", "--output=pool", folder=tmp_path)
    assert other.returncode == 1 and "--overwrite" in other.stderr
    other = frames("drive.mp4", "--every=1s", "--output=pool", "--overwrite", folder=tmp_path)
    assert other.returncode == 0, other.stderr
    assert len(list((tmp_path / "pool").glob("*.jpg"))) == 3  # the outdated ones are gone


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--output=pool",), "Name videos"),
        (("drive.mp4", "--output=pool", "--every=often"), "--every: 'often' is neither"),
        (("nope.mp4", "--output=pool"), "nope.mp4 can't be read as a video: no such file"),
        (("notes.mp4", "--output=pool"), "notes.mp4 can't be read as a video"),
        (("drive.mp4", "drive.mov", "--output=pool"), "have the same name"),
        (("drive.mp4", "--output=drive.mp4"), "drive.mp4 is a file"),
        (("drive.mp4", "--output=taken"), "in the way"),
    ],
)
def test_mistakes_end_in_a_sentence(tmp_path, arguments, says):
    write_video(tmp_path / "drive.mp4", brightening(2))
    (tmp_path / "notes.mp4").write_text("no video")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "drive_000000.000.jpg").write_text("mine")
    result = frames(*arguments, folder=tmp_path)
    assert result.returncode == 1
    assert says in result.stderr and "Traceback" not in result.stderr, result.stderr
    assert (tmp_path / "taken" / "drive_000000.000.jpg").read_text() == "mine"
