"""The command doctor when services are away, and what it compares. tests/end_to_end/test_operating.py has them all."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from orchestrator.cli.checks.doctor import Report, compare
from reelscribe.http.access.tokens import Tokens
from reelscribe.version import version


async def test_without_the_orchestrators_service_the_database_is_asked(orchestrator, submit):
    await submit()
    outcome = await orchestrator.run("doctor", "--json")
    services = {one["service"]: one for one in json.loads(outcome.out)["services"]}
    found = {finding["subject"]: finding for finding in services["orchestrator"]["findings"]}
    assert outcome.code == 1
    assert found["reached"]["level"] == "fault" and "reelscribe-orchestrator" in found["reached"]["fix"]
    assert found["database"]["level"] == "ok" and found["workers"]["level"] == "fault"
    assert services["transcriber"]["findings"][0]["subject"] == "reached"  # a scripted one has no such operation


@pytest.fixture
def with_extractor(orchestrator):
    """Has the orchestrator's config.cfg name an extractor, and more."""
    text = orchestrator.config.read_text()

    def write(url: str, more: str = "") -> None:
        named = text.replace("[orchestrator]", f"[orchestrator]\nextractor_url = {url}")
        orchestrator.config.write_text(f"{named}\n{more}\n")

    return write


@pytest.mark.parametrize("command", ["check", "doctor"])
async def test_a_bucket_that_the_extractor_does_not_have_is_a_fault(orchestrator, extractor, with_extractor, command):
    with_extractor(extractor, "[paths]\nbuckets = lectures")
    outcome = await orchestrator.run(command)
    assert outcome.code == 1
    assert "ok   bucket videos: the extractor reads it" in outcome.out and "FAIL bucket lectures: " in outcome.out


class TestTokens:
    OURS = "a-token-of-ours-that-is-long-enough"

    @pytest.fixture(params=["", f"{OURS} monitoring read"], ids=["unknown", "may only read"])
    def tokens_of_extractor(self, request, tmp_path):
        (tmp_path / "theirs").write_text(f"a-token-of-theirs-that-is-long-enough\n{request.param}\n")
        return Tokens.from_file(tmp_path / "theirs")

    async def test_check_tries_ours(self, orchestrator, extractor, with_extractor, tokens_of_extractor, tmp_path):
        (tmp_path / "ours").write_text(f"{self.OURS}\n")
        with_extractor(extractor, f"[auth]\ntoken_file = {tmp_path / 'ours'}")
        outcome = await orchestrator.run("check")
        known = tokens_of_extractor.find(self.OURS)
        said = "our token, monitoring, may only read there" if known else self.refused(tmp_path)
        assert outcome.code == 1 and f"FAIL extractor: the extractor at {extractor}" in outcome.out
        assert said in outcome.out and self.OURS not in outcome.out

    async def test_doctor_names_the_wrong_token_its_file_and_the_fix(
        self, orchestrator, extractor, with_extractor, tokens_of_extractor, tmp_path
    ):
        (tmp_path / "ours").write_text(f"# of this installation\n{self.OURS} services\n")
        with_extractor(extractor, f"[auth]\ntoken_file = {tmp_path / 'ours'}")
        said = (await orchestrator.run("doctor")).out
        if tokens_of_extractor.find(self.OURS):
            assert (
                "FAIL token: our token, monitoring, may only read there\n       fix: in the token_file of its" in said
            )
            assert "WARN findings: they are shown to tokens of the scope admin; monitoring has read" in said
        else:
            file = tmp_path / "ours"
            assert f"FAIL token: it {self.refused(tmp_path, 'services')}\n       fix: make that token a line of" in said
            assert f"or the first one in {file} one of those there" in said
        with_extractor(extractor)
        said = (await orchestrator.run("doctor")).out
        assert "FAIL token: it asks for a token, and this host sends none: [auth] token_file is not set here" in said

    @staticmethod
    def refused(folder: Path, name: str = "token-1") -> str:
        which = f"{name}, the first one in {folder / 'ours'} ([auth] token_file of this host)"
        return f"does not accept the token that this host sends: {which}"


async def test_an_answer_without_an_end_is_not_read_to_its_end(orchestrator, with_extractor):
    class Endless(RequestHandler):
        async def get(self) -> None:
            with suppress(StreamClosedError):
                while True:
                    self.write(b"x" * 65_536)
                    await self.flush()

    socket, port = bind_unused_port()
    server = HTTPServer(Application([("/diagnosis", Endless)]))
    server.add_socket(socket)
    with_extractor(f"http://127.0.0.1:{port}")
    outcome = await orchestrator.run("doctor")
    assert f"extractor at http://127.0.0.1:{port}\n  FAIL reached: HTTP 200 from extractor at" in outcome.out
    server.stop()


async def test_a_password_is_not_shown(orchestrator, free_port):
    orchestrator.config.write_text(
        f"[orchestrator]\ntranscriber_urls = http://me:hush@127.0.0.1:{free_port}\n"
        f"[database]\nurl = postgresql://me:hush@127.0.0.1:{free_port}/reelscribe?connect_timeout=2\n"
    )
    outcome = await orchestrator.run("doctor")
    assert outcome.code == 1 and "hush" not in outcome.out + outcome.err
    assert "FAIL database: it does not answer" in outcome.out


async def test_a_certificate_that_ends_soon_is_a_warning(orchestrator, authority, tls_port):
    text = orchestrator.config.read_text()
    url = f"[orchestrator]\nextractor_url = https://127.0.0.1:{tls_port}"
    orchestrator.config.write_text(f"{text.replace('[orchestrator]', url)}\n[auth]\ntls_ca = {authority}\n")
    printed = (await orchestrator.run("doctor")).out
    assert (
        "  WARN certificate: good for 2 days more\n       fix: renew tls_cert on its host; then systemctl reload"
        in printed
    )


async def test_a_mistake_in_config_cfg_is_all_that_is_said(orchestrator):
    orchestrator.config.write_text("[orchestrator]\nport = high\n")
    outcome = await orchestrator.run("doctor")
    assert (outcome.code, outcome.out) == (2, "") and "port" in outcome.err


class TestCompare:
    @staticmethod
    def services(*clocks: float, uncertain: float = 0.01, of: str = "") -> list[Report]:
        return [
            Report("transcriber", f"http://gpu{number}:8889", of or version(), clock, uncertain)
            for number, clock in enumerate(clocks)
        ]

    def test_what_agrees_is_ok(self):
        assert [found.level for found in compare(self.services(0.5, -0.5))] == ["ok", "ok"]

    @pytest.mark.parametrize(("seconds", "level"), [(5, "warning"), (-5, "warning"), (300, "fault"), (-300, "fault")])
    def test_a_clock_that_is_off_is_named(self, seconds, level):
        _, found = compare(self.services(0, seconds))
        assert found.level == level and "http://gpu1:8889 is" in found.message and "gpu0" not in found.message
        assert ("ahead" if seconds > 0 else "behind") in found.message and "timedatectl" in found.fix

    def test_a_slow_answer_says_little_of_a_clock(self):
        _, found = compare(self.services(5, uncertain=4))
        assert found.level == "ok"

    def test_versions_that_differ_are_a_warning(self):
        found, _ = compare([*self.services(0), *self.services(0, of="0.0.1")])
        assert found.level == "warning" and "0.0.1 of the transcriber" in found.message and "upgrade" in found.fix

    def test_those_that_did_not_answer_are_left_out(self):
        away = Report("extractor", "http://c:8888")
        assert [found.level for found in compare([*self.services(0.0), away])] == ["ok", "ok"]
        assert compare([away]) == []
