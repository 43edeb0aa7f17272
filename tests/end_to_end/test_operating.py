"""What an operator has: one request id in the logs of all services, ``doctor``, a dashboard and alerts."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conftest import SPEECH
from tests.end_to_end.prometheus import INSTALLED, MONITORING, Prometheus, watching
from tests.installation import Reelscribe, installed
from tests.waiting import blocking_eventually

SENT, READING = "sesame-for-services", "sesame-for-prometheus"
SECRETS = (SENT, READING)
MINUTES = 120
"""Of the series that alerts are tested with."""

needs_prometheus = pytest.mark.skipif(not INSTALLED, reason="needs Debian's prometheus")


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reelscribe]:
    """All services, with tokens and JSON logs; one job is done, and one has failed."""
    tokens = tmp_path_factory.mktemp("operated") / "tokens"
    tokens.write_text(f"{SENT} services admin\n{READING} monitoring read\n")

    def fill(bucket: Path) -> None:
        (bucket / "talks").mkdir()
        shutil.copy(SPEECH / "short.flac", bucket / "talks/short.flac")
        (bucket / "talks/text.mp4").write_text("this is no recording")

    with installed(fill, f"[log]\nformat = json\n\n[auth]\ntoken_file = {tokens}\n") as running:
        running.run("submit", "talks/short.flac", "talks/text.mp4", "--wait", code=1)
        yield running


@pytest.fixture(scope="module")
def prometheus(operated: Reelscribe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with watching(operated, READING, tmp_path_factory.mktemp("prometheus")) as running:
        blocking_eventually(lambda: len(running.query("up == 1")) == 3)
        operated.run("submit", "talks/short.flac", "--force", "--wait")  # so that rates are not 0
        yield running


def log_of(operated: Reelscribe) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (operated.folder / "log").read_text().splitlines()]


class TestLogs:
    def test_a_job_has_one_request_id_in_the_logs_of_all_services(self, operated):
        [done] = [line for line in log_of(operated) if re.match("talks/short.flac: done", line["message"])]
        assert (done["job"], done["attempt"], done["savepath"]) == (1, 1, "talks/short.flac")
        assert re.fullmatch(r"job-1\.1-[0-9a-f]{8}", done["request_id"])
        same = [line for line in log_of(operated) if line.get("request_id") == done["request_id"]]
        assert {line["service"] for line in same} == {"orchestrator", "transcriber", "extractor-api"}

    def test_each_line_about_a_recording_names_it_and_what_it_was_done_for(self, operated):
        lines = [line for line in log_of(operated) if "talks/" in line["message"]]
        assert len(lines) > 9
        assert [line for line in lines if line["savepath"] not in line["message"] or not line["request_id"]] == []

    def test_a_callers_request_id_is_that_of_the_failure_in_the_answer_and_in_the_log(self, operated):
        answer = httpx.get(
            f"{operated.extractor_url}/probe?savepath=talks/none.mp4",
            headers={"Authorization": f"Bearer {READING}", "X-Request-Id": "ticket-77"},
        )
        assert answer.json()["error"]["request_id"] == answer.headers["X-Request-Id"] == "ticket-77"
        blocking_eventually(lambda: any(line.get("request_id") == "ticket-77" for line in log_of(operated)))
        [line] = [line for line in log_of(operated) if line.get("request_id") == "ticket-77"]
        assert (line["level"], line["savepath"]) == ("warning", "talks/none.mp4")

    def test_no_secret_is_logged(self, operated):
        httpx.get(f"{operated.orchestrator_url}/api/jobs", headers={"Authorization": "Bearer wrong-sesame"})
        log = (operated.folder / "log").read_text()
        assert [secret for secret in (*SECRETS, "wrong-sesame") if secret in log] == []


class Doctor(NamedTuple):
    """What ``orchestrator doctor --json`` said."""

    code: int
    report: dict[str, Any]

    def finding(self, service: str, subject: str) -> dict[str, Any]:
        """The only one of that service and subject."""
        [found] = [
            finding
            for one in self.report["services"]
            if one["service"] == service
            for finding in one["findings"]
            if finding["subject"] == subject
        ]
        return found


def doctor(operated: Reelscribe, **environment: str) -> Doctor:
    asked = subprocess.run(
        [sys.executable, "-m", "orchestrator", "doctor", "--json", "--config", operated.config],
        capture_output=True, text=True, timeout=100, env={**os.environ, **environment},
    )  # fmt: skip
    assert asked.stderr == ""
    assert not any(secret in asked.stdout for secret in SECRETS)
    return Doctor(asked.returncode, json.loads(asked.stdout))


@pytest.fixture(scope="module")
def examined(operated: Reelscribe) -> Doctor:
    """With nothing away."""
    return doctor(operated)


class TestDoctor:
    def test_all_services_are_asked_and_nothing_is_at_fault(self, operated, examined):
        found = examined
        assert (found.code, found.report["faults"]) == (0, 0)
        services = {one["service"]: one for one in found.report["services"]}
        assert list(services) == ["this host", "orchestrator", "extractor", "transcriber"]
        assert services["extractor"]["url"] == operated.extractor_url
        subjects = {name: {finding["subject"] for finding in one["findings"]} for name, one in services.items()}
        assert subjects["this host"] >= {"config", "token", "versions", "clocks"}
        assert subjects["orchestrator"] >= {"access", "database", "workers", "queue", "pauses", "failed jobs"}
        assert subjects["extractor"] >= {"access", "ffmpeg", "codecs", "sandbox", "disk of [paths] temp_dir"}
        assert subjects["transcriber"] >= {"access", "ffmpeg", "codecs", "sandbox", "model", "GPU", "load"}
        assert found.finding("orchestrator", "workers")["message"] == "1 at work"
        assert "1 not_decodable" in found.finding("orchestrator", "failed jobs")["message"]

    def test_what_is_not_ok_has_a_fix_and_what_is_ok_has_none(self, examined):
        findings = [finding for one in examined.report["services"] for finding in one["findings"]]
        assert [finding for finding in findings if bool(finding["fix"]) != (finding["level"] != "ok")] == []

    def test_what_is_away_or_refuses_us_is_a_fault_and_the_others_are_asked_all_the_same(self, operated, tmp_path):
        (tmp_path / "tokens").write_text(f"{READING}\n")
        found = doctor(
            operated,
            REELSCRIBE_ORCHESTRATOR__TRANSCRIBER_URLS=f"http://127.0.0.1:1,{operated.transcriber_url}",
            REELSCRIBE_ORCHESTRATOR__EXTRACTOR_URL=operated.orchestrator_url + "/elsewhere",
            REELSCRIBE_AUTH__TOKEN_FILE=str(tmp_path / "tokens"),
        )
        assert (found.code, found.report["faults"] >= 3) == (1, True)
        away, there = [one for one in found.report["services"] if one["service"] == "transcriber"]
        [reached] = away["findings"]
        assert reached["level"] == "fault" and "does not answer" in reached["message"]
        assert "systemctl start reelscribe-transcriber" in reached["fix"]
        assert there["version"] and {finding["subject"] for finding in there["findings"]} == {"findings", "token"}
        assert "upgrade" in found.finding("extractor", "reached")["fix"]
        assert "may only read" in found.finding("orchestrator", "token")["message"]

    def test_an_unknown_token_is_named_as_the_fault(self, operated, tmp_path):
        (tmp_path / "tokens").write_text("of-another-installation\n")
        found = doctor(operated, REELSCRIBE_AUTH__TOKEN_FILE=str(tmp_path / "tokens"))
        assert found.code == 1
        assert str(tmp_path / "tokens") in found.finding("extractor", "token")["message"]
        assert found.finding("orchestrator", "database")["level"] == "warning"  # it is embedded, and not started

    def test_people_read_a_line_for_each_finding_and_one_for_its_fix(self, operated):
        printed = operated.run("doctor")
        assert f"extractor at {operated.extractor_url}, Reelscribe " in printed
        assert "  ok   workers: 1 at work\n" in printed
        assert "  WARN failed jobs: 1; of the newest: 1 not_decodable\n       fix: orchestrator failed " in printed
        assert re.search(r"^0 faults, \d+ warnings?$", printed, re.MULTILINE)


DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text())


def queries() -> dict[str, str]:
    """Each query of the dashboard by its panel, as Grafana would send it."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "1m")
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }


