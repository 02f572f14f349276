"""Whether a text is JSON, judged the same on every Python and however deep the caller stands.

Parsers that call themselves, as those of the standard library do, give up where the stack ends.
"""

import re
from typing import Final

from pydantic_core import from_json

DEEPEST_JSON: Final = 100
"""How many levels JSON may nest below the outermost; with what stands around it, well inside the
200 that Pydantic reads back."""

TOO_DEEP: Final = f"must not be nested deeper than {DEEPEST_JSON} levels"

_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_OTHERS: Final = bytes(byte for byte in range(256) if byte not in b'[]{}"')

# Stand for a text and for another value; JSON has such characters nowhere.
_TEXT: Final = "\x01"
_VALUE: Final = "\x02"

_TEXTS: Final = re.compile(
    r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
)
_VALUES: Final = re.compile(
    r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|true|false|null"
)
_BLANKS: Final = re.compile(r"[ \t\r\n]++")
_INNERMOST: Final = re.compile(
    r"\[(?:[\x01\x02](?:,[\x01\x02])*+)?\]"
    r"|\{(?:\x01:[\x01\x02](?:,\x01:[\x01\x02])*+)?\}"
)


def reason_text_is_not_json(text: str) -> str | None:
    """Say why a text is not JSON, or nested too deeply, or None when it is neither.

    The grammar alone counts: numbers may have any size, texts any escapes. NaN is none of it.

    Args:
        text: The text, without lone surrogates.
    """
    if _is_deep(text):
        return TOO_DEEP
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError:
        # It converts what it reads, and so refuses long numbers and escaped surrogates.
        return None if _is_json(text) else "must be valid JSON"
    return None


def _is_deep(text: str) -> bool:
    """Tell whether JSON is nested too deeply, or what is no JSON opens as many levels."""
    marks = text.encode().replace(b"\\\\", b"").replace(b'\\"', b"").translate(_BRACKETS, _OTHERS)
    brackets = b"".join(marks.split(b'"')[::2])  # outside of texts
    for _ in range(DEEPEST_JSON + 1):
        if b"[]" not in brackets:
            break
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > DEEPEST_JSON + 1


def _is_json(text: str) -> bool:
    """Replace every value that holds no other, again and again, until one is left."""
    if _TEXT in text or _VALUE in text:
        return False
    left = _BLANKS.sub("", _VALUES.sub(_VALUE, _TEXTS.sub(_TEXT, text)))
    for _ in range(DEEPEST_JSON + 1):
        left, replaced = _INNERMOST.subn(_VALUE, left)
        if not replaced:
            break
    return left in (_TEXT, _VALUE)
