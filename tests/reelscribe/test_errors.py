"""The table of failures."""

import json

import pytest

from reelscribe import errors
from reelscribe.errors import RemoteError, ServiceError


def kinds() -> list[type[ServiceError]]:
    named = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ServiceError)]
    return [kind for kind in named if kind not in (ServiceError, RemoteError)]


def test_every_code_is_used_once():
    codes = [kind.code for kind in kinds()]
    assert len(codes) == len(set(codes)) > 15


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_has_an_error_status_and_a_docstring(kind):
    assert 400 <= kind.status <= 599 and kind.__doc__


@pytest.mark.parametrize("kind", kinds())
def test_what_the_caller_did_wrong_is_not_retryable(kind):
    assert not (kind.status < 500 and kind.retryable)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.BadRequest, 400),
        (errors.Unauthorized, 401),
        (errors.ObjectNotFound, 404),
        (errors.BodyTooLarge, 413),
        (errors.NoAudioTrack, 422),
        (errors.NotDecodable, 422),
        (errors.NotReadable, 422),
        (errors.IncompleteRecording, 422),
        (errors.Busy, 503),
        (errors.NoAudioInTime, 504),
        (errors.NoRoom, 507),
    ],
)
def test_the_statuses_of_the_contract(kind, status):
    assert kind.status == status


def test_an_error_travels_with_its_details():
    error = errors.UnsupportedFormat("ogg is not offered", allowed=["mp3", "wav"])
    assert json.loads(json.dumps(error.as_json())) == {
        "code": "unsupported_format",
        "message": "ogg is not offered",
        "retryable": False,
        "allowed": ["mp3", "wav"],
    }


def test_an_error_of_another_service_keeps_its_status_code_and_sentence():
    error = RemoteError(404, "object_not_found", "there is no a.mp4", retryable=False, savepath="a.mp4")
    assert (error.status, str(error)) == (404, "there is no a.mp4")
    assert error.as_json()["code"] == "object_not_found" and error.as_json()["savepath"] == "a.mp4"