class TestDashboard:
    @needs_prometheus
    def test_each_query_returns_data_of_the_real_services(self, prometheus):
        has_gpu = bool(prometheus.query("reelscribe_gpu_memory_total_bytes"))
        wanted = {name: query for name, query in queries().items() if has_gpu or not name.startswith("GPU")}
        assert len(wanted) > 20

        def without_data() -> list[str]:
            return [name for name, query in wanted.items() if not any(map(_is_number, prometheus.query(query)))]

        blocking_eventually(lambda: not without_data())
        rates = ("Speed A", "Attempts that ended A", "Extracted audio A", "Windows in a batch A")
        blocking_eventually(lambda: all(prometheus.query(f"({wanted[name]}) > 0") for name in rates))

    def test_each_panel_says_what_it_shows_and_none_covers_another(self):
        panels = DASHBOARD["panels"]
        assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
        assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


def _is_number(sample: dict[str, Any]) -> bool:
    return sample["value"][1] != "NaN"


class Scenario(NamedTuple):
    """What happens to series of the real services, and after which time that alert must fire, alone.

    Attributes:
        series: promtool's notation of values, one a minute, by a metric and labels that a series must have.
        minutes: after which it must fire.
        count: of the alerts that fire.
    """

    series: dict[str, str]
    minutes: int
    count: int = 1  # type: ignore[assignment]


