"""``[retention]``: for how long what is known of recordings is kept, by the prefix of their savepaths."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from reelscribe.savepath import mistake_in_prefix
from reelscribe.settings.fields import EmptyIsNone
from reelscribe.settings.shared import Section

EVERY = "*"
"""Instead of a prefix: every savepath."""
FOREVER = "forever"
WITH_RECORDING = "with recording"
UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
LONGEST = timedelta(days=36500)


@dataclass(frozen=True)
class RetentionRule:
    """How long recordings are kept whose savepaths start with ``prefix``, in whatever bucket.

    Attributes:
        keep: since their last use; None: forever.
        with_recording: the object in the bucket is removed too.
        text: as it is written.
    """

    prefix: str
    keep: timedelta | None
    with_recording: bool
    text: str

    def __str__(self) -> str:
        return self.text


def _rule(line: str) -> RetentionRule:
    left, equals, right = line.rpartition("=")
    prefix, value = left.strip(), " ".join(right.split())
    if not equals or not prefix:
        raise ValueError(f"{line!r} is no rule; write PREFIX = 90 days, or {EVERY} = 90 days for every savepath")
    if prefix != EVERY:
        _refuse_unmatched(prefix, line)
    keep, comma, rest = value.partition(",")
    if (comma and rest.strip() != WITH_RECORDING) or (comma and keep == FOREVER):
        raise ValueError(f"{line!r}: after a number of days can be written: , {WITH_RECORDING}")
    text = f"{prefix} = {value}"
    return RetentionRule("" if prefix == EVERY else prefix, _age(keep.strip(), line), bool(comma), text)


def _refuse_unmatched(prefix: str, line: str) -> None:
    """A rule that keeps something, and is for nothing by mistake, would leave it to a rule that does not."""
    if EVERY in prefix:
        raise ValueError(f"{line!r}: a prefix is no pattern; it fits whatever starts with it, without {EVERY}")
    if mistake := mistake_in_prefix(prefix):
        raise ValueError(f"{line!r}: {mistake}")


def _age(text: str, line: str) -> timedelta | None:
    if text == FOREVER:
        return None
    written = re.fullmatch(r"(\d{1,6}) (hour|day|week)s?", text)
    age = int(written[1]) * UNITS[written[2]] if written else timedelta()
    if not timedelta() < age <= LONGEST:
        raise ValueError(f"{line!r}: {text!r} is no length of time such as 90 days, 12 weeks, 36 hours or {FOREVER}")
    return age


def _rules(value: Any) -> tuple[RetentionRule, ...]:
    if not isinstance(value, str):
        raise ValueError("must be text, one rule per line")
    lines = value.splitlines()
    rules = [_rule(line.strip()) for line in lines if line.strip()]
    prefixes = [rule.prefix for rule in rules]
    if twice := next((prefix for prefix in prefixes if prefixes.count(prefix) > 1), None):
        raise ValueError(f"has two rules for {twice!r}")
    return tuple(rules)


def _time_of_day(value: Any) -> time:
    if isinstance(value, time):
        return value
    written = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    if not written:
        raise ValueError("is not a time of the day such as 03:30")
    return time(int(written[1]), int(written[2]))


TimeOfDay = Annotated[time, PlainValidator(_time_of_day), PlainSerializer(lambda value: f"{value:%H:%M}")]
Rules = Annotated[tuple[RetentionRule, ...], PlainValidator(_rules)]


class RetentionSection(Section):
    """``[retention]``: without rules, all is kept forever."""

    rules: Rules = ()
    daily_at: Annotated[TimeOfDay | None, EmptyIsNone] = None

    def rule_of(self, savepath: str) -> RetentionRule | None:
        """The rule that decides: that of the longest prefix."""
        return longest(self.rules, savepath)


def longest(rules: Sequence[RetentionRule], savepath: str) -> RetentionRule | None:
    """Of these rules, the one whose prefix is the longest that the savepath starts with."""
    fitting = [rule for rule in rules if savepath.startswith(rule.prefix)]
    return max(fitting, key=lambda rule: len(rule.prefix), default=None)
