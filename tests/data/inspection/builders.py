"""Builds folders of photos and labels, as people have them."""

import numpy as np
from PIL import Image, ImageDraw

from tests.driving import write

SIZE = (24, 32)


def photo(seed=0, size=SIZE):
    """A photo of many colours, uint8[H, W, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def bands(values, size=SIZE):
    """A label of vertical bands of the values, or of the colours."""
    values = np.asarray(values, np.uint8)
    columns = np.arange(size[1]) * len(values) // size[1]
    return np.broadcast_to(values[columns], (*size, *values.shape[1:])).copy()


def write_photos(folder, count=3, name="{:04}.png", *, size=SIZE):
    for i in range(count):
        write(folder / name.format(i), photo([i, *str(folder).encode()], size))


def write_labels(folder, values, count=3, name="{:04}.png", *, size=SIZE):
    for i in range(count):
        write(folder / name.format(i), bands(values, size))


def turning(orientation):
    """EXIF data with an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def write_turned(path, image, orientation):
    """Writes an image with an EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, exif=turning(orientation))


def write_palette(path, indices, colours):
    """Writes a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(indices)
    image.putpalette([channel for colour in colours for channel in colour])
    image.save(path)


def write_roles(root, values):
    """Source and evaluation with labels of the values or colours, and a pool of photos."""
    for role in ("source", "pool", "evaluation"):
        write_photos(root / role / "images")
        if role != "pool":
            write_labels(root / role / "labels", values)


def smooth_label():
    """A label drawn large and made smaller by interpolation: edges are blends."""
    image = Image.new("RGB", (1280, 960), (128, 64, 128))
    draw = ImageDraw.Draw(image)
    draw.ellipse((200, 160, 800, 800), fill=(0, 0, 142))
    draw.polygon([(600, 40), (1240, 400), (900, 920)], fill=(70, 130, 180))
    return image.resize((640, 480), Image.Resampling.BILINEAR)


def made(folder):
    """Makes a folder and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder
