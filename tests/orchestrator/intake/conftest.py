"""What the tests of intakes share."""

import pytest

from orchestrator.intake.event_intake import EventIntake


@pytest.fixture
def intake_with_a_bug(monkeypatch):
    """An intake that fails once, as no service and no database does."""
    take = EventIntake.take
    raised: list[bool] = []

    async def fail_once(*arguments):
        if not raised:
            raised.append(True)
            raise KeyError("a bug")
        return await take(*arguments)

    monkeypatch.setattr(EventIntake, "take", fail_once)
