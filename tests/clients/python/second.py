"""PyPI replicate 2.x, asked line by line: what is the same for every method is asked by its name.

Every answer is validated strictly: a field that is missing or of another type than the client's is an error.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import replicate
from lines import answer_lines, found, revived, shown
from replicate import AsyncReplicate, Replicate

_requests: list[dict[str, Any]] = []


def _note(response: httpx.Response) -> None:
    request = response.request
    told = {"method": request.method, "path": request.url.path, "status": response.status_code}
    _requests.append(told)


async def _note_awaited(response: httpx.Response) -> None:
    _note(response)


CLIENT = Replicate(
    _strict_response_validation=True,
    http_client=replicate.DefaultHttpxClient(event_hooks={"response": [_note]}),
)
AWAITED = AsyncReplicate(
    _strict_response_validation=True,
    http_client=replicate.DefaultAsyncHttpxClient(event_hooks={"response": [_note_awaited]}),
)


def plain(value: Any) -> Any:
    """Give an object of the client as the JSON it was made from."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.to_dict(mode="json") if hasattr(value, "to_dict") else value


def _client(awaited: bool) -> Any:
    return AWAITED if awaited else CLIENT


async def _called(path: str, args: Any, kwargs: Any, awaited: bool, token: str = "") -> Any:
    client = _client(awaited).copy(bearer_token=token) if token else _client(awaited)
    result = found(client, path)(*revived(args), **revived(kwargs or {}))
    return await result if hasattr(result, "__await__") else result


async def call(path: str, args: Any = (), kwargs: Any = None, awaited: bool = False, token: str = "") -> Any:
    """Call a method, with another token if it is given."""
    return plain(await _called(path, args, kwargs, awaited, token))


async def raw(path: str, kwargs: Any = None, awaited: bool = False) -> Any:
    """Call a method for the response as it came."""
    before, _, name = path.rpartition(".")
    response = await _called(f"{before}.with_raw_response.{name}", (), kwargs, awaited)
    text = response.text()
    text = await text if awaited else text
    return {"status": response.status_code, "headers": dict(response.headers), "text": text}


async def each(path: str, kwargs: Any = None, awaited: bool = False, most: int = 1000) -> Any:
    """Iterate over a page and those that follow it, as the client does by itself."""
    seen = []
    result = found(_client(awaited), path)(**(kwargs or {}))
    if awaited:
        async for item in result:
            seen.append(plain(item))
            if len(seen) == most:
                break
        return seen
    for item in result:
        seen.append(plain(item))
        if len(seen) == most:
            break
    return seen


async def run(ref: str, awaited: bool = False, **params: Any) -> Any:
    """Run a model."""
    result = _client(awaited).run(ref, **revived(params))
    return await shown(await result if awaited else result, awaited)


async def _gathered(output: Any) -> Any:
    if hasattr(output, "__aiter__"):
        return [str(item) async for item in output]
    if isinstance(output, Iterator) or hasattr(output, "is_concatenate"):
        return [str(item) for item in output]
    return output


async def use(ref: str, inputs: Any, awaited: bool = False, streaming: bool = False) -> Any:
    """Call a model as a function; a file that comes of it is read from where it was downloaded to."""
    if awaited:
        model = replicate.use(ref, use_async=True, streaming=streaming)
        output = await model(**revived(inputs))
    else:
        model = replicate.use(ref, streaming=streaming)
        output = model(**revived(inputs))
    output = await _gathered(output)
    if hasattr(output, "__fspath__"):
        return {"$file_output": Path(output).read_bytes().decode(), "url": replicate.get_path_url(output)}
    return output


def logs_of(ref: str, inputs: Any) -> Any:
    """Start a model by `create` of its function; give output, logs and schema."""
    model = replicate.use(ref)
    begun = model.create(**inputs)
    output = begun.output()
    return {"output": output, "logs": begun.logs(), "schema": model.openapi_schema()}


def stream(ref: str, given: Any) -> Any:
    """Stream by the deprecated function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return [str(item) for item in replicate.stream(ref, input=given)]


def requests() -> Any:
    """Give what was sent since this was asked last."""
    sent = list(_requests)
    _requests.clear()
    return sent


if __name__ == "__main__":
    answer_lines(
        {
            "call": call,
            "raw": raw,
            "each": each,
            "run": run,
            "use": use,
            "logs_of": logs_of,
            "stream": stream,
            "requests": requests,
        }
    )
