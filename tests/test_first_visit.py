from tests.conftest import Gate


async def test_smoke(gate: Gate) -> None:
    cookie = await gate.sign_in()
    r = await gate.get("/", headers=cookie)
    assert r.status == 200
    r = await gate.get("/guide?x=1", headers=cookie)
    assert r.headers["Location"] == "guide/?x=1"
    log = await gate.log()
    assert [e["gate.outcome"] for e in log] == ["intake", "allowed", "allowed"]
