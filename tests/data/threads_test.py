import pytest

from labor_jax.data import threads


def test_keeps_order_and_raises():
    assert threads.map_in_threads(lambda x: x * x, range(50)) == [x * x for x in range(50)]
    with pytest.raises(ZeroDivisionError):
        threads.map_in_threads(lambda x: 1 // (x - 30), range(50))
