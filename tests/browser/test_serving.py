"""The program's command line and its web server."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from browser.pages import FAKE_CAMERA, chromium, opened, served
from requiring import require
from selfsigned import make_certificate
from serve import MOST_CALLS, parse_arguments

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--host=0.0.0.0"], "add --public"),
        (["--port=65535"], "--port must be"),
        (["--cert=/nowhere.pem"], "there is no file"),
        (["--key=/dev/null"], "there is no file"),
        (["--key", __file__], "--key needs --cert"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_public_means_all_addresses_unless_one_is_given() -> None:
    assert parse_arguments([]).host == "127.0.0.1"
    assert parse_arguments(["--public"]).host == "0.0.0.0"  # noqa: S104  no binding
    assert parse_arguments(["--public", "--host=192.0.2.1"]).host == "192.0.2.1"


def ask(url: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> int:
    """Return the status of the answer."""
    request = urllib.request.Request(url, body, headers or {})  # noqa: S310  http
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


async def test_only_the_page_is_served_and_only_it_begins_calls() -> None:
    async with served() as url:
        for path, headers, body, status in [
            ("", {}, None, 200),
            ("rtc-signal.js", {}, None, 200),
            ("serve.py", {}, None, 404),
            ("../serve.py", {}, None, 404),
            ("call", {}, b"{}", 404),
            ("call", {"Content-Type": "text/plain"}, b"{}", 404),
            *[("call", JSON, b"{}", 200)] * MOST_CALLS,
            ("call", JSON, b"{}", 503),
        ]:
            assert await asyncio.to_thread(ask, url + path, headers, body) == status, path


@pytest.mark.browser
async def test_with_a_certificate_all_is_encrypted(tmp_path: Path) -> None:
    require(chromium(), "chromium")
    file = tmp_path / "certificate.pem"
    chain, key = make_certificate(tmp_path)
    file.write_bytes(key.read_bytes() + chain.read_bytes())
    async with served(f"--cert={file}") as url:
        assert url.startswith("https://")
        async with opened(url, *FAKE_CAMERA, "--ignore-certificate-errors") as page:
            await page.wait_connected()
            page.check(url)