STAYS = f"+0x{MINUTES}"
SCENARIOS = {
    "ReelscribeServiceDown": Scenario({'up service="extractor"': f"0{STAYS}"}, 4),
    "ReelscribeDatabaseAway": Scenario({"reelscribe_database_up": f"0{STAYS}"}, 3),
    "ReelscribeNoWorker": Scenario(
        {"reelscribe_workers": f"0{STAYS}", 'reelscribe_jobs state="queued"': f"3{STAYS}"}, 8
    ),
    "ReelscribeTranscriberAway": Scenario({"reelscribe_transcriber_up": f"0{STAYS}"}, 8),
    "ReelscribeOldestJobWaitsLong": Scenario({"reelscribe_oldest_waiting_job_seconds": f"0+600x{MINUTES}"}, 60),
    "ReelscribeManyFailures": Scenario(
        {
            'reelscribe_attempts_total kind="transcribe" outcome="failed"': f"0+1x{MINUTES}",
            'reelscribe_attempts_total kind="transcribe" outcome="done"': f"0+3x{MINUTES}",
        },
        60,
    ),
    "ReelscribeInternalErrors": Scenario(
        {'reelscribe_http_failures_total service="extractor" code="internal_error"': "0+0x5 1+0x20"}, 8
    ),
    "ReelscribeModelIdleWhileJobsWait": Scenario({'reelscribe_jobs state="waiting"': f"3{STAYS}"}, 40),
    "ReelscribeRestarts": Scenario({'process_start_time_seconds service="transcriber"': f"1000+300x{MINUTES}"}, 60),
    "ReelscribeDiskAlmostFull": Scenario(
        {'reelscribe_disk_free_bytes service="extractor" setting="[paths] temp_dir"': f"1000000000{STAYS}"}, 8
    ),
}


@pytest.fixture(scope="module")
def series(prometheus: Prometheus) -> list[dict[str, str]]:
    """The labels of all series of the real services that a rule uses, and their values."""
    names = set(re.findall(r"reelscribe_\w+|process_\w+|up(?={)", (MONITORING / "reelscribe.rules.yml").read_text()))
    samples = prometheus.query(f'{{__name__=~"{"|".join(names)}", job="reelscribe"}}')
    assert {sample["metric"]["__name__"] for sample in samples} == names
    return [{**sample["metric"], "value": sample["value"][1]} for sample in samples]


@needs_prometheus
class TestAlerts:
    def test_prometheus_evaluates_each_rule_and_none_fires(self, prometheus):
        blocking_eventually(lambda: all(rule["health"] == "ok" for rule in prometheus.rules()))
        assert {rule["name"] for rule in prometheus.rules()} == set(SCENARIOS)
        assert prometheus.query('ALERTS{alertstate="firing"}') == []

    def test_each_says_what_is_wrong_and_what_fixes_it(self, prometheus):
        for rule in prometheus.rules():
            assert set(rule["annotations"]) == {"summary", "fix"} and rule["labels"]["severity"]

    def test_each_fires_alone_when_what_it_watches_happens_to_the_real_series(self, series, tmp_path):
        tests = [_promtool_test(series, Scenario({}, MINUTES), {})]
        tests += [_promtool_test(series, scenario, {name: scenario.count}) for name, scenario in SCENARIOS.items()]
        rules = str(MONITORING / "reelscribe.rules.yml")
        (tmp_path / "tests.yml").write_text(json.dumps({"rule_files": [rules], "tests": tests}))  # YAML, too
        done = subprocess.run(
            ["promtool", "test", "rules", tmp_path / "tests.yml"], capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def test_promtool_finds_no_mistake_in_rules_and_example(self):
        for arguments in (("rules", "reelscribe.rules.yml"), ("config", "--syntax-only", "prometheus.yml")):
            done = subprocess.run(
                ["promtool", "check", *arguments], cwd=MONITORING, capture_output=True, text=True, timeout=100
            )
            assert done.returncode == 0, done.stdout + done.stderr


def _promtool_test(series: list[dict[str, str]], scenario: Scenario, firing: dict[str, int]) -> dict[str, Any]:
    """All series stay as they are, but those of the scenario."""
    values = {_notation(one): f"{one['value']}{STAYS}" for one in series}
    for wanted, course in scenario.series.items():
        name, *labels = re.split(r' (?=\w+=")', wanted)
        chosen = [one for one in values if one.startswith(name + "{") and all(label in one for label in labels)]
        assert len(chosen) == 1, f"{wanted}: {chosen}"
        values[chosen[0]] = course
    return {
        "interval": "1m",
        "input_series": [{"series": one, "values": course} for one, course in values.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{scenario.minutes}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": count} for name, count in firing.items()
                ],
            }
        ],
    }


def _notation(one: dict[str, str]) -> str:
    labels = [f"{name}={json.dumps(text)}" for name, text in one.items() if name not in ("__name__", "value")]
    return f"{one['__name__']}{{{', '.join(labels)}}}"
