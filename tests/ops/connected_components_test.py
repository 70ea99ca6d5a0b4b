"""Connected components against a flood fill."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np

from labor_jax.ops import connected_components


def twin(classes):
    """Row-major first pixels of the components, by flood fill."""
    height, width = classes.shape
    found = np.full(classes.shape, -1)
    for start in np.ndindex(height, width):
        if found[start] >= 0:
            continue
        number, stack = start[0] * width + start[1], [start]
        found[start] = number
        while stack:
            row, column = stack.pop()
            for y in range(max(row - 1, 0), min(row + 2, height)):
                for x in range(max(column - 1, 0), min(column + 2, width)):
                    if found[y, x] < 0 and classes[y, x] == classes[start]:
                        found[y, x] = number
                        stack.append((y, x))
    return found


def snake(height, width):
    """A single path that fills the image, with a wall of another class between its bends."""
    classes = np.zeros((height, width), np.int32)
    classes[1::2] = 1
    for bend, row in enumerate(range(1, height, 2)):
        classes[row, 0 if bend % 2 else width - 1] = 0
    return classes


compiled = jax.jit(connected_components)


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(st.integers(0, 10**6), st.integers(1, 4))
def test_equals_a_flood_fill(seed, num_classes):
    classes = np.random.default_rng(seed).integers(0, num_classes, (2, 9, 14))
    expected = np.stack([twin(each) for each in classes])
    np.testing.assert_array_equal(compiled(classes), expected)


def test_few_sweeps_follow_a_long_path():
    classes = snake(33, 65)
    np.testing.assert_array_equal(compiled(classes), twin(classes))


def test_too_few_sweeps_leave_parts_of_one_region():
    """Parts have numbers of pixels of their own, so that no two regions are taken for one."""
    classes = snake(33, 65)
    parts = np.asarray(jax.jit(functools.partial(connected_components, sweeps=1))(classes))
    assert len(np.unique(parts)) > len(np.unique(twin(classes)))
    np.testing.assert_array_equal(classes.ravel()[parts], classes)


def test_any_leading_shape():
    classes = np.random.default_rng(0).integers(0, 2, (3, 2, 4, 5))
    found = connected_components(classes)
    np.testing.assert_array_equal(found[2, 1], twin(classes[2, 1]))
    np.testing.assert_array_equal(connected_components(classes[0, 0]), twin(classes[0, 0]))


def test_under_shard_map():
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("batch")
    sharded = jax.shard_map(connected_components, mesh=mesh, in_specs=spec, out_specs=spec)
    classes = np.random.default_rng(1).integers(0, 2, (2, 4, 5))
    np.testing.assert_array_equal(jax.jit(sharded)(classes)[1], twin(classes[1]))
