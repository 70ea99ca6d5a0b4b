"""The model card: a README.md with the front matter that Hugging Face reads."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ml_collections import ConfigDict

from labor_jax.data import ROLES, colours
from labor_jax.deployment import weights_licence
from labor_jax.deployment.check import Difference
from labor_jax.deployment.formats import Format
from labor_jax.deployment.run_facts import RunFacts
from labor_jax.models import registry

_NOT_MEASURED = "\N{EN DASH}, no labels to measure on"
_NO_IOU = "\N{EN DASH}, no labels of it"


def write(
    facts: RunFacts, described: dict[str, Any], format: Format, differences: Sequence[Difference]
) -> str:
    """Returns the text of the card.

    Args:
      facts: of the run.
      described: what `model.json` holds.
      format: of the model.
      differences: how far its logits are from the package's.
    """
    sections = {
        "Use": _use(facts, described, format),
        "How good it is": _quality(facts),
        "Data": _data(facts),
        "Answers": _answers(facts),
        "Training": _training(facts, described),
        "Limits": _limits(facts, described, format, differences),
        "Licence": _licence(facts),
    }
    title = f"{facts.config.method} on {facts.pair.name}: {', '.join(facts.pair.classes[:6])}"
    title += ", …" if len(facts.pair.classes) > 6 else ""
    text = "\n\n".join(f"## {name}\n\n{_joined(lines)}" for name, lines in sections.items())
    return f"{_front_matter(facts, format)}\n# {title}\n\n{_summary(facts)}\n\n{text}\n"


def _front_matter(facts: RunFacts, format: Format) -> str:
    library = {"ONNX": "onnx", "StableHLO": "jax", "safetensors": "labor_jax"}[format.title]
    tags = ["semantic-segmentation", "domain-adaptation", "active-learning", "labor_jax"]
    return "\n".join(
        (
            "---",
            "license: other",
            "license_name: see-the-section-licence",
            f"library_name: {library}",
            "pipeline_tag: image-segmentation",
            "tags:",
            *(f"- {json.dumps(tag)}" for tag in (*tags, facts.config.method)),
            *(("metrics:", "- mean_iou") if facts.miou else ()),
            "---",
            "",
        )
    )


def _joined(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def _summary(facts: RunFacts) -> str:
    method, pair = facts.config.method, facts.pair
    text = (
        f"A segmentation network for {len(pair.classes)} classes, trained by labor_jax: method "
        f"`{method}`, data pair `{facts.config.pair}`, seed {facts.config.seed}. It says for each "
        "pixel of an RGB image which class it shows."
    )
    if not facts.is_final:
        text += (
            f" The run was not over at this checkpoint: it is of phase {facts.restored.phase}, "
            f"step {facts.restored.step}; the last phase is {facts.last_phase}."
        )
    return text


def _use(facts: RunFacts, described: dict[str, Any], format: Format) -> Iterator[str]:
    yield format.about
    yield ""
    for side in ("input", "output"):
        tensor = described[side]
        shape = ", ".join(map(str, tensor["shape"]))
        yield (f"- {side} `{tensor['name']}`: {tensor['dtype']}[{shape}], {tensor['meaning']}.")
    yield ""
    yield f"In this folder, after `pip install {format.install}`:"
    yield ""
    yield f"```python\n{format.usage}```"
    own = _not_of_the_package(facts.config.model) if format.builds_network else []
    if own:
        yield ""
        yield (
            f"labor_jax itself has no {' and no '.join(own)}: first import the Python file that "
            "registers what is missing."
        )


def _not_of_the_package(model: ConfigDict) -> list[str]:
    """The backbone and the head that somebody else's file registered, with their names."""
    return [
        f"{kind} `{model[kind]}`"
        for kind in ("backbone", "head")
        if not registry.is_packaged(kind, model[kind])
    ]


def _quality(facts: RunFacts) -> Iterator[str]:
    if facts.miou is None:
        yield f"mIoU on {_measured_on(facts)}: {_NOT_MEASURED}."
    else:
        phase, miou = facts.miou
        yield f"mIoU on {_measured_on(facts)}, after phase {phase}: {100 * miou:.2f}%."
        if facts.restored.results.measured_on == "answers":
            yield "It is an estimate: asked pixels are mostly the hard ones, so it tends to be low."
        if phase != facts.restored.phase:
            yield f"The exported checkpoint is of the later phase {facts.restored.phase}."
    yield ""
    yield "| number | class | colour | IoU |"
    yield "|---:|---|---|---:|"
    for number, (name, colour) in enumerate(
        zip(facts.pair.classes, facts.pair.palette, strict=True)
    ):
        iou = facts.per_class_iou.get(name)
        none = _NO_IOU if facts.miou else _NOT_MEASURED
        shown = none if iou is None or iou != iou else f"{100 * iou:.2f}%"
        yield f"| {number} | {_cell(name)} | `{colours.text(colour)}` | {shown} |"


