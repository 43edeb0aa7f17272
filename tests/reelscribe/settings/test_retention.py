"""``[retention]`` of config.cfg: which rules there can be, and what is said of others."""

from datetime import timedelta

import pytest

from reelscribe.errors import SettingsError
from reelscribe.settings.loading import load_settings


@pytest.fixture
def load(tmp_path):
    def load(text: str):
        (tmp_path / "config.cfg").write_text(f"[retention]\n{text}\n")
        return load_settings(tmp_path / "config.cfg").retention

    return load


def test_the_longest_prefix_decides(load):
    section = load("rules =\n    * = 52 weeks\n    raw/ = 90 days\n    # so it is\n    raw/a = b/ = forever\n")
    kept = {name: rule and rule.keep for name in ("x", "raw/x", "raw/a = b/x") if (rule := section.rule_of(name))}
    assert kept == {"x": timedelta(days=364), "raw/x": timedelta(days=90), "raw/a = b/x": None}
    assert load("rules = raw/ = 1 hour").rule_of("talks/a.mp4") is None
    assert load("rules =").rules == () and load("rules =").daily_at is None


def test_the_recording_is_meant_only_by_its_words(load):
    with_it, without = load("rules =\n    raw/ = 1 day, with recording\n    talks/ = 1 day").rules
    assert (with_it.with_recording, without.with_recording) == (True, False)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rules = 90 days", "[retention] rules: '90 days' is no rule; write PREFIX = 90 days"),
        ("rules = = 90 days", "'= 90 days' is no rule"),
        ("rules = raw/ = 90", "'90' is no length of time such as 90 days"),
        ("rules = raw/ = 0 days", "'0 days' is no length of time"),
        ("rules = raw/ = 999999 weeks", "is no length of time"),
        ("rules = raw/ = 9 days, and more", "can be written: , with recording"),
        ("rules = raw/ = forever, with recording", "can be written: , with recording"),
        ("rules =\n    * = 9 days\n    talks/* = forever", "'talks/* = forever': a prefix is no pattern"),
        ("rules =\n    * = 9 days\n    /talks/ = forever", "which must not start with '/'; it is relative"),
        ("rules =\n    * = 9 days\n    talks//a = forever", "no savepath starts with 'talks//a', which must not"),
        ("rules =\n    raw/ = 9 days\n    raw/ = 8 days", "has two rules for 'raw/'"),
        ("daily_at = 25:00", "[retention] daily_at: is not a time of the day such as 03:30"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_line(load, text, sentence):
    with pytest.raises(SettingsError) as wrong:
        load(text)
    [problem] = wrong.value.problems
    assert sentence in problem and "config.cfg:" in problem


def test_rules_come_from_the_environment_too(load, monkeypatch):
    monkeypatch.setenv("REELSCRIBE_RETENTION__RULES", "raw/ = 9 days\ntalks/ = forever")
    assert [str(rule) for rule in load("").rules] == ["raw/ = 9 days", "talks/ = forever"]
