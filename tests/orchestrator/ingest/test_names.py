"""What recordings of the web are called, and which lists name them."""

import io
import re

import pytest

from orchestrator.ingest.lists import YOUTUBE, addresses
from orchestrator.ingest.names import folder_name, mistake_in_address, savepath_of, source_of, video_key
from reelscribe.savepath import mistake_in


def test_a_site_names_its_recordings_and_an_address_all_others() -> None:
    page = "https://example.com/a/talk.mp4"
    assert video_key("Youtube", "-abc_123", page) == ("youtube", "-abc_123")
    assert savepath_of(video_key("Youtube", "-abc_123", page), "mp4", "talks/") == "talks/youtube/-abc_123.mp4"
    assert video_key("Generic", "talk", page) != video_key("Generic", "talk", "https://example.com/b/talk.mp4")
    assert video_key("Generic", "talk", page) == video_key("Generic", "talk", page + "#t=5")
    assert savepath_of(video_key("HTML5MediaEmbed", "talk-1", page), "webm", "").startswith("web/talk-1-")


@pytest.mark.parametrize(
    "id", ["../../etc/passwd", "a/b", ".hidden", "%s%(id)s", "ä ö", "x" * 3000, "", "\0", "\ud800"]
)
def test_a_hostile_id_becomes_a_safe_name_that_no_other_has(id: str) -> None:
    key = video_key("../Evil", id, "https://example.com")
    for name in (savepath_of(key, "m/../p4\n", ""), folder_name(key)):
        assert re.fullmatch(r"[A-Za-z0-9_./-]{1,255}", name) and ".." not in name and mistake_in(name) is None
    others = [video_key("../Evil", other, "https://example.com") for other in (id + "_", "_", "b", "a_b", "a b")]
    assert savepath_of(key, "mp4", "") not in {savepath_of(other, "mp4", "") for other in others if other != key}


@pytest.mark.parametrize(
    "address",
    [
        "ftp://example.com/a",
        "file:///etc/passwd",
        "abc123",
        "http://",
        "https://a b",
        "http://[::1",
        "-f",
        "https://a\udcff",
        "https://a/" + 2500 * "b",
    ],
)
def test_only_addresses_of_the_web_are_taken(address: str) -> None:
    assert mistake_in_address(address)
    assert mistake_in_address("https://user:secret@example.com:8443/a?b=c#d") is None


def test_a_source_is_a_site_under_all_its_names() -> None:
    names = ("https://www.youtube.com/watch?v=a", "https://m.youtube.com/b", "https://youtu.be/c")
    assert {source_of(name) for name in names} == {"youtube.com"}
    assert source_of("http://www.com/") == "www.com"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('--0PQM4-hqg,30,"waterfall, burbling",train\n--0PQM4-hqg,90,"x",train\n---g-f_I2yQ,1,y,test\n', [1, 3]),
        ("# Segments csv\n# YTID, start\n--0PQM4-hqg, 30.0\n---g-f_I2yQ, 1.0\n", [3, 4]),
        ("label,start,youtube_id\na,1,--0PQM4-hqg\n\nb,2,---g-f_I2yQ\nshort\n", [2, 4]),
    ],
)
def test_lists_of_data_sets_name_recordings_of_youtube(text: str, found: list[int]) -> None:
    expected = [YOUTUBE + "--0PQM4-hqg", YOUTUBE + "---g-f_I2yQ"]
    assert list(addresses(io.StringIO(text))) == list(zip(found, expected, strict=True))


def test_a_list_of_addresses_needs_no_header() -> None:
    text = "\ufeffhttps://example.com/a.mp4\r\nhttps://example.com/b.mp4,label\r\nhttps://example.com/a.mp4\r\n"
    assert [address for _, address in addresses(io.StringIO(text))] == [
        "https://example.com/a.mp4",
        "https://example.com/b.mp4",
    ]