def _measured_on(facts: RunFacts) -> str:
    """What the last mIoU was measured on."""
    results = facts.restored.results
    if results.measured_on != "answers":
        return "the target's evaluation images"
    count = results.measured.get(facts.miou[0]) if facts.miou else None
    if count is None:
        return "answers in held-out images of the pool"
    return f"{count['pixels']:,} answers in {count['images']:,} held-out images of the pool"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _data(facts: RunFacts) -> Iterator[str]:
    roles = {
        "source": "labelled source images",
        "pool": "target images to train on",
        "evaluation": "target images to measure on",
    }
    config = facts.config.data
    for role in ROLES:
        split = getattr(facts.pair, role)
        if split is None:
            yield f"- {roles[role]}: none, or not readable when the model was exported"
            continue
        height, width = split.size(0)
        resized = config.get({"pool": "target_size"}.get(role, f"{role}_size"))
        size = f", the first of {width}x{height} pixels"
        if resized and tuple(resized) != (height, width):
            size += f", used at {resized[1]}x{resized[0]}"
        yield f"- {roles[role]}: {len(split)}{size}"


def _answers(facts: RunFacts) -> Iterator[str]:
    answers = facts.answers
    if not answers.rounds and not answers.existing_images:
        yield "The model was trained without a label of the target."
        return
    if answers.existing_images:
        yield (
            f"- labels that existed before the first round: {answers.existing_pixels:,} pixels in "
            f"{answers.existing_images:,} images"
        )
    yield f"- rounds: {answers.rounds}"
    if answers.whole_images:
        yield f"- images asked as a whole: {answers.images:,}"
    else:
        yield f"- images asked about: {answers.images:,}"
        yield f"- points, regions or segments asked: {answers.questions:,}"
    void = f", of which {answers.void:,} are void" if answers.void else ""
    yield f"- answered pixels: {answers.pixels:,}{void}"
    if answers.held_out_images:
        yield (
            f"- answered besides, to measure and never to train: {answers.held_out_pixels:,} "
            f"pixels in {answers.held_out_images:,} held-out images"
        )
    if answers.by_people:
        measured = f"{answers.seconds:,.0f} seconds" if answers.seconds else "not measured"
        yield f"- time of the people who answered: {measured}"
    else:
        yield "- answered by the pool's own labels, not by people"


def _training(facts: RunFacts, described: dict[str, Any]) -> Iterator[str]:
    config, run = facts.config, described["run"]
    model = config.model
    yield f"- config: `{config.method}:{config.pair}`, protocol `{config.protocol}`"
    if config.rounds:
        yield f"- acquisition: `{config.acquisition.method}`; rounds planned: {config.rounds}"
    yield (
        f"- network: backbone `{model.backbone}`, head `{model.head}`, output stride "
        f"{model.output_stride}; all fields are in model.json"
    )
    start = model.pretrained or "random"
    if config.warm_start:
        start = f"those of the run {config.warm_start}, which started from: {start}"
    yield f"- weights to start from: {start}"
    yield f"- checkpoint: {run['checkpoint']}, phase {run['phase']}, step {run['step']:,}"
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    yield f"- exported {described['exported']} with {versions}"


def _limits(
    facts: RunFacts, described: dict[str, Any], format: Format, differences: Sequence[Difference]
) -> Iterator[str]:
    _, height, width, _ = described["input"]["shape"]
    yield f"- Every image is resized to {width}x{height}, whatever its shape."
    yield "- Each pixel gets one of the classes, also where none of them is right."
    for difference in differences:
        yield (
            f"- Checked on {_cell(difference.images)}: logits differ from labor_jax's by at most "
            f"{difference.largest:.2g} (the largest logit is "
            f"{difference.largest_logit:.3g}), {100 * difference.equal_classes:.3f}% of the pixels "
            "get the same class."
        )
    for limit in inference_limits(facts):
        yield f"- {limit}"
    if facts.config.model.dtype != "float32":
        yield f"- The run computed in {facts.config.model.dtype}; this model does in float32."
    yield "- Images unlike those of the target domain were not tried."


def inference_limits(facts: RunFacts) -> list[str]:
    """How the run's own predictions differ from those of the exported network; a sentence each."""
    config = facts.config
    used = []
    if config.evaluation_flip:
        used.append("mirror images (evaluation_flip)")
    if tuple(config.evaluation_scales) != (1.0,):
        used.append("several scales (evaluation_scales)")
    if config.evaluation_window:
        used.append("windows (evaluation_window)")
    limits = []
    if used:
        limits.append(
            f"The run predicts with {', '.join(used)}, and its mIoU is measured so. The exported "
            "network sees the whole image once, so its predictions differ."
        )
    return limits


def _licence(facts: RunFacts) -> Iterator[str]:
    yield weights_licence.describe(facts.config)
    yield ""
    yield (
        f"The licence of the data (`{facts.config.pair}`) is not known to labor_jax: check whether "
        "it allows what you do with a model trained on it. Choose the licence of this model, and "
        "name it at the top of this file."
    )
