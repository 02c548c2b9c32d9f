"""Opens the store that a data root's configuration names."""

from __future__ import annotations

from agent.config import Config
from agent.root.layout import Layout
from agent.store import Store, StoreMissing

__all__ = ["migrate", "open_store", "store_url"]


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


def migrate(layout: Layout, store: Store) -> None:
    """Create the database of a new data root, or bring an older one up to date.

    Raises:
        StoreMissing: it is gone, and the versions whose history it held are not: nothing begins a new one over them.
        SchemaTooNew: the database is newer than this code.
    """
    if store.path is not None and not store.path.exists() and any(layout.versions.glob("v*")):
        raise StoreMissing(
            f"the database {str(store.path)!r} is gone, and {str(layout.versions)!r} holds versions of its history: "
            f"`cld restore BACKUP` puts a copy back; to begin anew, move {layout.versions} and {layout.jobs} away first"
        )
    store.migrate()
