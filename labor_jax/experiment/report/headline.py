"""What a reader wants to know first: how good, how sure, at what cost, what fails, what next."""

import shlex
from collections.abc import Sequence
from typing import Any

from labor_jax.annotation import cost
from labor_jax.experiment import amounts
from labor_jax.experiment.report import costs, page, quality, stages
from labor_jax.experiment.report.page import Html, Tile
from labor_jax.experiment.report.questions import Questions
from labor_jax.experiment.report.run_files import RunFiles

WEAK = 0.6
"""A class fails if its IoU is below this share of the mIoU."""

ENOUGH_GAIN = 0.01
"""A last round that gains less mIoU than this speaks against another one."""

_FEW = 1 / 3  # of the answers that a class would have if all had the same number
_LISTED = 3  # failing classes that are named
_AFTER = {
    "supervised": "training on source alone",
    "warmup": "the warm-up",
    "joint": "the training before round 1",
}
_CLOCK = "by the labelling tool's clock"
_CLOCKS = {"measured": _CLOCK, "partly measured": f"{_CLOCK}, which timed a part of them"}


def headline(run: RunFiles, found: Questions, compared: Sequence[cost.CostRow]) -> Html:
    """The sentences below the title, and the numbers below that.

    Args:
      run: the run.
      found: what it asked.
      compared: what that cost, beside other labels.
    """
    sentences = [_how_good(run), _sure_sentence(run), _cost_sentence(compared), _weak_sentence(run)]
    said = " ".join(filter(None, sentences))
    return page.joined([page.paragraph(said, kind="headline"), page.tiles(_tiles(run, found))])


def next_steps(run: RunFiles, found: Questions, *, over: bool = True) -> list[str]:
    """What to do next, by simple rules; each sentence says what it follows from.

    What is between backticks is typed: a command, a flag or a field.

    Args:
      run: the run.
      found: what it asked.
      over: whether the run is.
    """
    summary, workdir = run.summary, shlex.quote(str(run.folder.path))
    rounds = summary["rounds"]
    steps = []
    if not over and run.asks_people and stages.waiting_round(run.store) is not None:
        steps.append(
            f"Answer what is asked, with `labor-jax annotate --workdir {workdir}`. Then give the "
            "run's command again."
        )
    elif not over:
        steps.append("If the run has stopped, rerun its command: it goes on where it was.")
    if summary.get("measured_on") == "nothing":
        steps.append(
            "Nobody knows mIoU, as there are no labels to measure on. A new run with "
            "`--config.data.evaluation_from_answers=0.2` measures it on a share of the answers."
        )
    if over:
        steps += _about_best(run)
        steps += _about_rounds(run)
    steps += _about_classes(run, found)
    if rounds and over and summary.get("final_miou") is not None:
        other = f"--config.seed={summary['seed'] + 1} --workdir=OTHER"
        steps.append(
            "Before you compare this with another method, run two more seeds (the same command "
            f"with `{other}`), and compare them: `labor-jax report {workdir} OTHER …`."
        )
    return steps


def weak_classes(summary: dict[str, Any]) -> list[tuple[str, float]]:
    """The classes that fail with their IoU, the worst first."""
    miou = summary.get("final_miou")
    known = [
        (name, iou) for name, iou in (summary.get("per_class_iou") or {}).items() if iou is not None
    ]
    if not known or miou is None:
        return []
    return sorted((each for each in known if each[1] < WEAK * miou), key=lambda each: each[1])


def _how_good(run: RunFiles) -> str:
    summary = run.summary
    miou, rounds = summary.get("final_miou"), summary["rounds"]
    share = ""
    if rounds:
        labelled = amounts.share(rounds[-1]["labelled_fraction"])
        share = f"With {labelled} of the pool's pixels labelled, "
    if miou is None:
        return f"{share}the model is trained, but its mIoU is unknown." if share else ""
    sentence = f"{share}{'mIoU' if share else 'The mIoU'} is {100 * miou:.1f}%"
    before = stages.before_rounds(summary)
    if rounds and before:
        gain = 100 * (miou - before[1])
        side = "more" if gain >= 0 else "less"
        sentence += f", {abs(gain):.1f} points {side} than before the first query"
    supervised = quality.supervised_beside(run)
    if supervised:
        sentence += f", and {100 * miou / supervised:.0f}% of what all labels give"
    return sentence + "."


