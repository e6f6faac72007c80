"""Message content to bytes and back: msgpack, encrypted when the layer has keys."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack

from channels_classic.exceptions import InvalidContent, MessageTooLarge, UndecodableMessage

#: What holds nothing, so that most values need one look; subclasses of these come through too.
_LEAVES = frozenset({str, bytes, int, float, bool, type(None)})
#: Errors name a value as Python would: ``content['user']['when']``.
_ROOT = "content"


class Codec:
    """Encodes dicts of str, bytes, int, float, bool, None, list and dict.

    With ``keys`` (any strings or bytes) messages are encrypted and signed with the first and read
    with any of them: Fernet, with the SHA-256 of each key. ``max_size`` counts encoded bytes,
    before encryption, so that keys do not change what fits.
    """

    def __init__(self, *, max_size: int, keys: Iterable[str | bytes] | None = None) -> None:
        self.max_size = max_size
        self._fernet = _fernet(keys) if keys else None

    def encode(self, content: Mapping[str, Any]) -> bytes:
        """The bytes of ``content``.

        Raises ``InvalidContent``, with the path of the value that cannot be carried, and
        ``MessageTooLarge``.
        """
        try:
            _check_keys(content, _ROOT)
            data: bytes = msgpack.packb(content)
        except InvalidContent:
            raise
        except RecursionError:
            raise InvalidContent("the message holds itself, or is nested too deeply") from None
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidContent(_explain(content, error)) from None
        if len(data) > self.max_size:
            raise MessageTooLarge(
                f"the message has {len(data):,} bytes and the layer's limit is {self.max_size:,}: "
                "send a reference to the data instead, or raise max_message_size"
            )
        if self._fernet is not None:
            data = self._fernet.encrypt(data)
        return data

    def decode(self, data: bytes) -> dict[str, Any]:
        """The content that ``data`` was made from, or ``UndecodableMessage``."""
        try:
            if self._fernet is not None:
                data = self._fernet.decrypt(data)
            content = msgpack.unpackb(data)
        except Exception as error:  # whatever a foreign or broken entry makes the decoders say
            raise UndecodableMessage(f"{UndecodableMessage.__doc__} ({error!r:.80})") from None
        if not isinstance(content, dict):
            raise UndecodableMessage(f"the entry holds a {type(content).__name__}, not a dict")
        return content


def _fernet(keys: Iterable[str | bytes]) -> Any:
    if isinstance(keys, (str, bytes)):
        raise ValueError("symmetric_encryption_keys is a list of keys, not one key")
    try:
        from cryptography.fernet import (  # an extra: only those with keys need it
            Fernet,
            MultiFernet,
        )
    except ImportError:
        raise ValueError(
            "symmetric_encryption_keys needs the package cryptography: "
            "pip install channels-classic[encryption]"
        ) from None
    digests = (hashlib.sha256(k.encode() if isinstance(k, str) else k).digest() for k in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])


def _check_keys(content: Mapping[Any, Any], path: str) -> None:
    """msgpack carries keys of any type; a message has str keys alone."""
    for key, value in content.items():
        if type(key) is not str and not isinstance(key, str):
            raise InvalidContent(f"{path} has the key {key!r:.80}, which is not a str")
        if type(value) in _LEAVES:
            continue
        if isinstance(value, dict):
            _check_keys(value, f"{path}[{key!r}]")
        elif isinstance(value, (list, tuple)):
            _check_items(value, f"{path}[{key!r}]")


def _check_items(values: Iterable[Any], path: str) -> None:
    for index, value in enumerate(values):
        if type(value) in _LEAVES:
            continue
        if isinstance(value, dict):
            _check_keys(value, f"{path}[{index}]")
        elif isinstance(value, (list, tuple)):
            _check_items(value, f"{path}[{index}]")


def _explain(content: Mapping[str, Any], error: Exception) -> str:
    for path, value in _leaves(content, _ROOT, 0):
        try:
            msgpack.packb(value)
        except (TypeError, ValueError, OverflowError):
            return (
                f"{path} is {value!r:.80} ({type(value).__name__}), which cannot be carried: send "
                f"{_instead(value)}. A message holds str, bytes, int (64 bits), float, bool, None, "
                "and lists and dicts of them"
            )
    return f"the message cannot be carried: {error}"


def _instead(value: Any) -> str:
    """What to send for ``value``, which msgpack does not take."""
    if hasattr(type(value), "isoformat"):
        return "its isoformat()"
    if hasattr(type(value), "pk"):
        return "its pk"
    if isinstance(value, (set, frozenset)):
        return "list() of it"
    return "text without surrogates" if isinstance(value, str) else "str() of it"


def _leaves(value: Any, path: str, depth: int) -> Iterable[tuple[str, Any]]:
    if depth > 100:  # beyond what anybody means; a structure that holds itself ends here
        yield path, "…"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path, key
            yield from _leaves(item, f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{path}[{index}]", depth + 1)
    else:
        yield path, value
