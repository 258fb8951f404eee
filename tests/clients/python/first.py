"""PyPI replicate 1.x, asked line by line: what is the same for every method is asked by its name."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import replicate
from lines import answer_lines, found, revived, shown
from replicate.client import Client
from replicate.pagination import Page, async_paginate, paginate
from replicate.webhook import Webhooks, WebhookSigningSecret

CLIENT = Client()


def plain(value: Any) -> Any:
    """Give an object of the client as its fields."""
    if isinstance(value, Page):
        return {"next": value.next, "previous": value.previous, "results": [plain(item) for item in value]}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.dict() if hasattr(value, "dict") else value


def _named(path: str, awaited: bool) -> str:
    before, dot, name = path.rpartition(".")
    return f"{before}{dot}async_{name}" if awaited else path


async def _called(start: Any, path: str, args: Any, kwargs: Any, awaited: bool) -> Any:
    result = found(start, _named(path, awaited))(*revived(args), **revived(kwargs))
    return await result if awaited else result


async def call(path: str, args: Any = (), kwargs: Any = None, awaited: bool = False, then: Any = ()) -> Any:
    """Call a method; `then`, methods of what it gave, one after the other: [name, args, kwargs]."""
    value = await _called(CLIENT, path, args, kwargs or {}, awaited)
    for name, more_args, more_kwargs in then:
        result = await _called(value, name, more_args, more_kwargs, awaited)
        value = value if result is None else result
    return plain(value)


async def run(ref: str, awaited: bool = False, **params: Any) -> Any:
    """Run a model."""
    given = revived(params)
    if awaited:
        return await shown(await CLIENT.async_run(ref, **given), awaited)
    return await shown(CLIENT.run(ref, **given), awaited)


async def _events(stream: Any) -> AsyncIterator[Any]:
    if isinstance(stream, Iterator):
        for event in stream:
            yield event
    else:
        async for event in stream:
            yield event


async def _heard(stream: Any, awaited: bool) -> Any:
    return [
        {"event": event.event.value, "data": await shown(event.data, awaited), "id": event.id}
        async for event in _events(stream)
    ]


async def stream(ref: str, given: Any, awaited: bool = False) -> Any:
    """Stream a model's output."""
    begun = await CLIENT.async_stream(ref, input=given) if awaited else CLIENT.stream(ref, input=given)
    return await _heard(begun, awaited)


async def stream_of(prediction: str, awaited: bool = False) -> Any:
    """Stream a prediction that there is."""
    one = CLIENT.predictions.get(prediction)
    return await _heard(one.async_stream() if awaited else one.stream(), awaited)


async def output_of(path: str, kwargs: Any, awaited: bool = False) -> Any:
    """Iterate over the output of a prediction while it runs."""
    prediction = await _called(CLIENT, path, (), kwargs, awaited)
    outputs = prediction.async_output_iterator() if awaited else prediction.output_iterator()
    return await shown(outputs, awaited)


async def pages(path: str, most: int = 100, awaited: bool = False) -> Any:
    """Follow `next`; give the pages."""
    seen = []
    if awaited:
        async for page in async_paginate(found(CLIENT, _named(path, awaited))):
            seen.append(plain(page)["results"])
            if len(seen) == most:
                break
    else:
        for page in paginate(found(CLIENT, path)):
            seen.append(plain(page)["results"])
            if len(seen) == most:
                break
    return seen


def validated(headers: Any, body: str, secret: str, tolerance: int | None = None) -> bool:
    """Validate a webhook; raises what the client raises."""
    key = WebhookSigningSecret(key=secret)
    Webhooks.validate(headers=headers, body=body, secret=key, tolerance=tolerance)
    return True


def verdict(**request: Any) -> bool:
    """Say whether a webhook is valid."""
    try:
        return validated(**request)
    except ValueError:
        return False


def module(ref: str, given: Any) -> Any:
    """Run by the functions of the module itself, which know the environment alone."""
    return {"output": list(replicate.run(ref, input=given)), "newest": replicate.predictions.list()[0].id}


if __name__ == "__main__":
    answer_lines(
        {
            "call": call,
            "run": run,
            "stream": stream,
            "stream_of": stream_of,
            "output_of": output_of,
            "pages": pages,
            "validated": validated,
            "verdict": verdict,
            "module": module,
        }
    )
