"""The plain loop_carry that the selections are compared with."""

import numpy as np
import pytest


def _greedy(score, available, count, radius, suppression_radius):
    """One full search a pick, by the words of the contract."""
    height, width = score.shape
    available = available.copy()
    query = np.zeros((height, width), bool)
    centers = np.full((count, 2), -1, np.int32)

    def window(y, x, reach):
        return (
            slice(max(y - reach, 0), y + reach + 1),
            slice(max(x - reach, 0), x + reach + 1),
        )

    for pick in range(count):
        candidates = [(x, y) for y, x in zip(*np.nonzero(available), strict=True)]
        if not candidates:
            break
        ranked = [(score[y, x], x, y) for x, y in candidates if not np.isnan(score[y, x])]
        if ranked:
            best = max(value for value, _, _ in ranked)
            x, y = min((x, y) for value, x, y in ranked if value == best)
        else:
            x, y = min(candidates)
        centers[pick] = y, x
        query[window(y, x, radius)] = True
        available[window(y, x, suppression_radius)] = False
    return centers, centers[:, 0] >= 0, query, available


@pytest.fixture(scope="session")
def greedy():
    return _greedy
