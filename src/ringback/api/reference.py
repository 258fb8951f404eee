"""The OpenAPI document as a page for people: what there is, what it takes and answers, how to try it.

Plain HTML and one style sheet: nothing is loaded, nothing runs.
"""

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


def page(document: Json, style: str, methods: Sequence[str]) -> str:
    """Render the page.

    Args:
        document: OpenAPI 3.1.
        style: the style sheet.
        methods: keys of a path item that are operations.
    """
    operations = [_Operation(document, path, method) for path, method in _all(document, methods)]
    info = document["info"]
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
            '<h2><a href="#schemas">Objects</a></h2></nav><main id="top">',
            f"<h1>{escape(info['title'])} API</h1>{_text(info['description'])}",
            '<p>This page as data: <a href="openapi.json">openapi.json</a></p>',
            *(_group(tag, each) for tag, each in groups if each),
            '<h2 id="schemas">Objects</h2>',
            *(_object(name, schema) for name, schema in document["components"]["schemas"].items()),
            "</main></html>\n",
        ]
    )


def _all(document: Json, methods: Sequence[str]) -> Iterator[tuple[str, str]]:
    return (
        (path, method) for path, item in document["paths"].items() for method in methods if method in item
    )


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
            "<h4>Answers</h4><dl>",
            *(_answer(operation, status) for status in what["responses"]),
            "</dl></section>",
        ]
    )


def _own(what: Json) -> str:
    return '<span class="own">Ringback only</span>' if what.get("x-ringback-only") else ""


def _parameters(operation: _Operation, place: str) -> str:
    found = [each for each in operation.parameters if each["in"] == place]
    if not found:
        return ""
    items = "".join(
        _field(each["name"], {**each["schema"], **_described(each)}, is_required=each.get("required", False))
        for each in found
    )
    return f"<h4>{place.capitalize()} parameters</h4><dl>{items}</dl>"


def _described(part: Json) -> dict[str, Any]:
    return {key: part[key] for key in ("description", "x-ringback-only", "deprecated") if key in part}


def _body(operation: _Operation) -> str:
    body = operation.what.get("requestBody")
    if body is None:
        return ""
    is_optional = "" if body.get("required") else " (may be left out)"
    parts = (
        f"<h4>Body{is_optional}: {escape(kind)}</h4>{_shape(media['schema'])}"
        for kind, media in body["content"].items()
    )
    return "".join(parts)


def _answer(operation: _Operation, status: str) -> str:
    answer = operation.found(operation.what["responses"][status])
    content = answer.get("content", {})
    kinds = ", ".join(f"{escape(kind)}{_of(media)}" for kind, media in content.items())
    headers = "".join(
        f"<br><code>{escape(name)}</code> {_inline(operation.found(header).get('description', ''))}"
        for name, header in answer.get("headers", {}).items()
    )
    return (
        f'<dt><code>{status}</code> {_PHRASES.get(status, "")} <span class="type">{kinds}</span>'
        f"<dd>{_inline(answer['description'])}{headers}"
    )


def _of(media: Json) -> str:
    name = _name(media.get("schema", {}))
    return f": {name}" if name not in ("anything", "text") else ""


def _object(name: str, schema: Json) -> str:
    if not _is_object(schema):
        return _section_of(name, f"<p>{_name(schema)}</p>", schema)
    example = schema.get("example")
    shown = "" if example is None else f"<pre><code>{escape(json.dumps(example, indent=2))}</code></pre>"
    return _section_of(name, _shape(schema) + shown, schema)


def _section_of(name: str, content: str, schema: Json) -> str:
    text = _text(schema.get("description", ""))
    return f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>{text}{content}</section>'


def _is_object(schema: Json) -> bool:
    return "properties" in schema


def _shape(schema: Json) -> str:
    if not _is_object(schema):
        return f"<p>{_name(schema)} {_inline(schema.get('description', ''))}</p>"
    required = schema.get("required", [])
    items = (_field(name, part, is_required=name in required) for name, part in schema["properties"].items())
    return f"<dl>{''.join(items)}</dl>"


def _field(name: str, schema: Json, *, is_required: bool) -> str:
    marks = '<span class="required">required</span>' if is_required else ""
    marks += _own(schema) + ('<span class="old">deprecated</span>' if schema.get("deprecated") else "")
    part = schema.get("items", schema)
    inner = _shape(part) if _is_object(part) else ""
    return (
        f'<dt><code>{escape(name)}</code> <span class="type">{_name(schema)}</span> {marks}'
        f"<dd><p>{_inline(schema.get('description', ''))}</p>{inner}"
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
    words[0] += f" '{operation.base}{path}'"
    if not operation.is_open:
        words.append('-H "Authorization: Bearer $REPLICATE_API_TOKEN"')
    return " \\\n  ".join([*words, *_data(operation.what.get("requestBody", {"content": {}}))])


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