def _weak_sentence(run: RunFiles) -> str:
    weak = weak_classes(run.summary)
    if run.summary.get("final_miou") is None:
        return ""
    if not weak:
        return "No class is far below the mean."
    named = ", ".join(f"{name} ({100 * iou:.0f}%)" for name, iou in weak[:_LISTED])
    more = len(weak) - _LISTED
    return f"The classes that fail are {named}{f' and {more} more' if more > 0 else ''}."


def _sure_sentence(run: RunFiles) -> str:
    error = run.summary.get("miou_error")
    if run.summary.get("final_miou") is None:
        return ""
    sentence = "This is one seed, and only more runs tell how far seeds differ."
    if error is None:
        return sentence
    return f"{sentence} Other evaluation images would move mIoU by about {100 * error:.1f} points."


def _cost_sentence(compared: Sequence[cost.CostRow]) -> str:
    """The run's time, beside that of full labels: by the same rates, or by published ones."""
    own = [row for row in compared if row.name == costs.THIS_RUN][:1]
    if not own:
        return ""
    (own,) = own
    by = _CLOCKS.get(own.basis, f"by {_rates(own.basis)}")
    full = {row.basis: row.hours for row in compared if row.name == costs.FULL}
    basis = own.basis if own.basis in full else cost.PUBLISHED.name
    others = f"; full labels would cost {_hours(full[basis])}" if basis in full else ""
    if others and basis != own.basis:
        others += f" by {_rates(basis)}"
    return f"The labels cost {_hours(own.hours)} of people's time {by}{others}."


def _hours(hours: float) -> str:
    return amounts.duration(3600 * hours)


def _rates(basis: str) -> str:
    return "published rates" if basis == cost.PUBLISHED.name else basis


def _tiles(run: RunFiles, found: Questions) -> list[Tile]:
    summary = run.summary
    rounds, miou = summary["rounds"], summary.get("final_miou")
    before = stages.before_rounds(summary)
    note = f"from {100 * before[1]:.1f}% ({before[0]})" if before and rounds else ""
    listed = [Tile("How good: mIoU", "unknown" if miou is None else f"{100 * miou:.1f}%", note)]
    if miou is not None:
        error = summary.get("miou_error")
        value = "1 seed" if error is None else f"±{100 * error:.1f}"
        others = "" if error is None else "points over other images; one seed; "
        listed.append(Tile("How sure", value, others + _measured(summary)))
    if rounds:
        last = rounds[-1]
        source = last.get("annotation_source", "published")
        by = _rates(costs.run_seconds(last)[0][0])
        by = f"{by} time" if source != "published" else by
        dollars = last.get("annotation_dollars")
        paid = "" if dollars is None else f", {amounts.decimals(dollars, 0)}\N{NO-BREAK SPACE}$"
        images = max(costs.pool_images(run), 1)
        clicks = "clicks" in last and f", {amounts.count(last['clicks'] / images)} clicks an image"
        listed += [
            Tile("People's time", amounts.duration(last["annotation_seconds"]), f"{by}{paid}"),
            Tile(
                "Labelled",
                amounts.share(last["labelled_fraction"]),
                f"{amounts.count(last['pixels_per_image'])} pixels{clicks or ' an image'}",
            ),
        ]
    total = found.statistics.total
    if total.class_pixels.any():
        listed.append(
            Tile(
                "Asked",
                f"{total.effective_classes:.1f} of {len(run.classes)}",
                f"classes, as their effective number; {total.classes_per_image:.1f} in an image",
            )
        )
    worst = weak_classes(summary)[:1]
    if worst:
        listed.append(Tile("Weakest class", worst[0][0], f"IoU {100 * worst[0][1]:.1f}%"))
    listed.append(
        Tile("Computing", amounts.duration(summary["wall_seconds"]), summary.get("device") or "")
    )
    return listed


