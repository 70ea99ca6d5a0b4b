"""The addresses of images, which browsers keep."""

import os

from PIL import Image

from labor_jax.annotation.labelling_tool.pool_images import PoolImages


class Pool:
    names = ("a", "b")

    def __init__(self, folder):
        self._folder = folder

    def files(self, i):
        return self._folder / f"{self.names[i]}.png", None


def test_an_image_has_another_address_in_another_run_and_after_its_file_was_replaced(tmp_path):
    for name in Pool.names:
        Image.new("RGB", (4, 3)).save(tmp_path / f"{name}.png")
    pool = Pool(tmp_path)
    before = PoolImages(pool, "run")
    assert before.address(0) == PoolImages(pool, "run").address(0)
    assert before.version(0) != PoolImages(pool, "another run").version(0)
    path = tmp_path / "a.png"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    after = PoolImages(pool, "run")
    assert after.address(0) != before.address(0)
    assert after.address(1) == before.address(1) and after.version(1) != after.version(0)
