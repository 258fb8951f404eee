import base64
import hashlib
import hmac
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from hypothesis import given
from hypothesis import strategies as st

from ringback.words import ed25519
from ringback.words.json import canonical
from ringback.words.signature import VerificationError, new_secret, sign, verify
from support.receiver import Received, receiving
from support.server import Server, model, serving

Ask = Callable[..., Any]

# The vector of svix, which the test suites of both Replicate clients have too.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

# Everything about it that a receiver's parser and serialiser could change is in it.
AWKWARD = canonical(
    {
        "id": "01hzy0t9q6y2v6d8f3m4n5p6q7",
        "status": "succeeded",
        "output": ["\ud800 é 😀 \u2028 </script> \x00", 1.0, 1e-7, 1e21, -0.0, {"10": 1, "9": 2, "a": None}],
        "metrics": {"predict_time": 2.0},
        "error": None,
    }
)


def by_standardwebhooks(headers: dict[str, str], body: bytes, secret: str) -> None:
    standardwebhooks.Webhook(secret).verify(body, headers)


def by_svix(headers: dict[str, str], body: bytes, secret: str) -> None:
    svix.webhooks.Webhook(secret).verify(body, headers)


def by_ringback(headers: dict[str, str], body: bytes, secret: str) -> None:
    verify(
        secret,
        headers["webhook-id"],
        headers["webhook-timestamp"],
        body,
        headers["webhook-signature"],
        now=time.time(),
    )


IN_PYTHON = {
    "python standardwebhooks": by_standardwebhooks,
    "python svix": by_svix,
    "ringback": by_ringback,
}


@dataclass(frozen=True)
class Elsewhere:
    """The verifiers that have a process of their own."""

    node: Ask
    replicate: Ask


@pytest.fixture(scope="session")
def elsewhere(ask_node: Ask, ask_replicate: Ask) -> Elsewhere:
    return Elsewhere(ask_node, ask_replicate)


def accepted_by(elsewhere: Elsewhere, headers: dict[str, str], body: bytes, secret: str) -> dict[str, bool]:
    request = {"headers": headers, "body": body.decode(), "secret": secret}
    verdicts: dict[str, bool] = elsewhere.node("verdicts", **request)
    verdicts["python replicate"] = elsewhere.replicate("verdict", tolerance=300, **request)
    for name, check in IN_PYTHON.items():
        try:
            check(headers, body, secret)
            verdicts[name] = True
        except (ValueError, standardwebhooks.WebhookVerificationError, VerificationError):
            verdicts[name] = False
    return verdicts


EVERYONE = {
    "page",
    "replicate",
    "replicate_parsed",
    "standardwebhooks",
    "svix",
    "python replicate",
    *IN_PYTHON,
}


def webhook(*secrets: str) -> dict[str, str]:
    at = int(time.time())
    return {
        "webhook-id": "evt_01hzy0t9q6y2v6d8f3m4n5p6q7_3",
        "webhook-timestamp": str(at),
        "webhook-signature": sign(secrets, "evt_01hzy0t9q6y2v6d8f3m4n5p6q7_3", at, AWKWARD),
    }


def test_one_request_satisfies_every_verifier(elsewhere: Elsewhere) -> None:
    secret = new_secret(os.urandom)
    assert accepted_by(elsewhere, webhook(secret), AWKWARD, secret) == dict.fromkeys(EVERYONE, True)


def test_during_a_rotation_both_secrets_satisfy_every_verifier(elsewhere: Elsewhere) -> None:
    new, old = new_secret(os.urandom), new_secret(os.urandom)
    for secret in new, old:
        assert accepted_by(elsewhere, webhook(new, old), AWKWARD, secret) == dict.fromkeys(EVERYONE, True)


async def real(server: Server, **input_: Any) -> Received:
    """A request as a real receiver gets it from a real server."""
    async with receiving() as receiver:
        created = await server.create("test/echo", input_, webhook=receiver.url)
        await receiver.until(lambda r: len(r.acknowledged) == 1)
        return receiver.of(created["id"])[0]


