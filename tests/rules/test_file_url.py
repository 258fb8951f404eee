"""URLs of files: which can be ours, and which downloads are signed."""

import pytest

from ringback.rules.file_url import (
    download_url,
    file_id,
    is_below,
    may_download,
    metadata_url,
    signature,
)

ID = "01m81n3e3mdfby0tpzaspst7gr"
KEY = b"k" * 32
NOW = 1_700_000_000


@pytest.mark.parametrize(
    "url",
    [
        metadata_url("http://a.example", ID),
        metadata_url("https://a.example:1/below/that", ID),
        download_url("http://a.example", KEY, "acct_1", ID, NOW),
        f"http://a.example/files/{ID}",
        f"http://a.example/v1/v1/files/{ID}?x=y#z",
    ],
)
def test_a_file_is_known_by_path_and_id(url: str) -> None:
    assert file_id(url) == ID


@pytest.mark.parametrize(
    "url",
    [
        f"/v1/files/{ID}",
        f"ftp://a.example/files/{ID}",
        f"http://a.example/files/{ID}/",
        f"http://a.example/files/{ID}/other",
        f"http://a.example/files/{ID.upper()}",
        f"http://a.example/files/{ID}0",
        f"http://a.example/xfiles/{ID}",
        f"http://a.example/?u=/files/{ID}",
        f"http://a.example/files/%30{ID[1:]}",
        f"http://[a/files/{ID}",
        "",
        None,
        7,
    ],
)
def test_other_urls_are_none_of_a_file(url: object) -> None:
    assert file_id(url) is None


def test_a_url_is_surely_ours_below_our_base_only() -> None:
    assert is_below("http://a.example/v1/files/x", "http://a.example")
    assert not is_below("http://a.example.evil/v1/files/x", "http://a.example")
    assert not is_below("http://a.example:1/v1", "http://a.example")


def test_a_signature_holds_for_one_owner_file_and_time_and_until_then() -> None:
    signed = signature(KEY, "acct_1", ID, str(NOW))
    before, at = (NOW - 1) * 1_000_000, NOW * 1_000_000
    assert may_download(KEY, "acct_1", ID, str(NOW), signed, before)
    assert not may_download(KEY, "acct_1", ID, str(NOW), signed, at)
    assert not may_download(b"other", "acct_1", ID, str(NOW), signed, before)
    assert not may_download(KEY, "acct_2", ID, str(NOW), signed, before)
    assert not may_download(KEY, "acct_1", ID[::-1], str(NOW), signed, before)
    assert not may_download(KEY, "acct_1", ID, str(NOW + 1), signed, before)
    assert not may_download(KEY, "acct_1", ID, str(NOW), signed[:-1], before)
    assert not may_download(KEY, "acct_1", ID, str(NOW), "", before)
    assert not may_download(KEY, "acct_1", ID, str(NOW), "\udcff", before)


@pytest.mark.parametrize("expiry", ["", "-1", "9" * 13, "1e9", "\u0661\u0662"])
def test_a_time_that_is_none_never_holds(expiry: str) -> None:
    assert not may_download(KEY, "a", ID, expiry, signature(KEY, "a", ID, expiry), 0)
