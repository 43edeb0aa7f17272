"""When the rules of ``[retention]`` are applied."""

from datetime import datetime, time, timedelta

from orchestrator.services.retention import next_time


def test_the_next_time_is_today_or_tomorrow():
    now = datetime(2026, 3, 1, 12, 0).astimezone()
    assert next_time(now, time(12, 1)) == now + timedelta(minutes=1)
    assert next_time(now, time(12, 0)) == now + timedelta(days=1)
    assert next_time(now, time(3, 30)) == now + timedelta(hours=15, minutes=30)
