"""The guide's snippet and handler on real Node, against a real server; real deliveries for every verifier.

The Node receiver judges each request with the handler as printed, npm replicate's validateWebhook (raw body
and parsed body), standardwebhooks and svix; the Python ones judge the same headers and bytes: PyPI replicate
in its own environment, the others here.
"""

import copy
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks

from support.clients import Client, ClientError, first_python
from support.node import CLIENTS, ROOT, NodeReceiver, node_receiving, run_node
from support.server import TOKEN, Server, serving

FLUX = f"black-forest-labs/flux-schnell={ROOT / 'demo/models/flux-schnell'}"
WORDS = f"ringback/words={ROOT / 'demo/models/words'}"
JAVASCRIPT = ("page", "replicate", "replicate_parsed", "standardwebhooks", "svix")
ALL_EVENTS = ["start", "output", "logs", "completed"]


def env(server: Server, **more: str) -> dict[str, str]:
    return {"REPLICATE_API_TOKEN": TOKEN, "RINGBACK_BASE_URL": f"{server.url}/v1", **more}


def by_standardwebhooks(headers: dict[str, str], body: str, secret: str) -> None:
    standardwebhooks.Webhook(secret).verify(body.encode(), headers)


def by_svix(headers: dict[str, str], body: str, secret: str) -> None:
    svix.webhooks.Webhook(secret).verify(body.encode(), headers)


PYTHON = {"standardwebhooks": by_standardwebhooks, "svix": by_svix}
IN_PYTHON = ("replicate", *PYTHON)
REFUSALS = (standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)


async def python_verdicts(client: Client, headers: dict[str, str], body: str, secret: str) -> dict[str, bool]:
    request = {"headers": headers, "body": body, "secret": secret}
    verdicts = {"replicate": await client.ask("verdict", tolerance=300, **request)}
    for name, check in PYTHON.items():
        try:
            check(headers, body, secret)
            verdicts[name] = True
        except REFUSALS:
            verdicts[name] = False
    return verdicts


def completed(receiver: NodeReceiver, id_: str) -> bool:
    return any(
        line["headers"]["webhook-id"].startswith(f"evt_{id_}_")
        and line["headers"]["ringback-event"] == "completed"
        for line in receiver.heard
    )


async def test_the_guides_snippet_and_its_handler_work_together(tmp_path: Path) -> None:
    async with (
        serving(FLUX, data=tmp_path / "data") as server,
        node_receiving(await server.secret()) as receiver,
    ):
        printed = await run_node(CLIENTS / "snippet.mjs", env(server, WEBHOOK=receiver.url))
        id_ = printed["predictionId"]
        assert printed["prediction"]["status"] == "starting"
        assert printed["prediction"]["model"] == "black-forest-labs/flux-schnell"
        await receiver.until(lambda r: completed(r, id_))
        (line,) = receiver.heard
        assert (line["status"], line["answer"]) == (200, {"ok": True})
        assert line["verdicts"] == dict.fromkeys(JAVASCRIPT, True)
        assert list(line["saved"]) == [id_]
        assert line["flagged"] == {}
        (picture,) = line["saved"][id_]
        async with server.session.get(picture) as answer:
            assert answer.status == 200
            assert answer.content_type == "image/png"
            assert (await answer.read()).startswith(b"\x89PNG\r\n\x1a\n")


async def test_the_client_gets_the_secret_and_waits_and_lists_and_is_told_what_is_wrong(
    tmp_path: Path,
) -> None:
    async with serving(WORDS, data=tmp_path / "data") as server:
        printed = await run_node(CLIENTS / "journey.mjs", env(server))
        assert printed["key"] == await server.secret()
        assert printed["ended"]["status"] == "succeeded"
        assert len(printed["ended"]["output"]) == 4
        assert [item["id"] for item in printed["listed"]["results"]] == [printed["created"]["id"]]
        assert printed["refused"]["name"] == "ApiError"
        assert printed["refused"]["status"] == 422
        assert "Invalid version or not permitted" in printed["refused"]["message"]