def _measured(summary: dict[str, Any]) -> str:
    pixels = sum(map(sum, summary.get("confusion") or ()))
    on = f"on {pixels:,} labelled pixels" if pixels else "on the evaluation images"
    if summary.get("measured_on") == "answers":
        on = f"an estimate, on {pixels:,} answers" if pixels else "an estimate, on answers"
    return on


def _about_best(run: RunFiles) -> list[str]:
    """Whether an earlier checkpoint is better than the last one."""
    last = run.summary.get("final_miou")
    if run.best is None or last is None or run.best[1] <= last:
        return []
    phase, miou = run.best
    words = _AFTER.get(phase) or phase.partition("/")[0].replace("_", " ")
    return [
        f"The model after {words} was better than the last one ({100 * miou:.1f}%): `labor-jax "
        "predict` uses the best checkpoint with `--checkpoint=best`."
    ]


def _about_rounds(run: RunFiles) -> list[str]:
    """Whether another round is worth it."""
    rounds = [each for each in run.summary["rounds"] if each["miou"] is not None]
    if not rounds:
        return []
    before = stages.before_rounds(run.summary)
    mious = [*([before[1]] if before else []), *(each["miou"] for each in rounds)]
    steps = []
    if len(mious) > 1:
        gain = mious[-1] - mious[-2]
        said = f"The last round changed mIoU by {100 * gain:+.1f} points"
        if gain >= ENOUGH_GAIN:
            steps.append(
                f"{said}: another round will probably still help. This run keeps its number of "
                "rounds, so that takes a new run with a larger `config.rounds`."
            )
        else:
            longer = (
                "leave out `--config.schedule=short`"
                if _is_short(run)
                else "raise `config.round.steps`"
            )
            steps.append(
                f"{said}: more labels of the same kind will hardly help. Train longer ({longer}) "
                "or ask for other pixels."
            )
    return steps


def _about_classes(run: RunFiles, found: Questions) -> list[str]:
    """What may help classes that fail: more of their pixels, or telling them from others."""
    weak = weak_classes(run.summary)[:_LISTED]
    counts = found.statistics.total.class_pixels
    steps = [_about_class(run, found, name, iou) for name, iou in weak]
    few = [name for name, _ in weak if counts.sum() and _is_few(run, found, name)]
    others = [name for name, _ in weak if name not in few]
    if few:
        steps.append(
            f"Ask for more of {', '.join(few)}, as with `config.acquisition.class_weights=answers`."
        )
    if others:
        steps.append(f"Compare labels and predictions of {', '.join(others)} in the images below.")
    return steps


def _is_few(run: RunFiles, found: Questions, name: str) -> bool:
    """Whether a class has few of the answers."""
    return found.share(run.classes.index(name)) < _FEW / len(run.classes)


def _about_class(run: RunFiles, found: Questions, name: str, iou: float) -> str:
    """Of a class that fails: what it is taken for, and how many answers it has."""
    number = run.classes.index(name)
    counts = found.statistics.total.class_pixels
    mistaken = [(other, share) for label, other, share in quality.mixed_up(run) if label == name]
    taken = (
        f" {100 * mistaken[0][1]:.0f}% of its pixels are taken for {mistaken[0][0]}."
        if mistaken
        else ""
    )
    said = f"{name} (IoU {100 * iou:.0f}%):{taken}"
    if not counts.sum():
        return said if taken else f"{name} (IoU {100 * iou:.0f}%) fails."
    share = found.share(number)
    asked = f" {counts[number]:,} of {counts.sum():,} answers are of it ({100 * share:.1f}%)"
    if _is_few(run, found, name):
        return f"{said}{asked}, which is few."
    return f"{said}{asked}, so more answers may not be enough."


def _is_short(run: RunFiles) -> bool:
    return run.config.get("schedule") == "short"
