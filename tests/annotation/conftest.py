import pytest

from labor_jax.annotation import LabelStore
from tests.annotation.examples import CLASSES


@pytest.fixture
def path(tmp_path):
    return tmp_path / "labels.sqlite"


@pytest.fixture
def store(path):
    with LabelStore(path, classes=CLASSES) as store:
        yield store
