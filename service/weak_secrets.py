"""Secrets that a stranger could guess: nothing that is reached from other machines starts with one."""

import os
import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from service.settings import Settings

MIN_KEY_LENGTH = 24
MIN_PASSWORD_LENGTH = 16
MIN_DIFFERENT_CHARACTERS = 8
"""`changemechangeme` and `passwordpassword` have seven."""
KNOWN = re.compile(
    r"change[-_ ]?(?:me|this|it)|pass[-_ ]?w(?:or|0r)d|passwd|tunelens|minioadmin|minio|postgres|redis|admin|root|user"
    r"|default|example|secret|letmein|welcome|test|your|[-_ .]"
)
ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertz", "azerty")
SHORTEST_RUN = 4
REPEATED = re.compile(r"(.{1,12}?)\1+")
UNREADABLE = "{} is no address that can be read: in a password, write / ? # @ : % as %2F %3F %23 %40 %3A %25."


def is_weak(secret: str, min_length: int) -> bool:
    """Whether a secret is short, or little but words, rows and repetitions that people write before they have chosen
    one.
    """
    low = secret.lower()
    rest = _without_runs(KNOWN.sub("", low))
    is_little = 2 * len(rest) < min_length or REPEATED.fullmatch(rest) is not None
    return len(secret) < min_length or len(set(low)) < MIN_DIFFERENT_CHARACTERS or is_little


def weak_secrets(settings: Settings) -> list[str]:
    """What is wrong with the secrets of a deployment: one sentence each, without the secrets.

    Passwords of servers on this very machine are its owner's business; so is a server that asks for none.
    """
    found = []
    if settings.admin_key is not None and is_weak(settings.admin_key, MIN_KEY_LENGTH):
        found.append(_sentence("TUNELENS_ADMIN_KEY", MIN_KEY_LENGTH))
    addresses = [("BROKER_URL", url, _broker_login) for url in settings.broker_url.split(";")]  # kombu takes several
    for name, url, read in (("DATABASE_URL", settings.database_url, _database_login), *addresses):
        try:
            password, host = read(url)
        except (ValueError, ArgumentError):
            found.append(UNREADABLE.format(name))
            continue
        if password is not None and not _is_here(host) and is_weak(password, MIN_PASSWORD_LENGTH):
            server = "database" if name == "DATABASE_URL" else "broker"
            found.append(
                _sentence(f"the password in {name}", MIN_PASSWORD_LENGTH) + f" Change it in the {server}, too."
            )
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


def _database_login(url: str) -> tuple[str | None, str | None]:
    """Password and host as SQLAlchemy reads them: slashes and the like are part of its passwords; raises `ValueError`
    where a password ends too early.
    """
    parts = make_url(url)
    if "@" in (parts.host or ""):
        raise ValueError("The password goes on in what should be the host.")
    return parts.password, parts.host


def _broker_login(url: str) -> tuple[str | None, str | None]:
    """Password and host as kombu and redis read them; raises `ValueError` where a password ends the host's part."""
    parts = urlsplit(url)
    if "@" in parts.path + parts.query + parts.fragment or (parts.port is not None and parts.hostname is None):
        raise ValueError("The address goes on behind what should be its end.")
    return None if parts.password is None else unquote(parts.password), parts.hostname


def _without_runs(text: str) -> str:
    """The text without what goes on along a row of the alphabet, the digits or the keyboard, either way."""
    return "".join(piece for piece in _pieces(text) if len(piece) < SHORTEST_RUN)


def _pieces(text: str) -> Iterator[str]:
    """The text, cut where it goes along no row."""
    piece = ""
    for character in text:
        if piece and not any(piece + character in row or piece + character in row[::-1] for row in ROWS):
            yield piece
            piece = ""
        piece += character
    yield piece


def _is_here(host: str | None) -> bool:
    try:
        return host in (None, "localhost") or ip_address(host or "").is_loopback
    except ValueError:
        return False
