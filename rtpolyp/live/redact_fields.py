"""Redaction of whatever leaves a session as text."""

import re
from collections.abc import Mapping

from rtpolyp.video.address import redact

__all__ = ["redact_fields"]

URL = re.compile(r"[a-z][a-z0-9+.-]{1,15}:/\S+", re.IGNORECASE)  # bounded: unbounded is quadratic in the text


def redact_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """`fields` as JSON can hold them, with the credentials hidden in every URL of every text.

    Addresses are redacted where they come in; this is for those that libraries put into their messages.
    """
    return {name: _redacted(value) for name, value in fields.items()}


def _redacted(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return redact_fields(value)
    if isinstance(value, (list, tuple)):
        return [_redacted(item) for item in value]
    text = str(value)
    return URL.sub(lambda url: redact(url.group()), text) if ":/" in text else text
