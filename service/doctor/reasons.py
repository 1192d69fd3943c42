"""Why a part cannot be examined: what its error tells of the deployment, without the words of the error, which may
quote an address with its password.
"""

import re

from sqlalchemy.exc import ArgumentError, DBAPIError

from service.doctor.findings import Finding
from service.store import StorageAway

ADDRESSES = {
    "database": "DATABASE_URL is postgresql+psycopg://user:password@host:5432/name",
    "broker": "BROKER_URL is redis://:password@host:6379/0",
    "artifacts": "ARTIFACTS_URL is sql:, file:///folder, or s3://bucket with what AWS_… variables tell",
}
REFUSALS = (
    (
        r"password authentication failed|no password supplied|role \S+ does not exist|SASL",
        ("28P01", "28000"),
        "It refuses the user or the password.",
        "Correct them in DATABASE_URL; PostgreSQL keeps the password that its data folder was made with.",
    ),
    (
        r"database \S+ does not exist",
        ("3D000",),
        "Its server has no database of this name.",
        "Create it, or correct the end of DATABASE_URL.",
    ),
    (
        r"resolve host|translate host name|Name or service not known|name resolution|getaddrinfo",
        (),
        "The name of its host is not known here.",
        "Correct the host in DATABASE_URL, or see that its container runs in the same network.",
    ),
    (
        r"Connection refused|timed? ?out|timeout expired|No route to host|unreachable",
        (),
        "Nothing answers at its address.",
        "See that the server runs, and host and port in DATABASE_URL.",
    ),
)


def why_not(part: str, error: Exception) -> Finding:
    """What is wrong with a part whose examination ended with this error."""
    kind = type(error).__name__
    address = ADDRESSES.get(part)
    if isinstance(error, DBAPIError):
        return _why_no_database(error)
    if isinstance(error, StorageAway):
        return Finding(
            part, "wrong", "Their storage does not answer.", "See that it runs, and AWS_ENDPOINT_URL for S3."
        )
    if isinstance(error, ImportError):
        return Finding(part, "wrong", f"The library for it is not installed ({kind}).", f"Install it; {address}.")
    if address and isinstance(error, ArgumentError | ValueError | LookupError):
        says = f"Its address cannot be read, or is of an unknown kind ({kind})."
        return Finding(part, "wrong", says, f"{address}; in a password, / is %2F and @ is %40.")
    remedy = f"{address}; see that it is right and may be written to." if address else "The log may tell more."
    return Finding(part, "wrong", f"It cannot be examined: {kind}.", remedy)


def _why_no_database(error: DBAPIError) -> Finding:
    said, state = str(error.orig), getattr(error.orig, "sqlstate", None)
    for words, states, says, remedy in REFUSALS:
        if state in states or re.search(words, said):
            return Finding("database", "wrong", says, remedy)
    says = f"It does not answer: {type(error).__name__}."
    return Finding("database", "wrong", says, "See that DATABASE_URL is right and the server runs.")
