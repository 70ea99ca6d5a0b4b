"""Active learning: acquisition methods bound to a config, and queries of the pool by a network."""

from labor_jax.active import strategies
from labor_jax.active.pool_query import (
    check_head,
    fields_read,
    make_pool_queries,
    make_pool_query,
    one_ahead,
)

__all__ = [
    "check_head",
    "fields_read",
    "make_pool_queries",
    "make_pool_query",
    "one_ahead",
    "strategies",
]
