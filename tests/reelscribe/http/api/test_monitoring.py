"""``GET /diagnosis`` of every service."""

import asyncio
from pathlib import Path

from reelscribe.contracts.diagnosis import Finding
from reelscribe.contracts.scopes import Scope
from reelscribe.http.access.tokens import Token, Tokens
from tests.reelscribe.conftest import serving


async def test_who_asks_while_it_looks_gets_the_same(served, monkeypatch):
    looked, go = [], asyncio.Event()

    async def diagnose() -> list[Finding]:
        looked.append(1)
        await go.wait()
        return [Finding.ok("load", f"looked {len(looked)} times")]

    monkeypatch.setattr(served.service, "diagnose", diagnose)
    asking = [asyncio.create_task(served.http.get("/diagnosis")) for _ in range(20)]
    while len(served.service.running) < len(asking):
        await asyncio.sleep(0.01)
    asking.pop().cancel()  # whoever leaves does not end it for the others
    go.set()
    answers = [(await one).json()["findings"] for one in asking]
    assert all(Finding.ok("load", "looked 1 times").model_dump() in findings for findings in answers)
    again = (await served.http.get("/diagnosis")).json()["findings"]
    assert Finding.ok("load", "looked 2 times").model_dump() in again


async def test_only_who_may_do_everything_learns_of_versions_and_weaknesses(monkeypatch):
    async def diagnose() -> list[Finding]:
        return [Finding.fault("ffmpeg", "5.1 is older than the fix of CVE-2026-8461", "update it")]

    async with serving(*(Token(f"of-{scope}", f"some-{scope}", scope) for scope in Scope)) as service:
        monkeypatch.setattr(service.service, "diagnose", diagnose)
        answers = {
            scope: await service.http.get("/diagnosis", headers={"Authorization": f"Bearer of-{scope}"})
            for scope in Scope
        }
    assert "CVE" in answers[Scope.ADMIN].text
    for scope in (Scope.READ, Scope.SUBMIT):
        said = answers[scope].json()
        assert (said["caller"], said["scope"]) == (f"some-{scope}", scope)
        [finding] = said["findings"]
        assert (finding["subject"], finding["level"]) == ("findings", "warning") and "admin" in finding["fix"]


async def test_a_file_that_could_not_be_read_again_is_a_fault_as_in_the_health(served, tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text("old\n")
    tokens = Tokens.from_file(file)
    served.service.renewal.add("tokens", (file,), tokens.read_again)
    file.write_text("one two three four\n")
    served.service.renewal.reload()
    findings = (await served.http.get("/diagnosis")).json()["findings"]
    [fault] = [finding for finding in findings if finding["level"] == "fault"]
    assert [fault["message"]] == (await served.http.get("/healthz")).json()["problems"]
    assert "correct the file that its log names" in fault["fix"]
