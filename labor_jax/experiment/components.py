"""What a config names: data, networks, devices; built and checked once."""

import dataclasses
import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from labor_jax import adaptation, models
from labor_jax import devices as devices_lib
from labor_jax.data import ROLES, Pair, Split, class_counts, load_pair
from labor_jax.evaluation import evaluator
from labor_jax.evaluation.inference import Inference
from labor_jax.experiment.keys import named_key
from labor_jax.experiment.plan import plan
from labor_jax.training import loop, microbatches
from labor_jax.training import mesh as mesh_lib
from labor_jax.training.terms import Terms


@dataclasses.dataclass(frozen=True)
class Components:
    """What a run works with.

    Attributes:
      config: the run's.
      pair: source, pool and evaluation split.
      mesh: the devices, see `mesh.devices_for`.
      segmenter: the model's network, with an auxiliary head if a term reads it; training it
        updates batch norm as the config says.
      frozen_segmenter: the same with frozen batch norm, for predictions and the pixel selector.
      inference: how predictions are made for evaluation, pictures and people; its windows are those
        of scoring the pool, too.
      microbatches: into how many microbatches a device cuts its batches.
    """

    config: ConfigDict
    pair: Pair
    mesh: Mesh
    segmenter: models.Segmenter
    frozen_segmenter: models.Segmenter
    inference: Inference
    microbatches: int

    @property
    def evaluation_batch_size(self) -> int:
        """The config's, rounded up to a multiple of the devices, as each takes as many images."""
        return -(-self.config.evaluation_batch_size // self.mesh.size) * self.mesh.size

    @functools.cached_property
    def variable_shapes(self) -> dict[str, Any]:
        """The model's variables, as `jax.ShapeDtypeStruct`."""
        return jax.eval_shape(lambda: initial_variables(self))

    @functools.cached_property
    def source_class_counts(self) -> np.ndarray | None:
        """Pixels of each class in each source image, int64[N, C]; None if each is drawn once.

        Raises:
          DataError: a label of the source cannot be read.
        """
        data = self.config.data
        if data.source_sampling == "each_once":
            return None
        return class_counts.read_counts(
            self.pair.source,
            self.pair.num_classes,
            cache_folder=data.cache_folder,
            num_threads=data.num_threads,
            progress=functools.partial(
                loop.progress_bar, desc="classes of the source", unit="label"
            ),
        )


def build(
    config: ConfigDict,
    pair: Pair | None = None,
    *,
    roles: Collection[str] = ROLES,
    devices: Sequence[jax.Device] | None = None,
) -> Components:
    """Builds the networks and loads (and checks) the data.

    Args:
      config: see `labor_jax.config`.
      pair: data that stands in for what `config.pair` names.
      roles: the splits to read; the others are None.
      devices: those to use; None for all.

    Raises:
      DataError, ValueError: from the data or the model's config.
      DeviceError: JAX can't use the devices that it was told to use.
    """
    if devices is None:
        devices = devices_lib.available()
        devices_lib.warn_of_unused_gpu(devices)
    auxiliary = any(
        terms(config, section).uses_auxiliary_head
        for section, fields in config.items()
        if isinstance(fields, ConfigDict) and "terms" in fields
    )
    pair = pair if pair is not None else load_pair(config.pair, config.data, roles)
    batch_sizes = _batch_sizes(config)
    mesh = mesh_lib.device_mesh(mesh_lib.devices_for(batch_sizes, devices))
    build_segmenter = functools.partial(
        models.build_segmenter, config.model, pair.num_classes, auxiliary=auxiliary
    )
    return Components(
        config=config,
        pair=pair,
        mesh=mesh,
        segmenter=build_segmenter(axis_name=mesh_lib.BATCH_AXIS),
        frozen_segmenter=build_segmenter(batch_norm="frozen"),
        inference=Inference(
            flip=config.evaluation_flip,
            scales=tuple(config.evaluation_scales),
            window=config.evaluation_window and tuple(config.evaluation_window),
            overlap=config.evaluation_overlap,
        ),
        microbatches=microbatches.microbatches_for(
            batch_sizes,
            devices=mesh.size,
            per_device=config.per_device_batch_size,
            at_least=config.gradient_accumulation,
        ),
    )


def _batch_sizes(config: ConfigDict) -> dict[str, int]:
    """Images a step of the domains that a config trains on, by the field that sets them.

    Phases that another run has taken count, too: what a run computes must not depend on whether
    that run's folder is still there.
    """
    sections = {phase.section for phase in plan(config) if phase.section}
    domains = {domain for section in sections for domain in terms(config, section).domains}
    return {
        field: config[field] for field in (f"{domain}_batch_size" for domain in sorted(domains))
    }


def terms(config: ConfigDict, section: str) -> Terms:
    """Builds the loss of a config section from its table of weights.

    Raises:
      ValueError: a term that nobody registered, a setting that makes no sense, or a view that no
        term makes.
    """
    weights = {name: weight for name, weight in config[section].terms.items() if weight}
    built = adaptation.build_all(weights, config.terms)
    try:
        # The selector's batch norm is frozen, so that it has no such field.
        return Terms(weights, built, config[section].get("running_statistics", "target"))
    except ValueError as error:
        raise ValueError(f"config.{section}.terms: {error}") from error


def image_size(components: Components) -> tuple[int, int]:
    """A size (height, width) of training images, for shapes that don't depend on it."""
    return tuple(components.config.data.target_size or (64, 64))


def initial_variables(components: Components) -> dict[str, Any]:
    """The model's variables before the first step, drawn from the run's seed."""
    key, _ = jax.random.split(named_key(components.config.seed, "initial"))
    return models.init_variables(components.segmenter, key, image_size(components))


def load_pretrained(components: Components, variables: dict[str, Any]) -> dict[str, Any]:
    """The variables with the weights that `config.model.pretrained` names, if any.

    Raises:
      WeightsError: see `models.load_weights`.
    """
    source = components.config.model.pretrained
    if not source:
        return variables
    return models.load_weights(source, components.segmenter, variables, components.pair.classes)


def make_evaluation(components: Components) -> Callable[[Any, Split], evaluator.Evaluation]:
    """Compiles the evaluation that the config describes.

    Returns:
      A function of a model's variables and the split to evaluate them on.
    """
    evaluate = evaluator.make_evaluator(
        components.frozen_segmenter,
        components.pair.classes,
        components.mesh,
        class_subsets=components.pair.class_subsets,
        inference=components.inference,
    )

    def evaluate_model(model: Any, split: Split) -> evaluator.Evaluation:
        return evaluate(
            mesh_lib.replicate(model, components.mesh),
            split,
            batch_size=components.evaluation_batch_size,
            size=components.config.data.evaluation_size,
            num_threads=components.config.data.num_threads,
        )

    return evaluate_model
