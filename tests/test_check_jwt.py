"""`gate check` with the preset "jwt": the keys are looked at, and nobody is asked about a token."""

import time
from pathlib import Path
from typing import Any

import pytest

from gate.check.report import Report
from tests.checking import Check, checker, found
from tests.fakes import GOOD, FakeApi
from tests.signing import AUDIENCE, ISSUER, Signer, jwks

EC = Signer()
LATER = int(time.time()) + 3600
SETTINGS = {
    "verify": {"preset": "jwt"},
    "jwt": {"issuer": ISSUER, "audience": AUDIENCE, "scope": "docs"},
}


@pytest.fixture
def check(api: FakeApi, docs_tree: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    api.say(jwks(EC))
    return checker(api, docs_tree)


def text(signer: Signer = EC, **claims: Any) -> str:
    return signer.text(**{"exp": LATER, "scope": "docs", **claims})


def problem(report: Report) -> str:
    (name,) = report.problems
    return name


async def test_the_keys_are_fetched_once_and_the_token_is_judged_by_them(
    check: Check, api: FakeApi
) -> None:
    report = await check(text(), **SETTINGS)
    assert report.good
    assert f"the JWKS {api.url}: 1 usable key" in report.text
    assert "the given token is good, for 'ann'" in report.text
    assert api.count == 1


@pytest.mark.parametrize(
    ("token", "name"),
    [
        (GOOD, "jwt-malformed"),
        (text(Signer("ES384", "P-384")), "jwt-algorithm"),
        (text(iss=ISSUER + "/"), "jwt-issuer"),
        (text(aud="other"), "jwt-audience"),
        (text(exp=None), "jwt-without-exp"),
        (text(nbf=LATER), "jwt-not-yet-good"),
        (text(scope="mail"), "jwt-scope"),
        (text(sub=["ann"]), "jwt-claim-of-wrong-type"),
        (text(exp=LATER - 7200), "jwt-expired"),
        (text(Signer(kid="k2", number=1)), "jwt-key-unknown"),
        (text(Signer(number=1)), "jwt-signature"),
    ],
    ids=lambda value: value if str(value).startswith("jwt-") else "",
)
async def test_a_token_that_is_no_good_is_diagnosed(check: Check, token: str, name: str) -> None:
    report = await check(token, **SETTINGS)
    assert problem(report) == name
    assert token not in report.text


@pytest.mark.parametrize(
    ("says", "name"),
    [
        ({"jwks_uri": "https://x.example"}, "not-a-jwks"),
        ({"keys": []}, "no-usable-key"),
        ({"keys": [{"kty": "EC", "use": "enc"}]}, "no-usable-key"),
    ],
)
async def test_an_address_without_keys_is_diagnosed(
    check: Check, api: FakeApi, says: dict[str, Any], name: str
) -> None:
    api.say(says)
    report = await check(text(), **SETTINGS)
    assert problem(report) == name
    assert api.url in report.text


async def test_it_says_why_a_key_is_none(check: Check, api: FakeApi) -> None:
    api.say({"keys": [EC.jwk(use="enc")]})
    (told,) = found(await check(**SETTINGS), "PROBLEM")
    assert "key 1 is not for signatures" in told
    api.say({"keys": [EC.jwk(), EC.jwk(kty="oct")]})
    report = await check(**SETTINGS)
    assert "key-ignored" in report.notes
    assert any("key 2 is a secret key" in told for told in found(report, "note"))


@pytest.mark.parametrize(
    ("status", "body", "name"),
    [
        (404, "", "not-found"), (401, "", "own-credentials-refused"), (500, "", "server-error"),
        (429, "", "busy"), (200, "<html>", "html"), (200, "", "empty-body"),
    ],
)  # fmt: skip
async def test_keys_that_cannot_be_fetched_are_diagnosed(
    check: Check, api: FakeApi, status: int, body: str, name: str
) -> None:
    api.fail(status, body)
    assert problem(await check(text(), **SETTINGS)) == name
    assert api.count == 1


async def test_a_token_that_is_its_own_user_or_soon_over_is_told(check: Check) -> None:
    soon = await check(text(exp=int(time.time()) + 5), **SETTINGS)
    assert soon.good
    assert "expires-soon" in soon.notes


async def test_a_key_file_is_looked_at_too(check: Check, tmp_path: Path, api: FakeApi) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(EC.pem())
    settings = {
        "verify": {"preset": "jwt", "url": ""},
        "jwt": {**SETTINGS["jwt"], "key_file": file},
    }
    report = await check(text(), **settings)
    assert report.good
    assert f"{file}: 1 usable key" in report.text
    assert api.count == 0
