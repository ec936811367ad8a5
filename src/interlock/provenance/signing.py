"""Ed25519 signatures in DSSE envelopes (https://github.com/secure-systems-lab/dsse, protocol version 1).

    new_key(path)                                  # PKCS#8 PEM, readable by its owner alone
    text = sign(payload, load_private(path))       # the envelope as JSON
    verified_payload(text, load_public(path))      # the payload, or SignatureError

Keys are files named by path; their content appears in no message. An envelope is believed only under a key that the
caller names: the key id inside it is a hint. Imports `cryptography` when called. Does not know what is signed
(`interlock.registry.statement`), nor guards a key on disk beyond its file mode.
"""

import base64
import binascii
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from interlock.contracts.base import Contract
from interlock.errors import ProvenanceError, UsageError
from interlock.provenance.canonical import pretty_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY_VARIABLE = "INTERLOCK_SIGNING_KEY"
"""Path of a private key: what is archived is signed with it."""
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_KEYGEN = "make one with interlock keygen FILE"
_WHOSE = "name the public key of whoever signed it, the .pub file that interlock keygen wrote"
_KEY_MAX_BYTES = 1 << 14
_OTHERS_MAY_READ = 0o077


class SignatureError(ProvenanceError):
    """A signature is missing, is another key's, or does not fit what it is said to sign."""


class Signature(Contract):
    """One signature of an envelope."""

    keyid: str = ""
    """Which key made it: a hint, not a proof."""
    sig: str
    """Base64 of the 64 bytes."""


class Envelope(Contract):
    """A DSSE envelope."""

    payload: str
    """Base64 of the signed bytes."""
    payloadType: str
    """Media type of the payload; signed together with it."""
    signatures: tuple[Signature, ...] = Field(min_length=1)
    """At least one."""


def new_key(path: Path) -> str:
    """Write a new private key (mode 0600) and its public half beside it (`.pub`); returns the key id.

    Raises UsageError when either file exists: a key is never overwritten.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_path = public_path_of(path)
    for existing in (path, public_path):
        if existing.exists() or existing.is_symlink():
            raise UsageError(
                "there is a file of this name, and keys are never overwritten",
                path=existing,
                hint="choose another name; what the old key signed stays verifiable with its public half",
            )
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_new(path, private, mode=0o600)
    _write_new(public_path, public, mode=0o644)
    return key_id(key.public_key())


def public_path_of(path: Path) -> Path:
    """Where the public half of a private key stands."""
    return path.with_name(path.name + ".pub")


def load_private(path: Path) -> "Ed25519PrivateKey":
    """Read a private key. Raises UsageError for a file that is missing or no such key, or that others may read."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _key_bytes(path, "signing key", hint="check the path; interlock keygen FILE makes a new key")
    if b"PUBLIC KEY" in data:
        private = path.with_suffix("") if path.suffix == ".pub" else "the private one"
        raise UsageError("this is a public key, which only verifies", path=path, hint=f"sign with {private}")
    if os.name == "posix" and path.stat().st_mode & _OTHERS_MAY_READ:
        raise UsageError("others may read this signing key", path=path, hint=f"chmod 600 {path}, or make a new key")
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError):  # its text may quote the file, so it is not repeated
        raise UsageError("this is no unencrypted private key in PEM", path=path, hint=_KEYGEN) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("this key is not an Ed25519 key", path=path, hint=_KEYGEN)
    return key


def configured_key() -> Path | None:
    """The private key's path that the environment names; None when it names none."""
    text = os.environ.get(SIGNING_KEY_VARIABLE, "").strip()
    return Path(text).expanduser() if text else None


def load_public(path: Path) -> "Ed25519PublicKey":
    """Read a public key. Raises UsageError for a file that is missing or none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    data = _key_bytes(path, "public key", hint=_WHOSE)
    if b"PRIVATE KEY" in data:
        raise UsageError("this is a private key", path=path, hint=f"verify with the public half, {path.name}.pub")
    try:
        key = load_pem_public_key(data)
    except ValueError:
        raise UsageError("this is no public key in PEM", path=path, hint=_WHOSE) from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("this key is not an Ed25519 key", path=path, hint=_KEYGEN)
    return key


def key_id(key: "Ed25519PublicKey") -> str:
    """SHA-256 (hex) of the public key's DER form (SubjectPublicKeyInfo)."""
    from cryptography.hazmat.primitives import serialization

    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def sign(payload: bytes, key: "Ed25519PrivateKey", *, payload_type: str = PAYLOAD_TYPE) -> str:
    """The envelope as JSON text. Ed25519 draws no random numbers: the same payload gives the same text."""
    made = key.sign(pre_authentication(payload_type, payload))
    signature = Signature(keyid=key_id(key.public_key()), sig=_base64(made))
    envelope = Envelope(payload=_base64(payload), payloadType=payload_type, signatures=(signature,))
    return pretty_json(envelope)


def verified_payload(text: str | bytes, key: "Ed25519PublicKey", *, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The payload, when one of the signatures is the key's over it. Raises SignatureError."""
    from cryptography.exceptions import InvalidSignature

    envelope = read_envelope(text)
    if envelope.payloadType != payload_type:
        raise SignatureError("the envelope holds something else", value=envelope.payloadType)
    payload = envelope_payload(envelope)
    signed = pre_authentication(envelope.payloadType, payload)
    wanted = key_id(key)
    for signature in envelope.signatures:
        try:
            key.verify(_bytes(signature.sig), signed)  # compares in constant time
        except InvalidSignature:
            continue
        return payload
    if any(signature.keyid == wanted for signature in envelope.signatures):
        raise SignatureError("the signature does not fit: the signed statement was changed")
    raise SignatureError(
        "it is signed with another key", value=", ".join(item.keyid[:12] for item in envelope.signatures)
    )


def read_envelope(text: str | bytes) -> Envelope:
    """Parse an envelope; nothing of it is believed yet. Raises SignatureError."""
    try:
        return Envelope.model_validate_json(text)
    except ValidationError as error:
        raise SignatureError(f"this is no DSSE envelope: {error.errors()[0]['msg']}") from error


def envelope_payload(envelope: Envelope) -> bytes:
    """The bytes of the payload, unverified. Raises SignatureError."""
    return _bytes(envelope.payload)


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """What is signed: `DSSEv1 <len> <type> <len> <payload>`, lengths in bytes as decimal numbers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _key_bytes(path: Path, what: str, *, hint: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_KEY_MAX_BYTES)
    except FileNotFoundError as error:
        raise UsageError(f"no such file to read the {what} from", path=path, hint=hint) from error
    except OSError as error:
        raise UsageError(f"the {what} cannot be read: {error.strerror}", path=path, hint=hint) from error


def _write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Never under a name that exists, and never readable by others for a moment."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError as error:
        raise UsageError("there is a file of this name", path=path, hint="choose another name") from error
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """Standard base64, or the variant for addresses: the protocol asks readers to take both."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureError("a field of the envelope is not base64") from error
