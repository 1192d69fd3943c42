"""A label as one segment of a picture's address.

Clients and proxies take `.` and `..` out of an address before they send it, however they are escaped (RFC 3986, 5.2.4
and 6.2.2.3). A label of these dots alone gets a slash before it, which they leave alone: `%2F..`.
"""

import re
from urllib.parse import quote

_DOTS = re.compile(r"/*\.{1,2}")


def segment_of(label: str) -> str:
    """The label, escaped."""
    return quote(f"/{label}" if _DOTS.fullmatch(label) else label, safe="")


def label_of(segment: str) -> str:
    """The label that `segment_of` made the segment of, once unescaped."""
    return segment.removeprefix("/") if _DOTS.fullmatch(segment) else segment
