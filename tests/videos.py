"""Tiny videos."""

import fractions

import numpy as np
import pytest


def write_video(path, images, rate=10, rotation=0):
    """Writes uint8[N, H, W, 3], even sizes, as mp4; `rotation` in degrees, counterclockwise."""
    av = pytest.importorskip("av", reason="videos need PyAV (the extra video)")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fractions.Fraction(rate))
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        if rotation:
            stream.set_display_rotation(rotation)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def brightening(count, size=(32, 64), step=20):
    """Grey frames, each brighter than the last by `step`."""
    values = np.arange(count, dtype=np.uint8) * np.uint8(step)
    return np.broadcast_to(values[:, None, None, None], (count, *size, 3)).copy()
