"""Segments as one text, whatever they are written in."""

import pytest

from reelscribe.text.running_text import running_text


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["今日はとても", "いい天気です。", "また明日。"], "今日はとてもいい天気です。また明日。"),
        (["你好吗?", "我很好", "谢谢"], "你好吗?我很好谢谢"),
        (["佢哋喺度", "「食飯」"], "佢哋喺度「食飯」"),
        (["วันนี้", "อากาศดี"], "วันนี้อากาศดี"),
        (["ສະບາຍດີ", "ຂອບໃຈ"], "ສະບາຍດີຂອບໃຈ"),
        (["မင်္ဂလာပါ။", "ကျေးဇူး"], "မင်္ဂလာပါ။ကျေးဇူး"),
        (["Good morning.", "Good bye."], "Good morning. Good bye."),
        (["안녕하세요.", "반갑습니다."], "안녕하세요. 반갑습니다."),
        (["नमस्ते", "दुनिया"], "नमस्ते दुनिया"),
        (["今日はWindows", "Linuxも"], "今日はWindows Linuxも"),
        (["価格は100", "200円"], "価格は100 200円"),
        (["♪", "…"], "♪ …"),
        (["", "One.", "", "Two."], "One. Two."),
        ([], ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_spaces_are_only_in_scripts_that_have_them(texts: list[str], whole: str) -> None:
    assert running_text(texts) == whole
