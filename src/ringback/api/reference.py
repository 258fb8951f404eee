"""The OpenAPI document as a page for people: what there is, what it takes and answers, how to try it.

Plain HTML and one style sheet: nothing is loaded, nothing runs.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

Json = Mapping[str, Any]

_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")
_PHRASES = {"200": "OK", "201": "Created", "202": "Accepted", "204": "No Content", "206": "Partial Content"}
_JSON = ("application/json", "application/problem+json")


def page(document: Json, style: str, methods: Sequence[str]) -> str:
    """Render the page.

    Args:
        document: OpenAPI 3.1.
        style: the style sheet.
        methods: keys of a path item that are operations.
    """
    document = _readable(document)
    operations = [_Operation(document, path, method) for path, method in _all(document, methods)]
    info, components = document["info"], document["components"]
    groups = [
        (tag, [each for each in operations if each.what["tags"][0] == tag["name"]])
        for tag in document["tags"]
    ]
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width"><title>',
            f"{escape(info['title'])} API</title><style>{style}</style>",
            f'<nav><a href="#top"><strong>{escape(info["title"])}</strong></a> {escape(info["version"])}',
            *(_listed(tag, each) for tag, each in groups if each),
            '<h2><a href="#objects">Objects</a></h2><h2><a href="#errors">Errors</a></h2></nav>',
            f'<main id="top"><h1>{escape(info["title"])} API</h1>{_text(info["description"])}',
            '<p>This page as data: <a href="openapi.json">openapi.json</a></p>',
            *(_group(tag, each) for tag, each in groups if each),
            '<h2 id="objects">Objects</h2>',
            *(_object(name, schema) for name, schema in components["schemas"].items()),
            '<h2 id="errors">Errors</h2><dl>',
            *(_error(status, answer) for status, answer in components["responses"].items()),
            "</dl></main></html>\n",
        ]
    )


def _readable(document: Json) -> Json:
    """Write out what is only a text or a number with a name; what has fields or options is linked to."""
    schemas = document["components"]["schemas"]
    simple = {name: schema for name, schema in schemas.items() if not {"properties", "enum"} & set(schema)}

    def written_out(part: Any) -> Any:
        if isinstance(part, list):
            return [written_out(each) for each in part]
        if not isinstance(part, dict):
            return part
        name = part.get("$ref", "").removeprefix("#/components/schemas/")
        if name in simple:
            part = {**simple[name], **{key: value for key, value in part.items() if key != "$ref"}}
        return {key: written_out(value) for key, value in part.items()}

    found: dict[str, Any] = written_out(copy.deepcopy(dict(document)))
    kept = {name: schema for name, schema in found["components"]["schemas"].items() if name not in simple}
    found["components"]["schemas"] = kept
    return found


def _all(document: Json, methods: Sequence[str]) -> Iterator[tuple[str, str]]:
    paths = document["paths"].items()
    return ((path, method) for path, item in paths for method in methods if method in item)


class _Operation:
    """An operation with what its path says for it."""

    def __init__(self, document: Json, path: str, method: str) -> None:
        item = document["paths"][path]
        self.what: Json = item[method]
        self.path = path
        self.method = method.removeprefix("x-")
        self.id = escape(self.what["operationId"])
        self.document = document
        self.base = self.what.get("servers", document["servers"])[0]["url"]
        given = [*item.get("parameters", []), *self.what.get("parameters", [])]
        self.parameters = [self.found(each) for each in given]
        self.is_open = self.what.get("security") == []

    def found(self, part: Json) -> Json:
        """Follow a reference; what stands beside it counts more."""
        if "$ref" not in part:
            return part
        target: Any = self.document
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return {**target, **{key: value for key, value in part.items() if key != "$ref"}}


def _listed(tag: Json, operations: Sequence[_Operation]) -> str:
    items = "".join(
        f'<li><a href="#{each.id}">{_method(each)}<span>{escape(each.what["summary"])}</span></a></li>'
        for each in operations
    )
    return f"<h2>{escape(tag['name'])}</h2><ul>{items}</ul>"


def _method(operation: _Operation) -> str:
    return f'<span class="method {operation.method}">{operation.method.upper()}</span>'


def _group(tag: Json, operations: Sequence[_Operation]) -> str:
    shown = "".join(map(_section, operations))
    return f"<h2>{escape(tag['name'])}</h2>{_text(tag['description'])}{shown}"


def _section(operation: _Operation) -> str:
    what = operation.what
    marks = _own(what) + ('<span class="open">no token needed</span>' if operation.is_open else "")
    return "".join(
        [
            f'<section id="{operation.id}"><h3>{escape(what["summary"])}{marks}</h3>',
            f'<p class="path">{_method(operation)} <code>{escape(operation.path)}</code></p>',
            _text(what.get("description", "")),
            *(_parameters(operation, place) for place in ("path", "query", "header")),
            _body(operation),
            f"<pre><code>{escape(curl(operation))}</code></pre>",
            _answers(operation),
            "</section>",
        ]
    )


def _own(what: Json) -> str:
    return '<span class="own">Ringback only</span>' if what.get("x-ringback-only") else ""


def _parameters(operation: _Operation, place: str) -> str:
    found = [each for each in operation.parameters if each["in"] == place]
    if not found:
        return ""
    items = "".join(
        _field(each["name"], {**each["schema"], **_described(each)}, _required(each.get("required", False)))
        for each in found
    )
    return f"<h4>{place.capitalize()} parameters</h4><dl>{items}</dl>"


def _described(part: Json) -> dict[str, Any]:
    return {key: part[key] for key in ("description", "x-ringback-only", "deprecated") if key in part}


def _required(is_required: bool) -> str:  # noqa: FBT001 # its only argument
    return '<span class="required">required</span>' if is_required else ""


def _body(operation: _Operation) -> str:
    body = operation.what.get("requestBody")
    if body is None:
        return ""
    is_optional = "" if body.get("required") else " (may be left out)"
    parts = (
        f"<h4>Body{is_optional}: {escape(kind)}</h4>{_shape(operation.found(media['schema']), is_sent=True)}"
        for kind, media in body["content"].items()
    )
    return "".join(parts)


def _answers(operation: _Operation) -> str:
    answers = operation.what["responses"].items()
    errors = " ".join(
        f'<a href="#error-{status}">{status}</a>' for status, each in answers if [*each] == ["$ref"]
    )
    shown = "".join(_answer(operation, status, each) for status, each in answers if [*each] != ["$ref"])
    others = f'<p class="type">Errors: {errors}</p>' if errors else ""
    return f"<h4>Answers</h4><dl>{shown}</dl>{others}"


def _answer(operation: _Operation, status: str, given: Json) -> str:
    answer = operation.found(given)
    headers = "".join(
        f"<br><code>{escape(name)}</code> {_inline(operation.found(header).get('description', ''))}"
        for name, header in answer.get("headers", {}).items()
    )
    content = answer.get("content", {}).items()
    inner = "".join(_shape(media["schema"]) for _, media in content if _is_object(media.get("schema", {})))
    return (
        f'<dt><code>{status}</code> {_PHRASES.get(status, "")} <span class="type">'
        f"{', '.join(_content(kind, media) for kind, media in content)}</span>"
        f"<dd>{_inline(answer['description'])}{headers}{inner}"
    )


def _content(kind: str, media: Json) -> str:
    schema = media.get("schema", {})
    return _name(schema) if kind in _JSON and not _is_object(schema) else escape(kind)


def _error(status: str, answer: Json) -> str:
    problem = ", ".join(_content(kind, media) for kind, media in answer["content"].items())
    return (
        f'<dt id="error-{status}"><code>{status}</code> <span class="type">{problem}</span>'
        f"<dd>{_inline(answer['description'])}"
    )


def _object(name: str, schema: Json) -> str:
    example = schema.get("example")
    shown = "" if example is None else f"<pre><code>{escape(json.dumps(example, indent=2))}</code></pre>"
    return (
        f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>{_text(schema.get("description", ""))}'
        f"{_shape({**schema, 'description': ''})}{shown}</section>"
    )


def _is_object(schema: Json) -> bool:
    return "properties" in schema


def _shape(schema: Json, *, is_sent: bool = False) -> str:
    """Show an object's fields, or what else it is; of what is sent, those that must be there first."""
    if not _is_object(schema):
        return f"<p>{_name(schema)} {_inline(schema.get('description', ''))}</p>"
    required = schema.get("required", [])
    names = sorted(schema["properties"], key=lambda name: is_sent and name not in required)
    absent = "" if is_sent else '<span class="open">may be absent</span>'
    items = (
        _field(name, schema["properties"][name], _required(is_sent) if name in required else absent)
        for name in names
    )
    return f"<dl>{''.join(items)}</dl>"


