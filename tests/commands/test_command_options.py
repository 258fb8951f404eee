"""Options that are wrong: met with one line that says what was expected, before anybody is asked."""

import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ringback import __version__
from ringback.assembly.cli import app, main
from ringback.assembly.commands.options import moment
from ringback.assembly.commands.tables import age, span
from support.server import TOKEN

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def complaint(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Run a command that must fail, without a server; give the one line it says."""
    monkeypatch.setenv("REPLICATE_API_TOKEN", TOKEN)
    monkeypatch.setattr(sys, "argv", ["ringback", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capfd.readouterr()
    assert (caught.value.code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("ringback: ")
    return line.removeprefix("ringback: ")


@pytest.mark.parametrize(
    "text", ["2 hours", "h", "-1h", "yesterday", "2026-13-01", "999999d", "0001-01-01", ""]
)
@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_that_is_none_is_met_with_what_was_expected(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str, text: str
) -> None:
    told = complaint(capfd, monkeypatch, "deliveries", "list", option, text, "--url", "http://127.0.0.1:1")
    assert told == f"{option}: expected 2h, 30m, 1d or a time such as 2026-11-22T07:26, not {text!r}"


@pytest.mark.parametrize("url", ["ftp://x/", "127.0.0.1:5050", "http://user:pass@/", ""])
def test_a_url_that_is_none_is_named_without_its_password(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    told = complaint(capfd, monkeypatch, "endpoints", "list", "--url", url)
    assert told.startswith("--url: ")
    assert "pass" not in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20s", "2023-11-14T22:13:00Z"),
        ("13m", "2023-11-14T22:00:20Z"),
        ("2h", "2023-11-14T20:13:20Z"),
        ("1d", "2023-11-13T22:13:20Z"),
        ("1w", "2023-11-07T22:13:20Z"),
        ("2026-11-22T07:26:00Z", "2026-11-22T07:26:00Z"),
        ("2026-11-22T07:26+01:00", "2026-11-22T06:26:00Z"),
    ],
)
def test_a_time_is_so_long_ago_or_a_date(text: str, expected: str) -> None:
    assert moment("--since", text, NOW) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_799, "48 h"), (172_800, "2 d")],
)
def test_a_span_is_told_in_its_largest_unit(seconds: int, expected: str) -> None:
    assert span(seconds) == expected


def test_an_age_tells_past_and_future_apart() -> None:
    assert age(None) == "-"
    assert age("2000-01-01T00:00:00Z").endswith(" d")
    assert age("9999-01-01T00:00:00Z").startswith("in ")


def helps() -> Iterator[tuple[str, ...]]:
    """The words of every command, groups and the root included."""

    def under(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, inner in getattr(command, "commands", {}).items():
            yield from under(inner, (*words, name))

    yield from under(typer.main.get_command(app), ())


@pytest.mark.parametrize("words", list(helps()), ids=" ".join)
def test_no_help_text_has_lost_a_word_that_stood_in_brackets(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})
    assert told.exit_code == 0
    assert "--help" in told.output
    assert re.findall(r"\S* [,.;](?:\s|$)", told.output) == []


def test_the_version_is_told_by_an_option_too() -> None:
    for word in ("--version", "version"):
        told = CliRunner().invoke(app, [word])
        assert (told.exit_code, told.output) == (0, f"{__version__}\n")
