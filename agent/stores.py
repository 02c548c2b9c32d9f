"""Opens the store that a data root's configuration names."""

from __future__ import annotations

from agent.config import Config
from agent.layout import Layout
from agent.store import Store

__all__ = ["open_store", "store_url"]


def store_url(layout: Layout, config: Config) -> str:
    """SQLAlchemy URL of the database."""
    return config.store.url or f"sqlite:///{layout.database}"


def open_store(layout: Layout, config: Config) -> Store:
    """The store, checked to be at the schema of this code.

    Raises:
        StoreError: there is none yet, it is damaged, or it has another schema.
    """
    store = Store(store_url(layout, config))
    store.check_schema()
    return store
