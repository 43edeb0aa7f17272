"""The command ``doctor``: all services are asked what they find on their hosts, and what each says is compared."""

import asyncio
import logging
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import typer

from orchestrator.cli.checks import own_checks
from orchestrator.cli.console import print_json, visible
from orchestrator.database.pool import make_pool, trusting
from orchestrator.diagnosis import diagnose
from orchestrator.queue.entries import QueueEntries
from reelscribe import asking, logs
from reelscribe.asking import RefusedToken, asking_client
from reelscribe.command_line import report_settings_errors
from reelscribe.contracts.diagnosis import Finding, Level
from reelscribe.errors import ServiceError
from reelscribe.http.access.tokens import Tokens
from reelscribe.program import work_begins
from reelscribe.settings.config_file import choose_config
from reelscribe.settings.loading import Settings, load_settings
from reelscribe.text.urls import without_password
from reelscribe.version import version

LITTLE_SKEW_SECONDS, MUCH_SKEW_SECONDS = 2.0, 60.0
"""S3 refuses what is signed with a clock that is 15 minutes off; long before, times in logs cannot be compared."""

LITTLE_CERTIFICATE_DAYS = 14
"""Who renews them by program does so a month before their end."""

COLOURS: dict[Level, str] = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "fault": typer.colors.RED}
MARKS: dict[Level, str] = {"ok": "ok  ", "warning": "WARN", "fault": "FAIL"}


def doctor(as_json: bool, config: Path | None) -> None:
    """Print what was found, for people or as JSON."""
    logs.configure(logging.CRITICAL)
    with report_settings_errors():
        file = choose_config(config)
        chosen = load_settings(file)
        tokens = Tokens.from_file(chosen.auth.token_file)
    work_begins()
    reports = asyncio.run(_examine(chosen, file, tokens))
    levels = [finding.level for report in reports for finding in report.findings]
    if as_json:
        counts = {f"{level}s": levels.count(level) for level in ("fault", "warning")}
        print_json({**counts, "services": [report.as_json() for report in reports]})
    else:
        _print(reports)
    raise typer.Exit(int("fault" in levels))


@dataclass
class Report:
    """What was found at one service, or on this host.

    Attributes:
        role: what it is for us, such as ``transcriber``.
        url: that it was asked at; empty for this host.
        version: of Reelscribe; None if it did not say.
        clock_seconds: that its clock is ahead of ours; None if it did not say.
        uncertain_seconds: by how much that may be wrong: half the time that the answer took.
    """

    role: str
    url: str = ""
    version: str | None = None
    clock_seconds: float | None = None
    uncertain_seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.role} at {without_password(self.url)}" if self.url else self.role

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "service": self.role,
            "url": without_password(self.url) or None,
            "version": self.version,
            "clock_seconds": None if self.clock_seconds is None else round(self.clock_seconds, 3),
            "findings": [finding.model_dump() for finding in self.findings],
        }


@dataclass(frozen=True)
class Place:
    """Where a service is asked.

    Attributes:
        setting: that has its URL.
        unit: of systemd.
    """

    role: str
    url: str
    setting: str
    unit: str


def _places(chosen: Settings) -> list[Place]:
    section = chosen.orchestrator
    of_extractor = "[orchestrator] extractor_url" if section.extractor_url else "[transcriber] extractor_url"
    return [
        Place("orchestrator", section.base_url, "[orchestrator] port", "reelscribe-orchestrator"),
        Place("extractor", chosen.listing_url, of_extractor, "reelscribe-extractor"),
        *(
            Place("transcriber", url, "[orchestrator] transcriber_urls", "reelscribe-transcriber")
            for url in section.transcriber_urls
        ),
    ]


async def _examine(chosen: Settings, file: Path | None, tokens: Tokens) -> list[Report]:
    """Everything, as far as it answers."""
    async with asking_client(tokens) as http:
        own, *reports = await asyncio.gather(
            _own(chosen, file, tokens), *(_ask(http, place, tokens) for place in _places(chosen))
        )
    orchestrator = reports[0]
    if orchestrator.version is None:
        orchestrator.findings += await _look_at_database(chosen)
    if not any(finding.level == "fault" for finding in reports[1].findings):
        for bucket, answer in (await own_checks.buckets(chosen, tokens)).items():
            own.findings.append(
                _finding(bucket, answer, "correct [paths] bucket_name and buckets, here or on its host")
            )
    own.findings += compare(reports)
    return [own, *reports]


async def _own(chosen: Settings, file: Path | None, tokens: Tokens) -> Report:
    """What only this host knows: its config.cfg and what that names."""
    report = Report("this host", version=version())
    found = report.findings
    found.append(Finding.ok("config", f"{file} is read" if file else "there is none; all settings have their defaults"))
    if tokens:
        first = tokens.all[0]
        found.append(Finding.ok("token", f"{first.name} is sent; it may {first.scope}"))
    if secret_file := chosen.webhooks.secret_file:
        found.append(_finding("webhooks", own_checks.signing(secret_file), "see docs/webhooks.md for the file"))
    if (of_ingest := await own_checks.ingest(chosen)) is not None:
        found.append(_finding("ingest", of_ingest, "orchestrator ingest setup"))
    for subject, problem in (await own_checks.result_buckets(chosen)).items():
        answer = ServiceError(problem) if problem else "is there"
        found.append(_finding(subject, answer, "correct [results] and [minio], or make the bucket"))
    return report


