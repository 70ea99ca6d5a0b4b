"""Lets a term run the model over a whole split before its phase (`before_phase`)."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import numpy as np

from labor_jax import models
from labor_jax.data import pipeline
from labor_jax.experiment import batch_inputs
from labor_jax.experiment import components as components_lib
from labor_jax.experiment.components import Components
from labor_jax.training import loop, processes
from labor_jax.training import mesh as mesh_lib


class Passes:
    """Shows the model, as it was handed on, every image of a domain.

    Example, the mean entropy of each image of the pool:

        def before_phase(self, passes, memory):
            entropies = [rows for _, rows in passes.images("target", mean_entropy)]
    """

    def __init__(
        self,
        components: Components,
        variables: dict[str, Any],
        *,
        stage: int = 0,
        once: Callable[[Hashable, Callable[[], Any]], Any] = lambda key, build: build(),
    ):
        """Takes the model.

        Args:
          components: the run's.
          variables: the model's.
          stage: the phase's.
          once: keeps what was built from one phase to the next, see `Session.once`.
        """
        self._components = components
        self._variables = variables
        self._stage = stage
        self._once = once

    @property
    def stage(self) -> int:
        """How many phases with the same loss came before, in joint training too: 0, 1, …."""
        return self._stage

    @property
    def variables(self) -> dict[str, Any]:
        """The model's variables, whose outputs `images` shows."""
        return self._variables

    def once(self, key: Hashable, find: Callable[[], Any]) -> Any:
        """What `find` returns, found once a run: for what no training changes.

        Args:
          key: tells it from anything else that a term of the run keeps here.
          find: called where the key has not been asked for yet.
        """
        return self._once(("kept", key), find)

    def first_model(self) -> models.Model:
        """The model before the run's first step: with the weights of `config.model.pretrained`."""

        def variables():
            drawn = components_lib.initial_variables(self._components)
            loaded = components_lib.load_pretrained(self._components, drawn)
            return jax.device_get(loaded)  # no device's memory holds them between phases

        return models.Model(
            variables=self.once("first model", variables), network=self._components.segmenter
        )

    def images(
        self,
        domain: str,
        function: Callable[[models.Outputs], Any],
        *,
        with_labels: bool = False,
    ) -> Iterator[tuple[np.ndarray, Any]]:
        """Applies a function to the model's outputs on each image, a batch at a time.

        Images have the training size; labels keep their files' resolution.

        Args:
          domain: "source", or "target" for the pool.
          function: from `Outputs` of a batch (and, with labels, `labels` int32[B, H, W], 255 for
            void) to a tree of arrays with that leading dimension; compiled, so pure. An equal
            function is compiled once a run; one that is defined anew in each phase, in each.
          with_labels: whether the function takes labels as well; the source's only, since the
            pool's are the annotator's.

        Yields:
          (int[n] image numbers, the tree's rows as NumPy arrays). Every process sees all images.

        Raises:
          ValueError: the pool's labels are asked for.
        """
        if with_labels and domain != "source":
            raise ValueError("A pass reads labels of the source alone; the pool has none.")
        components, mesh = self._components, self._components.mesh
        split = components.pair.source if domain == "source" else components.pair.pool
        variables = mesh_lib.replicate(self._variables, mesh)

        def compiled_pass():
            def apply(variables, images, *labels):
                model = models.Model(variables=variables, network=components.frozen_segmenter)
                return function(model(images), *labels)

            arguments = (1, 2) if with_labels else (1,)
            return mesh_lib.data_parallel_map(apply, mesh, batched_arguments=arguments)

        compiled = self._once(("pass", function, with_labels), compiled_pass)
        batches = pipeline.inference_batches(
            split, batch_inputs.inference_spec(components, domain), with_labels=with_labels
        )
        with loop.progress_bar(total=len(split), desc=f"pass over {domain}", unit="image") as bar:
            for batch in batches:
                fields = ("image", "label") if with_labels else ("image",)
                on_device = mesh_lib.shard_batch({name: batch[name] for name in fields}, mesh)
                rows = mesh_lib.local_rows(compiled(variables, *on_device.values()))
                numbers, valid, rows = processes.gathered((batch["index"], batch["valid"], rows))
                bar.update(int(valid.sum()))
                yield numbers[valid], jax.tree.map(lambda each, keep=valid: each[keep], rows)
