"""What yt-dlp says, sorted by what helps."""

from errno import ENOSPC

import pytest

from orchestrator.cli.ingest import exit_code
from orchestrator.ingest.failures import FailureKind, failure_of
from orchestrator.ingest.ingestion import OUTCOMES, Outcome, Result
from reelscribe.errors import NoRoom

REPORT = "; please report this issue on  https://github.com/yt-dlp/yt-dlp/issues?q= , filling out the appropriate issue"
SAID = {
    FailureKind.GONE: [
        "[youtube] abc: Video unavailable. This video has been removed by the uploader",
        "[youtube] abc: Private video. Sign in if you've been granted access to this video",
        "[youtube] abc: This video is no longer available because the YouTube account has been terminated.",
        "[youtube] abc: Join this channel to get access to members-only content like this video",
        "[youtube] abc: Sign in to confirm your age. This video may be inappropriate for some users.",
        "[vimeo] 1: The web client only works when logged-in. Use --cookies, --username and --password to log in",
        "[generic] Unsupported URL: http://example.com/",
        "[x] a: This video is DRM protected",
    ],
    FailureKind.BLOCKED: [
        "[youtube] abc: Sign in to confirm you\u2019re not a bot. Use --cookies-from-browser or --cookies",
        "[youtube] abc: Video unavailable. This content isn't available, try again later. The current session has been"
        " rate-limited by YouTube for up to an hour.",
        "[generic] a: Got HTTP Error 403 caused by Cloudflare anti-bot challenge; try again with --extractor-args",
    ],
    FailureKind.OUTDATED: [
        "[youtube] abc: Unable to extract initial player response" + REPORT,
        "[youtube] abc: Requested format is not available. Use --list-formats for a list of available formats",
    ],
    FailureKind.NETWORK: [
        "\r[download] Got error: 100000 bytes read, 200000 more expected",
        "[generic] a: Unable to download webpage: The read operation timed out",
        "[generic] a: Unable to download webpage: HTTPConnection(host='rate-limit.org', port=80): Connection refused",
    ],
    FailureKind.REFUSED: [
        "[youtube] abc: Premieres in 3 hours",
        "[youtube] abc: This live event will begin in 2 days.",
    ],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SAID.items() for text in texts])
def test_a_message_is_of_its_kind(kind: FailureKind, text: str) -> None:
    failed = failure_of({"message": f"ERROR: {text}"}, fetched=False, named_site=True)
    assert failed.kind is kind
    assert "report this issue" not in failed.message and not failed.message.startswith("ERROR")


@pytest.mark.parametrize(
    ("status", "fetched", "named_site", "kind"),
    [
        (404, False, True, FailureKind.GONE),
        (404, True, False, FailureKind.GONE),
        (403, False, True, FailureKind.GONE),
        (403, True, True, FailureKind.OUTDATED),
        (429, True, True, FailureKind.BLOCKED),
        (503, False, False, FailureKind.NETWORK),
        (400, False, True, FailureKind.OUTDATED),
    ],
)
def test_a_status_is_of_its_kind(status: int, fetched: bool, named_site: bool, kind: FailureKind) -> None:
    described = {
        "message": f"ERROR: HTTP Error {status}: x",
        "status": status,
        "causes": ["DownloadError", "HTTPError"],
    }
    assert failure_of(described, fetched, named_site).kind is kind


def test_a_page_for_bots_is_one_whatever_it_forbids() -> None:
    text = SAID[FailureKind.BLOCKED][-1]
    assert failure_of({"message": f"ERROR: {text}", "status": 403}, False, True).kind is FailureKind.BLOCKED


def test_a_full_disk_ends_the_run() -> None:
    with pytest.raises(NoRoom, match="full"):
        failure_of({"message": "ERROR: unable to write data", "errno": ENOSPC}, True, False)


def test_a_message_shows_no_password() -> None:
    failed = failure_of({"message": "ERROR: Unsupported URL: http://me:secret@example.com/"}, False, False)
    assert failed.message == "Unsupported URL: http://me:***@example.com/"


def test_a_source_may_say_how_long_to_wait() -> None:
    described = {"message": "x", "status": 429, "retry_after": "120"}
    assert failure_of(described, False, False).retry_after == 120
    dated = failure_of({**described, "retry_after": "Fri, 01 Jan 2100 00:00:00 GMT"}, False, False)
    assert dated.retry_after == 86400
    assert failure_of({**described, "retry_after": "soon"}, False, False).retry_after is None


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["stored", "there"], 0),
        (["stored", FailureKind.GONE], 0),
        ([FailureKind.GONE], 1),
        (["stored", FailureKind.REFUSED, FailureKind.NETWORK], 1),
        (["stored", FailureKind.NETWORK], 75),
        (["stored", FailureKind.BLOCKED, FailureKind.GONE], 75),
        ([FailureKind.OUTDATED, FailureKind.BLOCKED], 3),
    ],
)
def test_the_exit_code_says_what_to_do(outcomes: list[Outcome | FailureKind], code: int) -> None:
    results = [
        Result(url="", outcome=OUTCOMES[each], reason=each)
        if isinstance(each, FailureKind)
        else Result(url="", outcome=each)
        for each in outcomes
    ]
    assert exit_code(results) == code
