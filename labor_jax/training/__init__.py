"""Train state and steps, device mesh, loop, checkpoints."""
