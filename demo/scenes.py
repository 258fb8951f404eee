"""What the demo does: four scenes with the official client, and what is to be seen in them."""

import json
import struct
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from replicate.client import Client
from replicate.prediction import Prediction

from demo.processes import Heard, Receiver
from demo.screen import Screen, latency

SECOND_MS = 1000.0


class Check(StrEnum):
    """What has to be seen."""

    EVENTS = "start, logs and completed of a prediction rang, each verified by the receiver"
    SUB_SECOND = "completed rang within a second of the completion"
    SAVED = "the receiver saved the output under the prediction's id"
    PICTURE = "the output is the URL of a picture"
    WORDS = "output events brought the words while the model went on"
    AGAIN = "a delivery that failed was sent again: same id, same body"
    FORGED = "an altered request was refused with 401"


class Unverified(Exception):
    """The receiver refused what Ringback sent."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Who plays: the client, the receiver, the screen; and what has been seen so far."""

    client: Client
    receiver: Receiver
    screen: Screen
    seen: set[Check] = field(default_factory=set)

    def create(self, model: str, input_: dict[str, object], query: str, events: list[str]) -> Prediction:
        """Create a prediction with a webhook, as in any program that uses the official client."""
        prediction: Prediction = self.client.predictions.create(
            version=model,
            input=input_,
            webhook=self.receiver.url + query,
            webhook_events_filter=events,
        )
        self.screen.fact("created", f"{prediction.id}  {model}, {json.dumps(input_['prompt'])}")
        return prediction

    def until_completed(self, prediction: Prediction) -> Iterator[Heard]:
        """Give what the receiver hears of a prediction, until it has accepted a `completed`.

        Raises:
            Unverified: it refused one.
        """
        while True:
            heard = self.receiver.next()
            if heard.prediction["id"] != prediction.id:
                continue
            yield heard
            if heard.status == 401:
                raise Unverified("The receiver refused the signature: is its secret the server's?")
            if heard.status == 200 and heard.event == "completed":
                return

    def notice(self, check: Check, *, seen: bool) -> None:
        """Remember what was seen."""
        if seen:
            self.seen.add(check)


def picture(stage: Stage) -> Heard:
    """Order a picture and wait to be called; give the last call."""
    stage.screen.title("1  A picture takes a while. Don't hold the line: it rings when it is ready.")
    prediction = stage.create(
        "black-forest-labs/flux-schnell",
        {"prompt": "A misty forest at dawn, photorealistic", "aspect_ratio": "3:2"},
        "",
        ["start", "logs", "completed"],
    )
    stage.screen.columns()
    calls = []
    for heard in stage.until_completed(prediction):
        stage.screen.event(heard, note(heard))
        calls.append(heard)
    last = calls[-1]
    urls, late = last.prediction["output"] or [], latency(last)
    stage.notice(Check.EVENTS, seen={"start", "logs", "completed"} == {call.event for call in calls})
    stage.notice(Check.SUB_SECOND, seen=late is not None and late < SECOND_MS)
    stage.notice(Check.SAVED, seen=bool(urls) and last.saved.get(prediction.id) == urls)
    found = describe_png(fetch(urls[0])) if urls else None
    stage.screen.fact("fetched", found or f"no picture: {urls}")
    stage.notice(Check.PICTURE, seen=found is not None)
    return last


def fetch(url: str) -> bytes:
    """GET what is at a URL."""
    with urllib.request.urlopen(url) as response:
        data: bytes = response.read()
        return data


def words(stage: Stage) -> None:
    """Have words streamed in by output events."""
    stage.screen.title("2  Words ring as the model says them: output events, at most two a second.")
    prediction = stage.create("ringback/words", {"prompt": "the misty forest"}, "", ["output", "completed"])
    said: list[str] = []
    grew = 0
    for heard in stage.until_completed(prediction):
        output = heard.prediction["output"]
        new = output[len(said) :]
        stage.screen.event(heard, "".join(new).strip() or note(heard))
        grew += heard.event == "output" and bool(new) and output[: len(said)] == said
        said = output
    stage.notice(Check.WORDS, seen=grew > 1)


def again(stage: Stage) -> None:
    """Have the receiver fail once."""
    stage.screen.title("3  The receiver is down for a moment: the delivery is sent again.")
    input_ = {"prompt": "A lighthouse in the fog", "num_inference_steps": 1}
    prediction = stage.create("black-forest-labs/flux-schnell", input_, "?fail=once", ["completed"])
    calls = []
    for heard in stage.until_completed(prediction):
        stage.screen.event(heard, f"attempt {heard.attempt}, {heard.headers['webhook-id']}")
        calls.append(heard)
    stage.screen.fact("", "the demo's first retry comes after 1 s; by default after 5 s, then for a day")
    same = len({(call.headers["webhook-id"], call.body) for call in calls}) == 1
    stage.notice(Check.AGAIN, seen=same and [call.status for call in calls] == [503, 200])


def forged(stage: Stage, real: Heard) -> None:
    """Send the receiver a real delivery with another picture in it."""
    stage.screen.title("4  Somebody alters a delivery: the receiver refuses it.")
    output = real.prediction["output"]
    body = real.body.replace(json.dumps(output), '["https://example.com/forged.png"]')
    names = ("content-type", "webhook-id", "webhook-timestamp", "webhook-signature")
    headers = {name: real.headers[name] for name in names}
    request = urllib.request.Request(stage.receiver.url, body.encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            status, answer = response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            status, answer = error.code, error.read()
    stage.screen.fact("answered", f"{status} {answer.decode()}")
    kept = stage.receiver.next().saved[real.prediction["id"]]
    stage.notice(Check.FORGED, seen=status == 401 and kept == output)


def note(heard: Heard) -> str:
    """Give what is worth knowing of a snapshot, in a few words."""
    prediction = heard.prediction
    output, logs = prediction["output"], prediction["logs"].strip()
    if heard.event != "completed":
        return str(logs.rpartition("\n")[2])
    if isinstance(output, list) and len(output) > 1:
        return f"{len(output)} pieces"
    return f"{prediction['status']}: {output[0] if output else prediction['error']}"


def describe_png(data: bytes) -> str | None:
    """Give a PNG's size in pixels and bytes; None if it is not a whole one."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[-8:-4] != b"IEND":
        return None
    width, height = struct.unpack(">II", data[16:24])
    length = int.from_bytes(data[33:37])
    if len(zlib.decompress(data[41 : 41 + length])) != height * (1 + 3 * width):
        return None
    return f"PNG, {width} x {height} pixels, {len(data) / 1000:.0f} kB"
