"""The schema's version: what the code expects, what the database has, and the way from one to the other.

Owns the use of Alembic (imported only when migrating, since it costs a quarter of a second). Revisions are numbered
files in `migrations/versions` (`0001_*.py`, ...), so that older and newer can be told apart without Alembic.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from agent.errors import SchemaTooNew
from agent.store.errors import SchemaTooOld, StoreMissing

__all__ = ["check", "head", "upgrade"]

_MIGRATIONS = Path(__file__).parent / "migrations"


def head() -> str:
    """The revision this code was written for."""
    return max(file.name[:4] for file in (_MIGRATIONS / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def check(connection: Connection) -> None:
    """Return if the database is at `head()`.

    Raises:
        StoreMissing: the database holds no cld schema.
        SchemaTooOld, SchemaTooNew: it is not.
    """
    found, wanted = _revision(connection), head()
    if found is None:
        raise StoreMissing("the database holds no cld tables yet; `cld init` makes them")
    if found > wanted:
        raise SchemaTooNew(_newer(found, wanted))
    if found < wanted:
        raise SchemaTooOld(
            f"the database has schema {found!r} and this cld expects {wanted!r}: `cld start` migrates it"
        )


def upgrade(connection: Connection) -> None:
    """Run the missing migrations on `connection`, inside its transaction.

    Raises:
        SchemaTooNew: the database is newer than this code.
    """
    found, wanted = _revision(connection), head()
    if found is not None and found > wanted:
        raise SchemaTooNew(_newer(found, wanted))
    if found == wanted:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _newer(found: str, wanted: str) -> str:
    return (
        f"the database has schema {found!r}, newer than {wanted!r} of this cld: install the cld that wrote it, or put "
        "a backup of before the update back with `cld restore BACKUP`"
    )