def _field(name: str, schema: Json, mark: str) -> str:
    marks = mark + _own(schema) + ('<span class="old">deprecated</span>' if schema.get("deprecated") else "")
    part = schema.get("items", schema)
    told = f"<p>{_inline(schema['description'])}</p>" if schema.get("description") else ""
    inner = _shape(part) if _is_object(part) else ""
    return (
        f'<dt><code>{escape(name)}</code> <span class="type">{_name(schema)}</span> {marks}<dd>{told}{inner}'
    )


def _name(schema: Json) -> str:
    """Say what a value may be, in a few words."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_name, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        options = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(json.dumps(option))}</code>" for option in options)
    kinds = schema.get("type", "anything")
    names = (_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds))
    return " or ".join(names) + _bounds(schema)


def _kind(kind: str, schema: Json) -> str:
    if kind == "array":
        return f"list of {_name(schema.get('items', {}))}"
    if kind == "string":
        return {"uri": "URL", "date-time": "time", "binary": "bytes"}.get(schema.get("format", ""), "text")
    return {"boolean": "true or false"}.get(kind, kind)


def _bounds(schema: Json) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    span = {(True, True): f", {low} to {high}", (True, False): f", at least {low}"}
    default = f", {escape(json.dumps(schema['default']))} if absent" if "default" in schema else ""
    return span.get((low is not None, high is not None), "") + default


def curl(operation: _Operation) -> str:
    """Give a command that tries it."""
    path = operation.path
    for each in operation.parameters:
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", str(each.get("example", each["name"].upper())))
    words = ["curl" if operation.method == "get" else f"curl -X {operation.method.upper()}"]
    words[0] += f" '{operation.base}{path}{_query(operation)}'"
    if not operation.is_open:
        words.append('-H "Authorization: Bearer $REPLICATE_API_TOKEN"')
    return " \\\n  ".join([*words, *_data(operation.what.get("requestBody", {"content": {}}))])


def _query(operation: _Operation) -> str:
    given = [each for each in operation.parameters if each["in"] == "query" and each.get("required")]
    pairs = (f"{each['name']}={each.get('example', each['name'].upper())}" for each in given)
    return f"?{'&'.join(pairs)}" if given else ""


def _data(body: Json) -> list[str]:
    for kind, media in body["content"].items():
        example = media.get("example")
        if kind == "multipart/form-data":
            return [f"-F '{name}={value}'" for name, value in (example or {}).items()]
        if example is not None:
            text = example if isinstance(example, str) else json.dumps(example)
            return [f"-H 'Content-Type: {kind}'", "-d '{}'".format(text.replace("'", "'\\''"))]
    return []


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.strip().split("\n\n") if part)


def _inline(text: str) -> str:
    shown = _LINK.sub(r'<a href="\2">\1</a>', escape(text.strip()))
    return _BOLD.sub(r"<strong>\1</strong>", _CODE.sub(r"<code>\1</code>", shown))
