"""Videos that PyAV reads and writes."""

import builtins
import fractions

import numpy as np
import pytest

from labor_jax.data import DataError
from labor_jax.data.files import video
from labor_jax.data.files.video import Every
from tests.videos import brightening, write_video


@pytest.fixture
def path(tmp_path):
    write_video(tmp_path / "drive.mp4", brightening(12))
    return tmp_path / "drive.mp4"


def test_frames_have_numbers_times_and_colours(path):
    frames = list(video.read_frames(path))
    assert [frame.index for frame in frames] == list(range(12))
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(12) / 10)
    image = frames[3].image()
    assert (image.shape, image.dtype) == ((32, 64, 3), np.uint8)
    np.testing.assert_allclose(image, 60, atol=6)
    assert frames[11].name("drive") == "drive_000001.100"
    assert video.is_frame_name("drive_000001.100.png", "drive")
    assert not video.is_frame_name("drive_2_000001.100.png", "drive")
    info = video.read_info(path)
    assert (info.rate, info.frames) == (10, 12)


@pytest.mark.parametrize(
    ("text", "numbers", "rate"),
    [("1s", [0, 10], 1), ("500ms", [0, 5, 10], 2), ("5", [0, 5, 10], 2), ("1", range(12), 10)],
)
def test_every_takes_frames_by_time_or_number(path, text, numbers, rate):
    every = video.parse_every(text)
    assert [frame.index for frame in video.read_frames(path, every)] == list(numbers)
    info = video.read_info(path)
    assert info.taken(every) == len(numbers)
    assert info.taken_rate(every) == rate


def test_every_is_a_time_or_a_number_of_frames():
    assert video.parse_every("0.5s") == Every(seconds=0.5)
    for text in ("", "0", "0s", "1.5", "2 h", "-1s", "1m"):
        with pytest.raises(ValueError, match="neither a time, such as 1s"):
            video.parse_every(text)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (-90, -1), (180, 2)])
def test_frames_are_turned_as_the_video_is_shown(tmp_path, degrees, turns):
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, :16] = 200  # its left is bright
    write_video(tmp_path / "turned.mov", image[None], rotation=degrees)
    (frame,) = video.read_frames(tmp_path / "turned.mov")
    found, expected = frame.image(), np.rot90(image, turns)
    assert found.shape == expected.shape
    assert abs(found.astype(int) - expected).mean() < 10


def test_a_rotation_of_minus_90_shows_the_left_side_above(tmp_path):
    """The matrix of phones: (x, y) is shown at (-y, x), so what was at the left is above."""
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, :16] = 200
    write_video(tmp_path / "turned.mov", image[None], rotation=-90)
    content = (tmp_path / "turned.mov").read_bytes()
    start = content.index(b"tkhd") + 44
    matrix = np.frombuffer(content[start : start + 36], ">i4").reshape(3, 3)[:2, :2] / 2**16
    assert matrix.tolist() == [[0, 1], [-1, 0]]
    (frame,) = video.read_frames(tmp_path / "turned.mov")
    assert frame.image()[:16].mean() > 150 > 50 > frame.image()[-32:].mean()


def test_what_is_written_can_be_read(tmp_path):
    pytest.importorskip("av", reason="videos need PyAV (the extra video)")
    images = brightening(5, size=(31, 45))
    with video.VideoWriter(tmp_path / "out.mp4", fractions.Fraction(30000, 1001)) as writer:
        for image in images[:4]:
            writer.add(image)
        writer.add(np.full((62, 90, 3), 80, np.uint8))  # another size is resized
    found = [frame.image() for frame in video.read_frames(tmp_path / "out.mp4")]
    assert [each.shape for each in found] == [(32, 46, 3)] * 5
    np.testing.assert_allclose(np.mean(found, axis=(1, 2, 3)), np.arange(5) * 20, atol=6)


@pytest.mark.parametrize("damage", ["missing", "text", "empty", "sound"])
def test_what_is_no_video_is_named(tmp_path, damage):
    av = pytest.importorskip("av", reason="videos need PyAV (the extra video)")
    path = tmp_path / "bad.mp4"
    if damage == "sound":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    elif damage != "missing":
        path.write_text("no video at all\n" * 40 if damage == "text" else "")
    with pytest.raises(DataError, match=r"bad\.mp4"):
        video.read_info(path)
    with pytest.raises(DataError, match=r"bad\.mp4"):
        list(video.read_frames(path))


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    load = builtins.__import__

    def missing(name, *arguments, **options):
        if name == "av":
            raise ImportError(name)
        return load(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DataError, match=r"pip install 'labor_jax\[video\]'"):
        video.read_info(tmp_path / "a.mp4")