def _finding(subject: str, answer: str | ServiceError, fix: str) -> Finding:
    return Finding.ok(subject, answer) if isinstance(answer, str) else Finding.fault(subject, answer.message, fix)


async def _ask(http: httpx.AsyncClient, place: Place, tokens: Tokens) -> Report:
    report = Report(place.role, place.url)
    name, asked_at, began = report.name, time.time(), time.monotonic()
    try:
        response = await asking.ask(http, name, place.url)
        report.findings += _certificate(response, place)
        diagnosis = asking.read(name, response)
    except ServiceError as failure:
        if failure.code == "unauthorized":
            refused = RefusedToken.of(tokens)
            report.findings.append(Finding.fault("token", f"it {refused.message}", refused.fix))
        else:
            report.findings.append(Finding.fault("reached", failure.message, _way_to(place, failure)))
        return report
    took = time.monotonic() - began
    report.version, report.uncertain_seconds = diagnosis.version, took / 2
    report.clock_seconds = diagnosis.time - (asked_at + took)  # it is read last, after all findings
    if message := asking.scope_problem(diagnosis):
        fix = "in the token_file of its host, give this token the scope submit, or more"
        report.findings.append(Finding.fault("token", message, fix))
    report.findings += diagnosis.findings
    return report


def _certificate(response: httpx.Response, place: Place) -> list[Finding]:
    """How long the certificate of a service is good, if it has one."""
    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    if tls is None:
        return []
    days = (ssl.cert_time_to_seconds(tls.getpeercert()["notAfter"]) - time.time()) / 86_400
    message = f"good for {days:,.0f} days more"
    if days > LITTLE_CERTIFICATE_DAYS:
        return [Finding.ok("certificate", message)]
    return [Finding.warning("certificate", message, f"renew tls_cert on its host; then systemctl reload {place.unit}")]


def _way_to(place: Place, failure: ServiceError) -> str:
    """What makes a service answer."""
    match failure.code:
        case "route_not_found":
            return "it is older than this command: upgrade Reelscribe there"
        case "peer_unreachable" | "stream_cut":
            return (
                f"on its host: systemctl status {place.unit}, and systemctl start {place.unit}; on this one: is"
                f" {place.setting} right, and does no firewall refuse it? For https, [auth] tls_ca names who signed"
            )
        case "host_not_allowed" | "scope_missing":
            return "change that in config.cfg on its host, then restart it"
        case _:
            return f"is {place.setting} that of a {place.role}? On its host: journalctl --unit {place.unit}"


async def _look_at_database(chosen: Settings) -> list[Finding]:
    """What the orchestrator would have said of it. No schema is migrated, and no server started."""
    if chosen.database.url == "embedded":
        message = "it is embedded, and was not started for this; its service has it"
        return [Finding.warning("database", message, "start the orchestrator, then ask again")]
    try:
        async with make_pool(trusting(chosen.database.url)) as pool:
            return await diagnose(pool, QueueEntries(pool, chosen.orchestrator.worker_timeout))
    except ValueError as wrong:
        return [Finding.fault("database", f"[database] url: {wrong}", "correct it; orchestrator check says more")]


def compare(reports: Sequence[Report]) -> list[Finding]:
    """What no service can know alone; nothing if none has answered."""
    return [_versions(reports), _clocks(reports)] if any(report.version for report in reports) else []


def _versions(reports: Sequence[Report]) -> Finding:
    ours = version()
    others = [report for report in reports if report.version not in (None, ours)]
    if not others:
        return Finding.ok("versions", f"{ours} on all hosts that answer")
    listed = ", ".join(f"{report.version} of the {report.name}" for report in others)
    return Finding.warning(
        "versions",
        f"{ours} here, but {listed}",
        "upgrade the older ones: the extractor first, then the transcribers, then the orchestrator",
    )


def _clocks(reports: Sequence[Report]) -> Finding:
    known = [(report, report.clock_seconds) for report in reports if report.clock_seconds is not None]
    off = [(report, skew) for report, skew in known if abs(skew) - 2 * report.uncertain_seconds > LITTLE_SKEW_SECONDS]
    if not off:
        return Finding.ok("clocks", f"those of {len(known)} services agree within {LITTLE_SKEW_SECONDS:g} s")
    listed = ", ".join(
        f"that of the {report.name} is {abs(skew):,.1f} s {'ahead' if skew > 0 else 'behind'}" for report, skew in off
    )
    fix = "timedatectl set-ntp true on each host (or install chrony); timedatectl timesync-status says whether it works"
    much = max(abs(skew) for _, skew in off) > MUCH_SKEW_SECONDS
    return (Finding.fault if much else Finding.warning)("clocks", listed, fix)


def _print(reports: Sequence[Report]) -> None:
    for report in reports:
        said = f", Reelscribe {report.version}" if report.version else ""
        typer.secho(visible(report.name) + said, bold=True)
        for finding in report.findings:
            mark = typer.style(MARKS[finding.level], fg=COLOURS[finding.level])
            typer.echo(f"  {mark} {visible(finding.subject)}: {visible(finding.message)}")
            if finding.fix:
                typer.echo(f"       fix: {visible(finding.fix)}")
    levels = [finding.level for report in reports for finding in report.findings]
    faults, warnings = levels.count("fault"), levels.count("warning")
    typer.echo(
        f"{faults} {'fault' if faults == 1 else 'faults'}, {warnings} {'warning' if warnings == 1 else 'warnings'}"
    )
