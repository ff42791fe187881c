"""Alembic for every service: the same environment, one migrator at a time."""

from pathlib import Path
from typing import Any, Final, Literal

from alembic import command, context
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlmodel import AutoString, SQLModel

from tulou_chassis.postgresql import for_psycopg
from tulou_chassis.tables import UtcDateTime

# Any number will do, as long as every migrator of a database takes the same.
MIGRATION_LOCK: Final = 7_015_001


def configuration(url: str, scripts: Path) -> Config:
    """Alembic's configuration for a database and a service's migrations folder."""
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.attributes["url"] = url
    return config


def migrate(url: str, scripts: Path) -> None:
    """Brings the database to the newest schema. Replicas that start at once wait for one another."""
    command.upgrade(configuration(url, scripts), "head")


def run_environment() -> None:
    """What a service's migrations/env.py calls once its models are imported."""
    url = make_url(context.config.attributes["url"])
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url)
    else:
        known, arguments = for_psycopg(url)
        engine = create_engine(known, connect_args=arguments)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
            connection.commit()
        context.configure(connection=connection, target_metadata=SQLModel.metadata, render_item=_render)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """A migration must not change when our types do, so it spells them in SQLAlchemy's own."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.Text()"
    return False