async def test_a_real_request_signed_with_two_secrets_and_two_key_pairs_satisfies_every_verifier(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text("[webhooks]\nv1a = true\n")
    async with serving(model("test/echo", "echo"), "--config", str(config), data=tmp_path / "data") as server:
        secrets = [await server.secret()]
        await server.call("POST", "/v1/webhooks/default/secret/rotate")
        await server.call("POST", "/v1/webhooks/default/key/rotate")
        secrets.append(await server.secret())
        item = await real(server, text='thé 😀 \u2028 </script> "')
        _, document = await server.call("GET", "/.well-known/jwks.json")
    signature = item.headers["webhook-signature"]
    assert [entry.partition(",")[0] for entry in signature.split(" ")] == ["v1"] * 4 + ["v1a"] * 2
    for secret in secrets:
        assert accepted_by(elsewhere, item.headers, item.body, secret) == dict.fromkeys(EVERYONE, True)
        other = item.body.replace(b"succeeded", b"succeedeD")
        assert accepted_by(elsewhere, item.headers, other, secret) == dict.fromkeys(EVERYONE, False)
    assert len(document["keys"]) == 2
    for jwk in document["keys"]:
        public = "whpk_" + base64.b64encode(base64.urlsafe_b64decode(jwk["x"] + "=")).decode()
        stamp = item.headers["webhook-timestamp"]
        ed25519.verify([public], item.id, stamp, item.body, signature, now=time.time())


def altered(text: str) -> str:
    return ("A" if text[0] != "A" else "B") + text[1:]


def forged_entry(entry: str) -> str:
    return "v1," + altered(entry.removeprefix("v1,"))


@pytest.mark.parametrize("part", ["body", "id", "timestamp", "signature", "secret"])
def test_every_verifier_refuses_an_altered(elsewhere: Elsewhere, part: str) -> None:
    secret = new_secret(os.urandom)
    headers, body = webhook(secret), AWKWARD
    if part == "body":
        body = body.replace(b"succeeded", b"succeedeD")
    elif part == "id":
        headers["webhook-id"] += "0"
    elif part == "timestamp":
        headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
    elif part == "signature":
        headers["webhook-signature"] = " ".join(map(forged_entry, headers["webhook-signature"].split(" ")))
    else:
        secret = new_secret(os.urandom)
    assert accepted_by(elsewhere, headers, body, secret) == dict.fromkeys(EVERYONE, False)


def test_the_published_vector_is_the_first_entry_and_is_verified() -> None:
    assert sign([SECRET], ID, AT, BODY).split(" ")[0] == SIGNATURE
    verify(SECRET, ID, str(AT), BODY, SIGNATURE, now=AT)


def test_each_secret_has_an_entry_by_its_key_and_one_by_its_whole_text() -> None:
    other = new_secret(lambda size: b"\x01" * size)
    content = f"{ID}.{AT}.".encode() + BODY
    keys = [key for secret in (SECRET, other) for key in (base64.b64decode(secret[6:]), secret.encode())]
    digests = [base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode() for key in keys]
    assert sign([SECRET, other], ID, AT, BODY) == " ".join(f"v1,{digest}" for digest in digests)


def test_signing_twice_gives_the_same() -> None:
    assert sign([SECRET], ID, AT, BODY) == sign([SECRET], ID, AT, BODY)


def test_a_new_secret_is_32_bytes_in_padded_standard_base64() -> None:
    secret = new_secret(lambda size: b"\xff" * size)
    assert secret == "whsec_" + "/" * 42 + "8="
    assert base64.b64decode(secret[6:], validate=True) == b"\xff" * 32


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_***", "C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_a", "whsec_é"]
)
def test_a_malformed_secret_neither_signs_nor_verifies_and_is_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="a secret is whsec_ followed by base64") as refusal:
        sign([secret], ID, AT, BODY)
    assert len(secret) < 8 or secret not in str(refusal.value)
    with pytest.raises(VerificationError, match="secret"):
        verify(secret, ID, str(AT), BODY, SIGNATURE, now=AT)


def test_a_secret_without_its_padding_is_the_same_secret() -> None:
    secret = new_secret(os.urandom)
    header = sign([secret], ID, AT, BODY)
    verify(secret.rstrip("="), ID, str(AT), BODY, header, now=AT)


def test_other_versions_and_stray_entries_are_passed_over() -> None:
    verify(SECRET, ID, str(AT), BODY, f"v1a,xyz  v2,{SIGNATURE[3:]} nonsense v1, é {SIGNATURE}", now=AT)


@pytest.mark.parametrize(
    "signature",
    [
        SIGNATURE[3:],
        f"v2,{SIGNATURE[3:]}",
        SIGNATURE.rstrip("="),
        f"{SIGNATURE},",
        f"V1,{SIGNATURE[3:]}",
        "v1,é",
        "\ud800",
        "v1,\ud800",
    ],
)
def test_a_signature_that_is_not_exactly_an_entry_is_refused(signature: str) -> None:
    with pytest.raises(VerificationError, match="no entry of webhook-signature"):
        verify(SECRET, ID, str(AT), BODY, signature, now=AT)


def test_the_entry_by_the_whole_text_alone_is_refused() -> None:
    by_text = sign([SECRET], ID, AT, BODY).split(" ")[1]
    with pytest.raises(VerificationError, match="no entry"):
        verify(SECRET, ID, str(AT), BODY, by_text, now=AT)


@pytest.mark.parametrize("missing", [None, ""])
def test_a_missing_header_is_refused(missing: str | None) -> None:
    with pytest.raises(VerificationError, match="is missing"):
        verify(SECRET, missing, str(AT), BODY, SIGNATURE, now=AT)
    with pytest.raises(VerificationError, match="is missing"):
        verify(SECRET, ID, missing, BODY, SIGNATURE, now=AT)
    with pytest.raises(VerificationError, match="is missing"):
        verify(SECRET, ID, str(AT), BODY, missing, now=AT)


@pytest.mark.parametrize(
    "timestamp", ["abc", "1614265330.0", " 1614265330", "+1614265330", "-1", "١٦", "9" * 5000, "1e9"]
)
def test_a_timestamp_that_is_no_number_of_seconds_is_refused(timestamp: str) -> None:
    with pytest.raises(VerificationError, match="whole number"):
        verify(SECRET, ID, timestamp, BODY, SIGNATURE, now=AT)


def test_the_clock_may_be_off_by_the_tolerance_to_both_sides_and_no_more() -> None:
    for now in AT - 300, AT + 300:
        verify(SECRET, ID, str(AT), BODY, SIGNATURE, now=now)
    for far in AT - 300.5, AT + 300.5, float("nan"), float("inf"):
        with pytest.raises(VerificationError, match="more than 300 s away"):
            verify(SECRET, ID, str(AT), BODY, SIGNATURE, now=far)
    verify(SECRET, ID, str(AT), BODY, SIGNATURE, now=AT + 3600, tolerance_s=3600)


anything = st.text(st.characters(exclude_categories=())) | st.none()


@given(
    secret=anything, id_=anything, timestamp=anything | st.just(str(AT)), body=st.binary(), signature=anything
)
def test_no_input_is_accepted_by_chance_nor_raises_another_error(
    secret: str | None, id_: str | None, timestamp: str | None, body: bytes, signature: str | None
) -> None:
    for key in SECRET, secret or "":
        with pytest.raises(VerificationError):
            verify(key, id_, timestamp, body, signature and f"v1,{signature}", now=AT)
