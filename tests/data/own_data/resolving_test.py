"""Which fields are open, and that what is set stays."""

import pytest

from labor_jax import get_config, recipes
from labor_jax.config import base_config
from labor_jax.data import own_data

WITH_METHOD = {"active": "active:entropy", "uda": "uda:min_entropy"}
METHODS = [WITH_METHOD.get(name, name) for name in recipes.NAMES]
FACTS = own_data.Facts({role: ((360, 480),) * 9 for role in ("source", "pool", "evaluation")})


@pytest.mark.parametrize("method", METHODS)
def test_open_fields_exist_and_have_the_base_configs_types(method):
    config, base = get_config(method, "folders"), base_config()
    fields = own_data.open_fields(config)
    assert len(set(fields)) == len(fields)
    for field in fields:
        assert config[field] is None
        if base[field] is not None:
            section, _, name = field.rpartition(".")
            section = config[section] if section else config
            section[name] = base[field]
            with pytest.raises(TypeError):
                section[name] = object()


@pytest.mark.parametrize("installed", [(), ("efficientnet_lite0",)])
@pytest.mark.parametrize("method", METHODS)
def test_a_choice_is_of_open_fields_and_is_made_once(method, installed):
    config = get_config(method, "folders")
    facts = own_data.Facts(FACTS.sizes, installed)
    chosen = [name for choice in own_data.resolve(config, facts) for name in choice.fields]
    assert len(set(chosen)) == len(chosen)
    assert set(chosen) <= set(own_data.open_fields(config))


def test_nothing_that_is_set_is_chosen():
    config, base = get_config("ripu_pa", "folders"), base_config()
    for field in own_data.open_fields(config):
        value = base[field]
        config.update_from_flattened_dict(
            {field: (32, 32) if field.endswith("_size") and field.startswith("data") else value}
        )
    chosen = {name for choice in own_data.resolve(config, FACTS) for name in choice.fields}
    assert chosen == set()


def test_other_pairs_leave_nothing_open():
    config = get_config("spl", "street")
    assert all(
        config[field] is not None or base_config()[field] is None
        for field in own_data.open_fields(config)
    )
