"""``--where``: what is taken of SQL, and that nothing else is."""

import re

import pytest

from orchestrator.transcripts.recordings import transcribed
from orchestrator.transcripts.where import COLUMNS, compiled
from tests.orchestrator.conftest import BUCKET


@pytest.fixture
async def found(store_transcript, pool):
    """The savepaths that a condition selects, of three transcripts of 4, 8 and 12 s."""
    await store_transcript("a.mp4", "one")
    await store_transcript("b.mp4", "one", "two", language="de")
    await store_transcript("talks/c.mp4", "one", "two", "three", incomplete="it is cut")

    async def find(condition: str) -> list[str]:
        async with pool.connection() as connection:
            return [row.savepath for row in await transcribed(connection, BUCKET, where=compiled(condition))]

    return find


async def test_conditions_select_what_they_say(found):
    for condition, savepaths in {
        "language = 'en' and duration < 10": ["a.mp4"],
        "10 < duration or language = 'de'": ["b.mp4", "talks/c.mp4"],
        "not (duration between 5 and 9)": ["a.mp4", "talks/c.mp4"],
        "savepath like 'talks/%' or savepath ilike 'A%'": ["a.mp4", "talks/c.mp4"],
        "savepath not like 'talks/%'": ["a.mp4", "b.mp4"],
        "language in ('de', 'fr')": ["b.mp4"],
        "language not in ('de', 'fr')": ["a.mp4", "talks/c.mp4"],
        "complete and model is not null": ["a.mp4", "b.mp4"],
        "complete is false": ["talks/c.mp4"],
        "language = 'it''s %(after)s'": [],
        r"savepath like 'x\\'": [],
        "finished < '2001-01-01' or duration = -1": [],
        "confidence > 0.7 and finished > '2001-01-01T00:00:00Z'": ["a.mp4", "b.mp4", "talks/c.mp4"],
    }.items():
        assert await found(condition) == savepaths, condition


async def test_ilike_knows_no_case_in_any_language(found, store_transcript):
    await store_transcript("Ärger.mp4", "one")
    assert await found("savepath ilike 'ärger%'") == await found("savepath ilike 'ÄRGER%'") == ["Ärger.mp4"]


async def test_every_column_can_be_compared(found):
    values = {"text": "'x'", "number": "1", "boolean": "true", "time": "'2026-01-31'"}
    for name, column in COLUMNS.items():
        await found(f"{name} = {values[column.kind]} and {name} is not null")


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("", "is no condition"),
        ("language = 'en'; drop table jobs", "is no condition"),
        ("duration <", "is no condition"),
        ("pg_sleep(9) > 1", "is no column; there are savepath, language"),
        ("jobs.language = 'en'", "is no column"),
        ("language = model", "model is not a text"),
        ("duration < 'long'", "'long' is not a number"),
        ("complete < true", "compares numbers"),
        ("complete = 'yes'", "is not a boolean"),
        ("modified > 'yesterday'", "'yesterday' is no time"),
        ("language", "is compared with nothing"),
        ("duration like '1%'", "is no text"),
        ("(select 1)", "is not offered"),
        ("language in (select 1)", "is not offered"),
        ("savepath like 'x' escape 'y'", "is not offered"),
        (r"savepath like 'x\\\'", "ends with a single"),
        ("duration between symmetric 2 and 1", "is not offered"),
        ("(" * 3000 + "complete" + ")" * 3000, "is longer than"),
    ],
)
def test_all_else_is_a_sentence(condition, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        compiled(condition)
