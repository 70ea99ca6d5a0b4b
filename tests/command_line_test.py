"""What the commands share."""

import importlib

from labor_jax import command_line


def test_the_errors_that_are_told_in_a_sentence_exist():
    for module, name in command_line._MENDABLE.items():
        assert issubclass(getattr(importlib.import_module(module), name), Exception)
    assert len(command_line._mendable()) == 1 + len(command_line._MENDABLE)
