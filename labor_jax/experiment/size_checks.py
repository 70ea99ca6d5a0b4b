"""Checks that training images and batches are as large as the terms of the losses need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from labor_jax.experiment import batch_inputs
from labor_jax.experiment import components as components_lib
from labor_jax.experiment.components import Components
from labor_jax.experiment.plan import Phase
from labor_jax.training.terms import Terms


def check_image_sizes(components: Components, phases: Iterable[Phase]) -> None:
    """Checks the training images of phases against each term's `smallest_image`.

    Raises:
      ValueError: images are smaller; the error names one.
    """
    for section, terms in _losses(components, phases):
        for name, term in terms.terms.items():
            least = getattr(term, "smallest_image", 1)
            for domain in terms.domains if least > 1 else ():
                (height, width), what = _smallest(components, domain)
                if min(height, width) < least:
                    raise ValueError(
                        f"{what} has {height}x{width} pixels, but the term {name} of "
                        f"config.{section}.terms needs at least {least}x{least}. Leave such images "
                        f"out, enlarge them by config.data.{domain}_size, or set "
                        f"config.{section}.terms.{name} to 0."
                    )


def check_target_batches(components: Components, phases: Iterable[Phase]) -> None:
    """Checks a device's microbatches of the target against each term's `smallest_target_batch`.

    Raises:
      ValueError: they hold fewer images.
    """
    config = components.config
    size, shares = config.target_batch_size, components.mesh.size * components.microbatches
    for section, terms in _losses(components, phases):
        for name, term in terms.terms.items():
            least = getattr(term, "smallest_target_batch", 1)
            if "target" in terms.domains and size < least * shares:
                raise ValueError(
                    f"The term {name} of config.{section}.terms, as config.terms.{name} sets it, "
                    f"needs {least} target images at once, but config.target_batch_size is {size} "
                    f"and cut into {shares} (devices {components.mesh.size}, microbatches "
                    f"{components.microbatches}). Set it to at least {least * shares}, use fewer "
                    f"devices or microbatches, or set config.terms.{name} otherwise."
                )


def check_whole_images(components: Components, phases: Iterable[Phase]) -> None:
    """Checks that crops leave nothing of a target image out where a term needs whole ones.

    Raises:
      ValueError: they do; the error names one.
    """
    for section, terms in _losses(components, phases):
        for name, term in terms.terms.items():
            cut = _cut_image(components) if getattr(term, "whole_images", False) else None
            if cut:
                image, crop = cut
                raise ValueError(
                    f"config.data.augment.crop cuts parts of {image}, but the term {name} of "
                    f"config.{section}.terms, as config.terms.{name} sets it, needs whole images. "
                    f"Set config.data.augment.crop to {crop}, which holds all of them, or "
                    f"config.terms.{name} otherwise."
                )


def _losses(components: Components, phases: Iterable[Phase]) -> Iterator[tuple[str, Terms]]:
    """The sections of the config by which phases train, with the terms of their losses."""
    for section in dict.fromkeys(phase.section for phase in phases if phase.section):
        yield section, components_lib.terms(components.config, section)


def _cut_image(components: Components) -> tuple[str, tuple[int, int]] | None:
    """A target image of which a random crop leaves something out, and a crop that cuts none.

    None if no image is cut.
    """
    images = batch_inputs.training_images(components, "target")
    if images.augment is None or not images.augment.crop:
        return None
    crop, size = images.augment.crop, batch_inputs.training_spec(components, "target").size
    largest = max(images.augment.scale) if images.augment.scale else 1.0
    shown = [
        tuple(round(side * largest) for side in size or images.split.size(number))
        for number in range(len(images.split))
    ]
    for name, sides in zip(images.split.names, shown, strict=True):
        if any(side > most for side, most in zip(sides, crop, strict=True)):
            return f"the target image {name}", tuple(map(max, *shown, crop))
    return None


def _smallest(components: Components, domain: str) -> tuple[tuple[int, int], str]:
    """The smallest (height, width) of a domain's training images, and what has it."""
    images = batch_inputs.training_images(components, domain)
    if images.augment and images.augment.crop:
        return tuple(images.augment.crop), "config.data.augment.crop"
    size = batch_inputs.training_spec(components, domain).size
    if size:
        return tuple(size), f"config.data.{domain}_size"
    number = min(range(len(images.split)), key=lambda i: min(images.split.size(i)))
    return tuple(images.split.size(number)), f"the {domain} image {images.split.names[number]}"
