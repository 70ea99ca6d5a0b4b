"""That a term's mean over devices and microbatches is the mean over the whole batch."""

import jax
import numpy as np


def rows_of(tree, rows):
    return jax.tree.map(lambda x: x[rows], tree)


def mean(terms):
    """The loss of a batch from the terms of its shares."""
    total, count = (np.sum([np.float64(each[k]) for each in terms]) for k in range(2))
    return total / count if count else 0.0


def assert_exact_mean(compute, outputs, batch, shares=2):
    """`compute(outputs, batch)` returns a `Term`; both are cut into equal shares of rows."""
    size = len(jax.tree.leaves(batch)[0])
    cuts = np.arange(size).reshape(shares, -1)
    whole = mean([compute(outputs, batch)])
    cut = mean([compute(rows_of(outputs, rows), rows_of(batch, rows)) for rows in cuts])
    np.testing.assert_allclose(cut, whole, rtol=1e-4, atol=1e-7)
    return whole
