"""Pictures within the page: photos as WebP, label maps as PNG, laid over each other by the page."""

import base64
import io

import matplotlib as mpl
import numpy as np
from PIL import Image

from labor_jax.data import IGNORE_LABEL
from labor_jax.experiment.report import page
from labor_jax.experiment.report.page import Html, escaped
from labor_jax.output_files import LARGEST_SIDES

LARGEST_SIDE = LARGEST_SIDES[".webp"]
"""Pixels that a side of a photo may have."""

_PHOTO_QUALITY = 85


def photo(pixels: np.ndarray) -> str:
    """A photo uint8[H, W, 3] as a data URI; its sides are `LARGEST_SIDE` at most."""
    return _uri(Image.fromarray(pixels), "WEBP", quality=_PHOTO_QUALITY, method=2)


def labels(classes: np.ndarray, palette: np.ndarray) -> str:
    """A label map uint8[H, W] as a data URI, in the classes' colours; see-through where ignored."""
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)] = palette
    return _paletted(classes, colours, transparent=IGNORE_LABEL)


def mask(asked: np.ndarray) -> str:
    """A mask bool[H, W] as a data URI: white where it holds, see-through elsewhere."""
    colours = np.full((256, 3), 255, np.uint8)
    return _paletted(np.where(asked, 0, 255).astype(np.uint8), colours, transparent=255)


def shades(values: np.ndarray) -> str:
    """Values uint8[H, W] from dark (0) to bright (255) as a data URI, in 32 steps."""
    colours = (255 * mpl.colormaps["magma"](np.linspace(0, 1, 256))[:, :3]).round().astype(np.uint8)
    return _paletted(values // 8 * 8, colours)


def resized(pixels: np.ndarray, by: int) -> np.ndarray:
    """Every `by`-th row and column, at least one of each; for photos, their means."""
    if by == 1:
        return pixels
    if pixels.ndim == 2:
        middles = (np.minimum(np.arange(by // 2, n + by // 2, by), n - 1) for n in pixels.shape)
        return pixels[np.ix_(*middles)]
    return np.asarray(Image.fromarray(pixels).reduce(by))


def panel(
    caption: str, picture: str, *, photo: str = "", dim: bool = False, on_dark: bool = False
) -> Html:
    """A picture with its caption; a click shows it in its own size.

    Args:
      caption: below the picture.
      picture: a data URI.
      photo: the CSS variable that holds a photo to show behind it; "" for none.
      dim: whether the photo is darkened.
      on_dark: whether what is see-through shows black instead.
    """
    shade = "linear-gradient(#000a,#000a)," if dim else ""
    style = f' style="background-image:{shade}var({photo})"' if photo else ""
    style = ' style="background:#222"' if on_dark else style
    return Html(
        '<figure class="panel"><button type="button">'
        f'<img alt="{escaped(caption)}" src="{picture}"{style}></button>'
        f"<figcaption>{escaped(caption)}</figcaption></figure>\n"
    )


def _paletted(values: np.ndarray, colours: np.ndarray, transparent: int | None = None) -> str:
    image = Image.fromarray(np.ascontiguousarray(values))
    image.putpalette(colours.reshape(-1).tolist())
    options = {} if transparent is None else {"transparency": transparent}
    return _uri(image, "PNG", **options)


def _uri(image: Image.Image, kind: str, **options) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return f"data:image/{kind.lower()};base64,{encoded}"


def places(words: str, values: np.ndarray) -> Html:
    """A map of how often each place was asked, as `asked.Asked.places` counts it."""
    uri = shades(np.round(255 * values / values.max()).astype(np.uint8))
    return page.stacked(page.heading("Where it was asked"), panel(words, uri))
