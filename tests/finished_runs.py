"""Workdirs as finished runs leave them, without the runs."""

import json

from labor_jax.annotation import LabelStore

CLASSES = ("road", "sky", "tree")
UNASKED = 9
"""The label of pixels that are not asked, see `answered_store`."""


def answered_store(path, rounds):
    """A label store whose rounds asked the labelled pixels of each image's map."""
    store = LabelStore(path, classes=CLASSES)
    for number, maps in enumerate(rounds, start=1):
        names = [f"image {each}" for each in range(len(maps))]
        store.open_round(number, names)
        store.ask_and_answer_many(
            number,
            [
                (name, labels != UNASKED, labels, None)
                for name, labels in zip(names, maps, strict=True)
            ],
        )
    return store


def write_run(
    workdir, *, miou=0.5, seed=0, rounds=2, images=4, pixels=10, clicks=6, finished=True, **fields
):
    """Writes config.json and summary.json; `pixels` and `clicks` are an image's, over all rounds.

    Fields are named as in a config, with two underscores for a dot.
    """
    config = {"method": "random", "pair": "street", "seed": seed, "warm_start": "", "log_every": 20}
    config["acquisition"] = {"method": "random", "fraction": 0.0, "radius": 1}
    config["warmup"] = {"steps": 100}
    for name, value in fields.items():
        *sections, last = name.split("__")
        here = config
        for section in sections:
            here = here[section]
        here[last] = value
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(json.dumps(config))
    summary = {
        "method": config["method"],
        "seed": seed,
        "final_miou": miou,
        "source_only_miou": miou / 2,
        "per_class_iou": dict.fromkeys(CLASSES, miou),
        "wall_seconds": 90.0,
        "rounds": [
            {
                "round": number,
                "miou": miou,
                "labelled_pixels": images * pixels * number // rounds,
                "labelled_fraction": pixels * number / rounds / 1000,
                "pixels_per_image": pixels * number / rounds,
                "clicks": images * clicks * number // rounds,
                "work": {"points": images * clicks * number // rounds},
                "annotation_seconds": 3600.0 * number,
                "published_seconds": 3600.0 * number,
                "labor_seconds": 1800.0 * number,
            }
            for number in range(1, rounds + 1)
        ],
    }
    if finished:
        (workdir / "summary.json").write_text(json.dumps(summary))
    return workdir
