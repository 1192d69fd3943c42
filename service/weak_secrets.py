"""Secrets that a stranger could guess: nothing that is reached from other machines starts with one."""

import os
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from service.settings import Settings

MIN_KEY_LENGTH = 24
MIN_PASSWORD_LENGTH = 16
MIN_DIFFERENT_CHARACTERS = 8
"""`changemechangeme` and `passwordpassword` have seven."""


def is_weak(secret: str, min_length: int) -> bool:
    """Whether a secret is short, or one that people write before they have chosen one."""
    return len(secret) < min_length or len(set(secret.lower())) < MIN_DIFFERENT_CHARACTERS


def weak_secrets(settings: Settings) -> list[str]:
    """What is wrong with the secrets of a deployment: one sentence each, without the secrets.

    Passwords of servers on this very machine are its owner's business; so is a server that asks for none.
    """
    found = []
    if settings.admin_key is not None and is_weak(settings.admin_key, MIN_KEY_LENGTH):
        found.append(_sentence("TUNELENS_ADMIN_KEY", MIN_KEY_LENGTH))
    for name, url in (("DATABASE_URL", settings.database_url), ("BROKER_URL", settings.broker_url)):
        parts = urlsplit(url)
        password = unquote(parts.password or "")
        if parts.password is not None and not _is_here(parts.hostname) and is_weak(password, MIN_PASSWORD_LENGTH):
            found.append(_sentence(f"the password in {name}", MIN_PASSWORD_LENGTH))
    if settings.artifacts_url.startswith("s3:"):
        secret = os.environ.get("AWS_SECRET_ACCESS_KEY")  # absent where the machine itself has the right
        if secret is not None and is_weak(secret, MIN_PASSWORD_LENGTH):
            found.append(_sentence("AWS_SECRET_ACCESS_KEY", MIN_PASSWORD_LENGTH))
    return found


def refuse_weak_secrets(settings: Settings) -> None:
    """Raises `ValueError` that names every weak secret."""
    found = weak_secrets(settings)
    if found:
        raise ValueError(" ".join(found))


def _sentence(what: str, min_length: int) -> str:
    return f"{what} must be a secret of at least {min_length} characters, and no common one."


def _is_here(host: str | None) -> bool:
    try:
        return host in (None, "localhost") or ip_address(host or "").is_loopback
    except ValueError:
        return False
