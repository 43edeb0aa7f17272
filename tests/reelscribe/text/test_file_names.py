"""Names of transcripts: a template of named fields, or what players look for."""

import pytest

from reelscribe.text.file_names import FileNames
from reelscribe.text.formats import Format


@pytest.mark.parametrize(
    ("template", "savepath", "name"),
    [
        ("", "a/talk.mp4", "a/talk.en.srt"),
        ("", "talk", "talk.en.srt"),
        ("{name}.{format}", "a/talk.v2.mp4", "a/talk.v2.mp4.srt"),
        ("{stem}.srt", "a/talk.v2.mp4", "a/talk.v2.srt"),
        ("{language}/{folder}/{stem}.srt", "a/b/talk.mp4", "en/a/b/talk.srt"),
        ("{language}/{folder}/{stem}.srt", "talk.mp4", "en/talk.srt"),
        ("subtitles/{stem}-{model}.{format}", "a/talk.mp4", "a/subtitles/talk-org-large.srt"),
        ("{stem}{{x}}.srt", "a/{0.x}.mp4", "a/{0.x}{x}.srt"),
    ],
)
def test_the_name_of_a_recording(template, savepath, name):
    assert FileNames(template).name(savepath, Format.SRT, "en", "org/large") == name


def test_no_value_of_a_field_leads_out_of_the_folder():
    names = FileNames("{language}/{model}/{stem}/{name}.{format}")
    assert names.name("talk.mp4", Format.SRT, "..", " .") == "__/ _/talk/talk.mp4.srt"
    assert ".." not in names.name("...mp4", Format.SRT, "en", "m").split("/"), "whatever Python takes for the stem"


@pytest.mark.parametrize(
    ("format", "name"),
    [(Format.VTT, "a/talk.en.vtt"), (Format.JSON, "a/talk.mp4.json"), (Format.TXT, "a/talk.mp4.txt")],
)
def test_only_subtitles_are_named_for_players_by_default(format, name):
    assert FileNames().name("a/talk.mp4", format, "en", "m") == name


def test_an_ambiguous_stem_is_replaced_by_the_whole_name():
    assert FileNames().name("a/talk.mp4", Format.SRT, "en", "m", ambiguous=True) == "a/talk.mp4.en.srt"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{title}.srt", "{title} is no field; there are {stem}, {name}"),
        ("{stem.__class__}.srt", "{stem.__class__} is no field"),
        ("{stem[0]}.srt", "is no field"),
        ("{stem!r}.srt", "{stem} is no field"),
        ("{stem:>1000000000}.srt", "{stem} is no field"),
        ("{}.srt", "{} is no field"),
        ("{stem.srt", "cannot be used: expected '}' before end of string"),
        ("{language}.srt", "all recordings would be one file"),
        ("../{stem}.srt", "leads out of the folder"),
        ("/{stem}.srt", "leads out of the folder"),
        ("{folder}-{stem}.srt", "{folder} is a folder"),
        ("{stem}\n.srt", "control character"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_the_reason(template, reason):
    with pytest.raises(ValueError) as refused:
        FileNames(template)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("template", "formats", "reason"),
    [
        ("{stem}.srt", (Format.SRT, Format.JSON), "does not end with .json"),
        ("{stem}", (Format.SRT,), "does not end with .srt"),
        ("", (Format.TXT, Format.PARAGRAPHS), "txt and paragraphs would both be talk.mp4.txt"),
    ],
)
def test_each_format_has_a_name_of_its_own(template, formats, reason):
    with pytest.raises(ValueError) as refused:
        FileNames(template).check(formats)
    assert reason in str(refused.value)
