"""The sentences, where no receiver is needed to hear them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.deliver.diagnosis import readable_size, shown_location, status_diagnosis
from ringback.deliver.egress import retry_after

URL = "https://user:hidden@hooks.example/in?key=hidden"
NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (200, ""),
        (299, ""),
        (300, "answered 300: only 2xx acknowledges a webhook"),
        (301, "answered 301 without a new address: redirects are not followed, check the webhook's URL"),
        (304, "answered 304 Not Modified: only 2xx acknowledges a webhook"),
        (404, "answered 404: nothing is at this path; check the webhook's URL"),
        (405, "answered 405: this path takes no POST; check the webhook's URL"),
        (410, "answered 410 Gone: no more is sent"),
        (413, "answered 413: the receiver's body limit is below 1.2 MB; raise it there"),
        (418, "answered 418: the receiver does not want it; its answer may say why"),
        (500, "answered 500: the receiver failed; look into its log"),
        (599, "answered 599: the receiver, or a gateway before it, failed; look into its log"),
    ],
)
def test_a_status_has_its_sentence(status: int, sentence: str) -> None:
    assert status_diagnosis(status, URL, 1_200_000, None, None) == sentence


def test_the_wait_that_is_asked_for_is_said() -> None:
    sentence = status_diagnosis(429, URL, 0, None, 19.6)
    assert sentence == "answered 429: the receiver is getting too many requests; it asks for 20 s of patience"


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://new.example/in", "https://new.example/…"),
        ("https://new.example/in/", "https://new.example/…/"),
        ("https://new.example/inside", "https://new.example/inside"),
        ("https://new.example/v2/in?next=/in", "https://new.example/v2/…?next=***"),
        ("https://in/in", "https://in/…"),
        ("https://new.example/in?token=hidden#frag", "https://new.example/…?token=***"),
        ("https://user:hidden@new.example/", "https://new.example/"),
        ("/login?next=hidden", "https://hooks.example/login?next=***"),
        ("other", "https://hooks.example/other"),
        ("//new.example/in", "https://new.example/…"),
        ("https://new.example/\x1b[31m\r\nx", "https://new.example/[31mx"),
        ("http://[half", "http://[half"),
        ("https://new.example/" + "a" * 500, "https://new.example/" + "a" * 180),
    ],
)
def test_a_new_address_is_shown_without_what_is_secret_or_unprintable(location: str, shown: str) -> None:
    assert shown_location(URL, location) == shown


@given(st.text(), st.integers(100, 999))
def test_no_location_makes_a_sentence_fail_or_tells_a_secret_of_the_url(location: str, status: int) -> None:
    sentence = status_diagnosis(status, URL, 0, location, None)
    assert "hidden" not in sentence
    assert sentence.isprintable()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("1000000000", 1e9),
        ("-5", None),
        ("1e9", None),
        ("inf", None),
        ("9" * 400, None),
        ("٣", None),
        ("soon", None),
        ("", None),
        ("Sun, 06 Nov 1994 08:51:37 GMT", 120.0),
        ("Sunday, 06-Nov-94 08:51:37 GMT", 120.0),
        ("Sun Nov  6 08:51:37 1994", 120.0),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@given(
    st.text()
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,9}( GMT| [+-][0-9]{4,9})?")
)
def test_no_retry_after_is_negative_or_an_error(header: str) -> None:
    wait = retry_after(header, NOW)
    assert wait is None or 0 <= wait < 1e15


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1001, "1.1 kB"),
        (1_000_000, "1 MB"),
        (1_150_001, "1.2 MB"),
    ],
)
def test_a_size_is_rounded_up_in_the_units_of_body_limits(count: int, text: str) -> None:
    assert readable_size(count) == text
