"""Which names are of files that a download or a copy is still writing, program by program."""

import pytest

from orchestrator.intake.event_intake import RecordingFilter
from orchestrator.intake.unfinished import has_unfinished_name
from reelscribe.settings.loading import Settings
from reelscribe.settings.orchestrator import EventsSection
from tests.orchestrator.conftest import BUCKET

UNFINISHED = {
    "yt-dlp downloads": ["talk.mp4.part", "talk.mp4.ytdl", "talk.mp4.part-Frag7", "talk.mp4.part-Frag7.part"],
    "yt-dlp will join": [
        *("talk.f137.mp4", "talk.f140-drc.m4a", "talk.f251-1.webm", "a [id].f140.m4a"),
        *("talk.fhls-audio-128.m4a", "talk.fdash-video=4500.mp4", "talk.f1234v.mp4"),
    ],
    "yt-dlp joins": ["talk.temp.mp4", "talks/talk.temp.MKV"],
    "orchestrator ingest": [".reelscribe-ingest/youtube.abc123/media.mp4"],
    "Chromium": ["talk.mp4.crdownload", "Unconfirmed 12345.crdownload", "Unconfirmed 12345"],
    "Firefox": ["talk.mp4.part", "8dK2xYz_.mp4.part"],
    "Safari": ["talk.mp4.download", "talk.mp4.download/talk.mp4", "talk.mp4.download/Info.plist"],
    "Opera": ["talk.mp4.opdownload"],
    "Android": [".pending-1700000000-talk.mp4"],
    "aria2": ["talk.mp4.aria2"],
    "axel": ["talk.mp4.st"],
    "wget": ["talk.mp4.tmp"],
    "rclone": ["talk.mp4.1a2b3c4d.partial"],
    "rsync": [".talk.mp4.Xy12Zw", "talks/.rsync-partial/talk.mp4", "talks/.~tmp~/talk.mp4"],
    "curl and scripts": ["talk.mp4.tmp", "talk.mp4.TEMP", ".talk.mp4"],
    "Syncthing": [".syncthing.talk.mp4.tmp", "~syncthing~talk.mp4.tmp"],
}
FINISHED = [
    *(
        "talk.mp4",
        "race.f1.mp4",
        "talk.final.mp4",
        "talk.f-stop.mp4",
        "lecture.f20244.mp4",
        "part.mp4",
        "talk.part.mp4",
    ),
    *(
        "temp.mp4",
        "talk temp.mp4",
        "download.mp4",
        "part/talk.mp4",
        "lecture.temp.2026/talk.mp4",
        "a.f137.cut/talk.mp4",
    ),
    *("My.downloads/talk.mp4", "Unconfirmed report.mp4", "Unconfirmed 12345.mp4", "tmp.f.mp4", "v1.2/talk.mp4"),
]


@pytest.mark.parametrize(
    ("program", "savepath"), [(program, name) for program, names in UNFINISHED.items() for name in names]
)
def test_what_a_program_still_writes_is_unfinished(program, savepath):
    assert has_unfinished_name(savepath)
    greedy = RecordingFilter(Settings(events=EventsSection(suffixes=(savepath[-3:],))))
    assert not greedy.takes(BUCKET, savepath)


@pytest.mark.parametrize("savepath", FINISHED)
def test_what_only_looks_alike_is_finished(savepath):
    assert not has_unfinished_name(savepath)
    assert RecordingFilter(Settings()).takes(BUCKET, savepath)
