"""Signatures are refused by name when anything about them is not right, and a peer's library reads them as we do."""

import base64
import json
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope as PeerEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from interlock.errors import UsageError
from interlock.provenance.signing import (
    PAYLOAD_TYPE,
    SignatureError,
    configured_key,
    key_id,
    load_private,
    load_public,
    new_key,
    pre_authentication,
    public_path_of,
    sign,
    verified_payload,
)

PAYLOAD = b'{"run_id":"0123456789abcdef"}'


@pytest.fixture
def path(tmp_path):
    new_key(tmp_path / "keys" / "key.pem")
    return tmp_path / "keys" / "key.pem"


@pytest.fixture
def private(path):
    return load_private(path)


@pytest.fixture
def public(path):
    return load_public(public_path_of(path))


def changed(text, **values):
    return json.dumps(json.loads(text) | values)


def test_a_new_key_is_its_owners_alone(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(public_path_of(path).stat().st_mode) == 0o644
    assert b"PRIVATE" not in public_path_of(path).read_bytes()


@pytest.mark.parametrize("existing", ["key.pem", "key.pem.pub"])
def test_a_key_is_never_overwritten(tmp_path, existing):
    (tmp_path / existing).write_text("precious")
    with pytest.raises(UsageError, match="never overwritten"):
        new_key(tmp_path / "key.pem")
    assert [item.read_text() for item in tmp_path.iterdir()] == ["precious"]


def test_a_dangling_link_is_not_followed(tmp_path):
    (tmp_path / "key.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="never overwritten"):
        new_key(tmp_path / "key.pem")
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_that_others_can_read_signs_nothing(path):
    path.chmod(0o640)
    with pytest.raises(UsageError, match="others may read"):
        load_private(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",  # pragma: allowlist secret
    ],
)
def test_what_is_no_key_is_refused_without_being_quoted(tmp_path, text):
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(UsageError, match="no unencrypted private key") as caught:
        load_private(tmp_path / "key")
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(UsageError):
        load_public(tmp_path / "key")


def test_a_key_of_another_kind_is_refused(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(UsageError, match="not an Ed25519 key"):
        load_private(tmp_path / "key")


def test_a_private_key_is_not_taken_for_a_public_one(path):
    with pytest.raises(UsageError, match=r"public half, key\.pem\.pub"):
        load_public(path)


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(UsageError, match="no such file") as caught:
        load_private(tmp_path / "none")
    assert caught.value.path == tmp_path / "none"
    with pytest.raises(UsageError, match="no such file") as caught:
        load_public(tmp_path / "none")
    assert "whoever signed it" in caught.value.hint, "a new key verifies nothing"


def test_the_public_half_does_not_sign(path):
    with pytest.raises(UsageError, match="public key") as caught:
        load_private(path.with_name("key.pem.pub"))
    assert caught.value.hint == f"sign with {path}"


def test_what_is_signed_is_the_published_encoding():
    # The example of the protocol's text.
    encoded = pre_authentication("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pre_authentication("é", "ü".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xbc"


def test_the_same_payload_gives_the_same_envelope(private, public):
    assert sign(PAYLOAD, private) == sign(PAYLOAD, private)
    assert verified_payload(sign(PAYLOAD, private), public) == PAYLOAD


def test_a_changed_payload_is_found(private, public):
    other = base64.b64encode(PAYLOAD.replace(b"0", b"1")).decode()
    with pytest.raises(SignatureError, match="was changed"):
        verified_payload(changed(sign(PAYLOAD, private), payload=other), public)


def test_another_type_of_payload_is_refused(private, public):
    with pytest.raises(SignatureError, match="holds something else"):
        verified_payload(sign(PAYLOAD, private, payload_type="text/plain"), public)
    relabelled = changed(sign(PAYLOAD, private, payload_type="text/plain"), payloadType=PAYLOAD_TYPE)
    with pytest.raises(SignatureError, match="was changed"):
        verified_payload(relabelled, public)


def test_another_key_is_named(private):
    with pytest.raises(SignatureError, match="another key") as caught:
        verified_payload(sign(PAYLOAD, private), Ed25519PrivateKey.generate().public_key())
    assert str(caught.value.value) == key_id(private.public_key())[:12]


def test_a_key_id_is_a_hint_and_no_proof(private, public):
    envelope = json.loads(sign(PAYLOAD, Ed25519PrivateKey.generate()))
    envelope["signatures"][0]["keyid"] = key_id(public)
    with pytest.raises(SignatureError, match="was changed"):
        verified_payload(json.dumps(envelope), public)
    envelope = json.loads(sign(PAYLOAD, private))
    envelope["signatures"][0]["keyid"] = ""
    assert verified_payload(json.dumps(envelope), public) == PAYLOAD


@pytest.mark.parametrize(
    "values", [{"signatures": []}, {"payload": "***"}, {"signatures": [{"keyid": "", "sig": "***"}]}, {"more": 1}]
)
def test_a_malformed_envelope_is_refused(private, public, values):
    with pytest.raises(SignatureError):
        verified_payload(changed(sign(PAYLOAD, private), **values), public)


def test_base64_for_addresses_is_read_too(private, public):
    payload = b"\xfb\xff\xfe"
    envelope = json.loads(sign(payload, private))
    envelope["payload"] = base64.urlsafe_b64encode(payload).decode()
    assert "-" in envelope["payload"]
    assert verified_payload(json.dumps(envelope), public) == payload


def test_a_peer_reads_ours(private, public):
    peer = PeerEnvelope.from_dict(json.loads(sign(PAYLOAD, private)))
    key = SSlibKey.from_crypto(public, keyid=key_id(public))
    assert set(peer.verify([key], 1)) == {key_id(public)}
    assert peer.payload == PAYLOAD
    assert peer.pae() == pre_authentication(PAYLOAD_TYPE, PAYLOAD)
    peer.payload += b" "
    with pytest.raises(VerificationError):
        peer.verify([key], 1)


def test_we_read_a_peers():
    key = Ed25519PrivateKey.generate()
    peer = PeerEnvelope(PAYLOAD, PAYLOAD_TYPE, {})
    peer.sign(CryptoSigner(key))
    assert verified_payload(json.dumps(peer.to_dict()), key.public_key()) == PAYLOAD


def test_the_environment_names_a_key(monkeypatch, tmp_path):
    assert configured_key() is None
    monkeypatch.setenv("INTERLOCK_SIGNING_KEY", f" {tmp_path}/key ")
    assert configured_key() == tmp_path / "key"
