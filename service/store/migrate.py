"""`python -m service.store.migrate`: brings the database to the newest schema."""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

import migrations
from service.logs import set_up_logging
from service.settings import Settings
from service.store.engine import make_engine
from service.weak_secrets import refuse_weak_secrets


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Runs every migration that the database lacks."""
    command.upgrade(alembic_config(engine), revision)


def alembic_config(engine: Engine) -> Config:
    """Alembic's configuration for one engine, found wherever the package is installed."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["engine"] = engine
    return config


def main() -> None:
    """What a deployment runs first; ends where a stranger could guess a secret."""
    settings = Settings()
    set_up_logging(settings.log_format)
    try:
        refuse_weak_secrets(settings)
    except ValueError as error:
        sys.exit(str(error))
    upgrade(make_engine(settings.database_url))


if __name__ == "__main__":
    main()
