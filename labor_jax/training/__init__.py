"""Training of any network: terms, step, state, optimisers, devices, loop, checkpoints."""
