"""Which tests `make test` leaves out, and `make test-all` runs.

They are slow, and like another test with one more method, network or way; or they run as a whole
what others check in its parts.
"""

import pytest


def all_but(fast, values):
    """Values of a parametrization, marked as slow but for the fast ones.

    Args:
        fast: Those that stand for the others in `make test`.
        values: All of them, or tuples of them with several arguments.
    """
    missing = set(fast) - set(values)
    assert not missing, f"{missing} are none of the values"

    def marked(value):
        values = value if isinstance(value, tuple) else (value,)
        return pytest.param(*values, marks=pytest.mark.slow)

    return [value if value in fast else marked(value) for value in values]
