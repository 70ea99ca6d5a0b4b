"""Makes the folder that somebody with photos of their own has, out of CamVid's files.

    python own_photos.py --camvid DIR --output mydata

    mydata/source/images, labels    drives by day, with labels in the classes' colours
    mydata/pool/images              photos at dusk, large, small and upright, some turned by EXIF
    mydata/labelled_before          labels that exist already, of at most five of these photos
    mydata/classes.csv              number, name and colour of each class

The last lines that it prints are the commands to go on with. docs/your-own-data.md explains them.
"""

import argparse
import csv
from pathlib import Path

from PIL import ExifTags, Image

import labor_jax

TURNED_LEFT, UPSIDE_DOWN = 6, 3  # EXIF orientations: a viewer turns such a photo right again

NEXT = """
labor-jax check {root}
labor-jax run ppl:folders {fields} --workdir runs/mine
labor-jax annotate --workdir runs/mine          # label, stop it with Ctrl-C, and run again
"""


def upright(image: Image.Image) -> Image.Image:
    """The middle of an image, as high as before and three quarters as wide as high."""
    width = image.height * 3 // 4
    left = (image.width - width) // 2
    return image.crop((left, 0, left + width, image.height))


def shape(image: Image.Image, number: int) -> Image.Image:
    """An image of the pool, or its label, as it is shown: of a size that depends on its number."""
    kind = number % 5
    if kind == 1:
        return image.resize((image.width * 4 // 3, image.height * 4 // 3), Image.Resampling.NEAREST)
    return upright(image) if kind in (2, 3) else image


def save_photo(image: Image.Image, number: int, path: Path) -> None:
    """Saves a photo as a camera does: some are stored turned, and EXIF says how to show them."""
    exif = Image.Exif()
    if number % 5 == 3:
        image = image.transpose(Image.Transpose.ROTATE_90)
        exif[ExifTags.Base.Orientation] = TURNED_LEFT
    elif number % 5 == 4:
        image = image.transpose(Image.Transpose.ROTATE_180)
        exif[ExifTags.Base.Orientation] = UPSIDE_DOWN
    image.save(path, quality=92, exif=exif)


def save_colours(label: Image.Image, palette, path: Path) -> None:
    """Saves a label map of class numbers in the classes' colours; void is black."""
    label = label.convert("P")
    label.putpalette(palette.flatten().tolist() + [0] * 3 * (256 - len(palette)))
    label.convert("RGB").save(path)


def write_classes(pair, path: Path) -> None:
    """Writes the class table: what codes each class in label files."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("number", "name", "colour", "void"))
        for number, (name, colour) in enumerate(zip(pair.classes, pair.palette, strict=True)):
            table.writerow((number, name, "#{:02x}{:02x}{:02x}".format(*colour), "no"))
        table.writerow((255, "void", "#000000", "yes"))


def spread(total: int, count: int) -> list[int]:
    """Numbers of `count` images, evenly chosen out of `total`; all of them for a count of 0."""
    count = min(count, total) or total
    return [i * total // count for i in range(count)]


def write(pair, root: Path, images: int) -> dict[str, int]:
    """Writes the folder, and returns how many images each part of it has."""
    folders = ["source/images", "source/labels", "pool/images", "labelled_before"]
    source_images, source_labels, pool_images, labelled_before = (root / name for name in folders)
    for name in folders:
        (root / name).mkdir(parents=True)

    write_classes(pair, root / "classes.csv")
    source = spread(len(pair.source), images)
    for i in source:
        name = Path(pair.source.names[i]).name
        Image.fromarray(pair.source.image(i)).save(source_images / f"{name}.jpg", quality=92)
        save_colours(
            Image.fromarray(pair.source.label(i)), pair.palette, source_labels / f"{name}.png"
        )

    pool = spread(len(pair.pool), images)
    labelled = spread(len(pool), min(5, len(pool) // 2) or 1)
    for number, i in enumerate(pool):
        name = Path(pair.pool.names[i]).name
        photo = shape(Image.fromarray(pair.pool.image(i)), number)
        save_photo(photo, number, pool_images / f"{name}.jpg")
        if number in labelled:
            label = shape(Image.fromarray(pair.pool.label(i)), number)
            save_colours(label, pair.palette, labelled_before / f"{name}.png")
    return {"source": len(source), "pool": len(pool), "labelled_before": len(labelled)}


def main() -> None:
    """Makes the folder and prints what it holds."""
    parser = argparse.ArgumentParser(description="Makes a folder of one's own photos of CamVid.")
    parser.add_argument("--camvid", required=True, help="CamVid's folder, with images and labels")
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    parser.add_argument("--images", type=int, default=0, help="at most so many a role; 0: all")
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"--output: {arguments.output} exists already. Name a new folder.")
    if arguments.images < 0:
        parser.error(f"--images is {arguments.images}; it is a number of images, or 0 for all.")

    config = labor_jax.get_config("source_only", "camvid")
    config.data.root = arguments.camvid
    try:
        pair = labor_jax.data.load_pair("camvid", config.data, ("source", "pool"))
    except labor_jax.data.DataError as error:
        parser.error(f"--camvid: {error}")
    counts = write(pair, arguments.output, arguments.images)

    root = arguments.output
    print(f"{root / 'source'}: {counts['source']} images by day, with labels in colours")
    print(f"{root / 'pool'}: {counts['pool']} photos at dusk, of several sizes, without labels")
    print(f"{root / 'labelled_before'}: labels of {counts['labelled_before']} of these photos")
    fields = [
        f"--config.data.root={root}",
        "--config.data.classes=classes.csv",
        "--config.annotator=human",
        f"--config.annotation.existing_labels={root / 'labelled_before'}",
    ]
    print("Go on with:", NEXT.format(root=root, fields=" ".join(fields)))


if __name__ == "__main__":
    main()
