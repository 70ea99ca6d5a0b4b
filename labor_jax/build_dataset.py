"""Builds TFDS data sets: `labor-jax build_dataset --dataset gtav --folder DIR`.

Builds a TFDS data set from the official folders of GTAV, SYNTHIA, Cityscapes, ACDC or BDD100K and
prints its folder. Training needs no built data set: it reads the official folders too.
"""

from collections.abc import Sequence

from absl import app, flags

from labor_jax import command_line

_DATASET = flags.DEFINE_string("dataset", None, "gtav, synthia, cityscapes, acdc or bdd100k.")
_FOLDER = flags.DEFINE_string("folder", None, "Where its official archives are unpacked.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "The folder of TFDS data sets to write to (default: TFDS's own)."
)


def main(argv: Sequence[str]) -> None:
    """Builds a data set and prints its folder."""
    if len(argv) > 1 or not (_DATASET.value and _FOLDER.value):
        raise app.UsageError("Give --dataset and --folder.")
    from labor_jax.data.driving import builders

    if _DATASET.value not in builders.BUILDERS:
        raise app.UsageError(f"--dataset must be one of {', '.join(builders.BUILDERS)}.")
    print(builders.build(_DATASET.value, _FOLDER.value, _DATA_DIR.value))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
