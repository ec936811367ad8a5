"""A person's words under a signature: approvals, denials and waivers, when `INTERLOCK_SIGNING_KEY` names a key.

    body = signed(Granted(...), subject=digest)          # unchanged where no key is configured
    check(body, subject=digest, key=load_public(path))   # SignatureError unless that key signed exactly this

The envelope stands in the event, so it travels with the log. A name typed without a key is believed as it is.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from interlock.contracts.approval import Said
from interlock.provenance.canonical import canonical_json, plain
from interlock.provenance.signing import (
    SignatureError,
    configured_key,
    key_id,
    load_private,
    sign,
    verified_payload,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.interlock.words+json"
_Words = TypeVar("_Words", bound=Said)


def signed(words: _Words, *, subject: str) -> _Words:
    """The same with a signature over the words and their subject. Raises UsageError for a key that cannot be used."""
    path = configured_key()
    if path is None:
        return words
    key = load_private(path)
    named = words.model_copy(update={"keyid": key_id(key.public_key())})
    envelope = sign(_payload(plain(named), subject), key, payload_type=PAYLOAD_TYPE)
    return named.model_copy(update={"signature": envelope})


def check(body: Mapping[str, Any], *, subject: str, key: "Ed25519PublicKey") -> None:
    """Raise SignatureError unless the key signed these words about this subject."""
    if not body.get("signature"):
        raise SignatureError("nobody signed these words")
    if verified_payload(str(body["signature"]), key, payload_type=PAYLOAD_TYPE) != _payload(body, subject):
        raise SignatureError("the signature is over other words")


def _payload(body: Mapping[str, Any], subject: str) -> bytes:
    said = {name: value for name, value in body.items() if name != "signature"}
    return canonical_json({"subject": subject, "words": said}).encode()
