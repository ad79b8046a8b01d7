"""Addresses without what must not be told: user, password and secret query parameters."""

from __future__ import annotations

import re

# The first alternative is an authority that ends at a slash; the second is a password with a slash
# in it, which no host and port can be. A mistyped address may lack its scheme or a slash.
_USER = re.compile(
    r"""(?P<scheme>\bhttps?:/{1,3}|\b[a-z][a-z0-9+.-]*://|(?<![\w:/])//)
    (?: (?:[^\s/?\#"'<>]|'(?=[^\s,;:)\]}]))*@
      | [^\s/?\#"'<>@:]+:(?!\d+(?:[/?\#\s]|$))[^\s"'<>]*@ )""",
    re.IGNORECASE | re.VERBOSE,
)
_BARE_USER = re.compile(r"(?<![\w/@.:-])[\w.+%-]+:[^\s/@\"'<>]+@(?=[\w\[])")
_SECRET_NAME = (
    r"[\w.%-]*(?:token|sig|secret|passw|passphrase|pwd|key|cred|auth|jwt|session|sas)[\w.%-]*"
)
_QUERY = re.compile(rf"(?P<name>[?&;#]{_SECRET_NAME}=)[^\s&;#\"'<>]*", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Any text with its addresses stripped of user and password; secret values become `***`.

    Query parameters are secret by their names: token, signature, key, password and their like.
    """
    text = _USER.sub(lambda found: found["scheme"], text)
    text = _BARE_USER.sub("", text)
    return _QUERY.sub(lambda found: f"{found['name']}***", text)
