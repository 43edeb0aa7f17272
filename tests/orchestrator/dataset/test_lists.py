"""Lists of what is wanted, and the keys that are made of them."""

import csv
import os

import pytest

from orchestrator.exports.dataset.keys import LONGEST_PREFIX, listed_key, source_key
from orchestrator.exports.dataset.lists import BadList, read_list


@pytest.fixture
def rows(tmp_path):
    """The rows of a list with this text."""

    def read(text: str, template: str = "{id}.mp4", **columns: str):
        (tmp_path / "list.csv").write_text(text)
        return list(read_list(tmp_path / "list.csv", columns, template))

    return read


def test_the_form_of_vggsound(rows):
    first, second = rows('---g-f_I2yQ,1,"people marching, singing",test\n--0PQM4-hqg,30,waterfall burbling,train\n')
    assert (first.id, first.savepath, first.start, first.duration) == ("---g-f_I2yQ", "---g-f_I2yQ.mp4", 1.0, 10.0)
    assert (first.label, first.split, first.mistake) == ("people marching, singing", "test", None)
    assert listed_key(second.id, second.start) == "--0PQM4-hqg_000030"


def test_columns_with_names_in_any_order(rows):
    [row] = rows("\ufefflabel,Speaker_ID,end,path,start\ndog,ann,4.5,a/b.mkv,2\n")
    assert row[1:] == ("a/b.mkv", "a/b.mkv", 2.0, 2.5, "dog", "all", "ann", None)


def test_columns_that_are_mapped(rows):
    [row] = rows("clip,when,what\nx.1,3,horn\n", "clips/{id}.webm", id="clip", start="when", label="what")
    assert (row.id, row.savepath, row.start, row.label) == ("x.1", "clips/x.1.webm", 3.0, "horn")
    with pytest.raises(BadList, match="no column 'nothing' for speaker; it has clip, when, what"):
        rows("clip,when,what\n", speaker="nothing", id="clip")


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("x,soon,horn,train", "its start 'soon' is no number of seconds"),
        ("x,-1,horn,train", "its start -1 is no time in a recording"),
        ("x,nan,horn,train", "its start nan is no time in a recording"),
        (",1,horn,train", "it names no recording"),
        ("../x,1,horn,train", "its savepath must not contain '.' or '..' as a folder"),
        ("x,1,horn,train/1", "its split 'train/1' has more than letters, digits and _"),
    ],
)
def test_a_bad_row_is_kept_with_what_is_wrong(rows, line, mistake):
    good, bad = rows(f"ok,1,horn,train\n{line}\n")
    assert (good.mistake, bad.mistake) == (None, f"line 2: {mistake}")


def test_what_is_no_list_is_a_sentence(rows, tmp_path):
    (tmp_path / "list.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadList, match="is not UTF-8 text"):
        list(read_list(tmp_path / "list.csv", {}, "{id}"))
    with pytest.raises(BadList, match="cannot be read"):
        list(read_list(tmp_path / "none.csv", {}, "{id}"))
    with pytest.raises(BadList, match="line 2 holds a character that no text has"):
        rows("a,1,dog,train\nb,2,d\0g,train\n")
    with pytest.raises(BadList, match="is not CSV"):
        rows("a" * (csv.field_size_limit() + 1) + ",1,label,train\n")


def test_a_pipe_is_refused_as_it_can_be_read_only_once(tmp_path):
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(BadList, match="is a pipe or a device, which can be read only once; write the list to a file"):
        list(read_list(tmp_path / "list.csv", {}, "{id}"))


def test_keys_have_no_dots_and_are_those_of_one_source():
    names = ["a/b.mp4", "c/b.mp4", "a/b.mkv", "ü.ö.mp4", "x" * 200 + ".mp4", "x" * 201 + ".mp4"]
    keys = [source_key("videos", name) for name in names] + [source_key("other", names[0])]
    keys += [listed_key("a.b", 1.5), listed_key("a_b", 1.5), listed_key("a.b", None), listed_key("y" * 300, 2)]
    assert len(set(keys)) == len(keys)
    assert all(len(key) <= LONGEST_PREFIX and key.isascii() and not set(key) & set("./ ") for key in keys)
    assert keys[0].startswith("b-")
