"""The kinds of phases, one file each: what a phase runs, and what it hands on.

`experiment.plan` lists a run's phases. A kind is a module with

- `evaluates`, whether the phase changes the model, so that it ends in an evaluation;
- `domains(config, phase)`, the domains whose training images it reads;
- `build_training(components, phase)`, of kinds that train: a `phase_training.Training`;
- `first_state(components, phase, handover, key)`, the state of its step 0, None if it has none;
- `checkpointed(handover)`, what a checkpoint within the phase keeps of the handover;
- `hand_on(components, phase, handover, state)`, what it hands on at its end;
- `run(session, phase, handover, state, save)`, which does the work and returns what it hands on:
  `state` is where a checkpoint left it, or None, and `save(taken, handover, state)` writes one.

The three before `run` are pure. What any checkpoint holds follows from their shapes, see
`experiment.restore.checkpoint_template`.
"""

from labor_jax.experiment.phases import query, train_model, train_selector

KINDS = {"train_model": train_model, "train_selector": train_selector, "query": query}
"""What `Phase.kind` names."""