async def test_every_verifier_accepts_every_real_delivery_and_refuses_it_altered(tmp_path: Path) -> None:
    async with (
        serving(FLUX, WORDS, data=tmp_path / "data") as server,
        node_receiving(await server.secret()) as receiver,
        first_python(server.url) as client,
    ):
        hook: dict[str, Any] = {"webhook": receiver.url, "webhook_events_filter": ALL_EVENTS}
        told = await server.create(
            "ringback/words", {"prompt": "thé 😀 \u2028 </script>", "words": 12, "pause": 0.1}, **hook
        )
        failing = await server.create("ringback/words", {"prompt": "too much", "words": 100_000}, **hook)
        painted = await server.create(
            "black-forest-labs/flux-schnell", {"prompt": "a", "num_inference_steps": 2}, **hook
        )
        ids = [told["id"], failing["id"], painted["id"]]
        await receiver.until(lambda r: all(completed(r, id_) for id_ in ids))
        secret = await server.secret()
        assert {line["headers"]["ringback-event"] for line in receiver.heard} == set(ALL_EVENTS)
        for line in receiver.heard:
            assert line["status"] == 200
            assert line["verdicts"] == dict.fromkeys(JAVASCRIPT, True)
            assert await python_verdicts(client, line["headers"], line["body"], secret) == dict.fromkeys(
                IN_PYTHON, True
            )
        assert receiver.heard[-1]["flagged"][failing["id"]] == "words must be from 1 to 1000"
        for part in ("body", "webhook-id", "webhook-timestamp", "webhook-signature"):
            headers, body = altered(receiver.heard[-1], part)
            await refused(server, receiver, headers, body)
            verdicts = await python_verdicts(client, headers, body, secret)
            assert verdicts == dict.fromkeys(IN_PYTHON, False), part


def altered(line: dict[str, Any], part: str) -> tuple[dict[str, str], str]:
    headers, body = copy.deepcopy(line["headers"]), line["body"]
    if part == "body":
        body = body.replace('"status":"', '"status":"x', 1)
    elif part == "webhook-signature":
        entries = headers[part].split(" ")
        # One letter of each digest: every entry has to be wrong for the request to be.
        headers[part] = " ".join(
            entry[:5] + ("B" if entry[5] == "A" else "A") + entry[6:] for entry in entries
        )
    elif part == "webhook-timestamp":
        headers[part] = str(int(headers[part]) - 1)
    else:
        headers[part] += "1"
    assert (headers, body) != (line["headers"], line["body"])
    return headers, body


async def refused(server: Server, receiver: NodeReceiver, headers: dict[str, str], body: str) -> None:
    """The receiver answers 401, and so would every other verifier."""
    known = len(receiver.heard)
    sent = {name: headers[name] for name in headers if name.startswith("webhook-")}
    async with server.session.post(receiver.url, data=body.encode(), headers=sent) as answer:
        assert answer.status == 401
    await receiver.until(lambda r: len(r.heard) > known)
    assert receiver.heard[-1]["body"] == body
    assert receiver.heard[-1]["verdicts"] == dict.fromkeys(JAVASCRIPT, False)


async def test_a_delivery_is_refused_with_another_accounts_secret(tmp_path: Path) -> None:
    other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    async with (
        serving(WORDS, data=tmp_path / "data") as server,
        node_receiving(other) as receiver,
        first_python(server.url) as client,
    ):
        await server.create("ringback/words", {"prompt": "a", "words": 1, "pause": 0}, webhook=receiver.url)
        await receiver.until(lambda r: len(r.heard) >= 1)
        line = receiver.heard[0]
        assert (line["status"], line["answer"]) == (401, {"error": "invalid signature"})
        assert line["saved"] == {}
        assert line["verdicts"] == dict.fromkeys(JAVASCRIPT, False)
        with pytest.raises(ClientError, match="InvalidSignatureError"):
            await client.ask("validated", headers=line["headers"], body=line["body"], secret=other)
        verdicts = await python_verdicts(client, line["headers"], line["body"], other)
        assert verdicts == dict.fromkeys(IN_PYTHON, False)
