"""v1a: made as the reference makes it, checked by others, refused when anything about it is altered."""

import base64
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.words.ed25519 import SigningKey, new_key, signing_key, thumbprint, verify
from ringback.words.signature import VerificationError, new_secret, sign

# The vector of Svix, whose server made the first v1a signatures.
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


def made() -> SigningKey:
    return signing_key(new_key(os.urandom))


def test_the_published_vector_is_made_and_is_verified() -> None:
    key = signing_key(PRIVATE)
    assert key.public == PUBLIC
    assert sign([], ID, AT, BODY, [key]) == SIGNATURE
    verify([PUBLIC], ID, str(AT), BODY, SIGNATURE, now=AT)


def test_a_keys_name_is_its_thumbprint_as_the_rfc_computes_it() -> None:
    # RFC 8037, appendix A.3
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert thumbprint(bytes.fromhex(public)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_the_web_key_is_the_public_half_alone() -> None:
    key = signing_key(PRIVATE)
    assert key.jwk == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4",
        "kid": thumbprint(base64.b64decode(PUBLIC[5:])),
        "use": "sig",
        "alg": "EdDSA",
    }


def test_the_entries_of_private_keys_stand_after_those_of_secrets() -> None:
    keys = [made(), made()]
    header = sign([SECRET], ID, AT, BODY, keys)
    assert header.startswith(sign([SECRET], ID, AT, BODY) + " v1a,")
    assert [entry.partition(",")[0] for entry in header.split(" ")] == ["v1", "v1", "v1a", "v1a"]
    for key in keys:
        verify([key.public], ID, str(AT), BODY, header, now=AT)


def test_one_of_several_public_keys_is_enough_and_another_is_not() -> None:
    old, new = made(), made()
    header = sign([], ID, AT, BODY, [new])
    verify([old.public, new.public], ID, str(AT), BODY, header, now=AT)
    for known in ([old.public], []):
        with pytest.raises(VerificationError, match="no entry"):
            verify(known, ID, str(AT), BODY, header, now=AT)


def test_the_longest_header_stays_below_a_kilobyte() -> None:
    secrets, keys = [new_secret(os.urandom) for _ in range(3)], [made(), made()]
    line = "webhook-signature: " + sign(secrets, f"evt_{'0' * 26}_4294967296", int(time.time()), BODY, keys)
    assert len(line) < 1024


@pytest.mark.parametrize("part", ["body", "id", "timestamp", "signature", "key"])
def test_an_altered_request_is_refused(part: str) -> None:
    given_ = {"key": PUBLIC, "id": ID, "timestamp": str(AT), "body": "x", "signature": SIGNATURE}
    other = {
        "key": made().public,
        "id": ID + "0",
        "timestamp": str(AT + 1),
        "signature": "v1a,A" + SIGNATURE[5:],
    }
    altered = {**given_, part: other.get(part, "y")}
    body = BODY if altered["body"] == "x" else BODY.replace(b"test", b"tesT")
    with pytest.raises(VerificationError, match="no entry"):
        verify([altered["key"]], altered["id"], altered["timestamp"], body, altered["signature"], now=AT)


@pytest.mark.parametrize(
    "signature",
    [
        SIGNATURE[4:],
        f"v1,{SIGNATURE[4:]}",
        SIGNATURE.rstrip("="),
        f"{SIGNATURE},",
        "v1a,",
        "v1a,é",
        "v1a,\ud800",
    ],
)
def test_a_signature_that_is_not_exactly_an_entry_is_refused(signature: str) -> None:
    with pytest.raises(VerificationError, match="no entry"):
        verify([PUBLIC], ID, str(AT), BODY, signature, now=AT)


def test_what_is_too_old_or_has_no_header_is_refused() -> None:
    for now in AT - 300.5, AT + 300.5, float("nan"):
        with pytest.raises(VerificationError, match="more than 300 s away"):
            verify([PUBLIC], ID, str(AT), BODY, SIGNATURE, now=now)
    with pytest.raises(VerificationError, match="is missing"):
        verify([PUBLIC], ID, str(AT), BODY, None, now=AT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsk_",
        "whsk_***",
        PRIVATE[5:],
        PRIVATE.rstrip("="),
        "whsec_" + PRIVATE[5:],
        "whsk_" + PUBLIC[5:],
        "whsk_" + base64.b64encode(bytes(64)).decode(),
        "whsk_é",
    ],
)
def test_a_malformed_private_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"a key is whsk_|do not belong together") as refusal:
        signing_key(text)
    assert len(text) < 9 or text[5:] not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "whpk_", "whpk_***", PUBLIC[5:], PRIVATE, "whpk_" + PRIVATE[5:]])
def test_a_malformed_public_key_verifies_nothing(text: str) -> None:
    with pytest.raises(VerificationError, match="the public key is malformed"):
        verify([text], ID, str(AT), BODY, SIGNATURE, now=AT)


def test_a_keys_repr_tells_the_public_half_alone() -> None:
    shown = repr(signing_key(PRIVATE))
    assert PUBLIC in shown
    assert PRIVATE[5:40] not in shown
    assert str(base64.b64decode(PRIVATE[5:])[:32]) not in shown


anything = st.text(st.characters(exclude_categories=())) | st.none()


@given(id_=anything, timestamp=anything | st.just(str(AT)), body=st.binary(), signature=anything)
def test_no_input_is_accepted_by_chance_nor_raises_another_error(
    id_: str | None, timestamp: str | None, body: bytes, signature: str | None
) -> None:
    with pytest.raises(VerificationError):
        verify([PUBLIC], id_, timestamp, body, signature and f"v1a,{signature}", now=AT)
