"""The extractor's routes: the table of its operations."""

from collections.abc import Mapping

from tornado.web import Application

from extractor_api.clip import MP4, ExtractClipHandler
from extractor_api.file_delivery import ResultHandler
from extractor_api.handlers import ExtractAudioHandler, ObjectsHandler, ProbeHandler, ReceiptHandler
from extractor_api.object_delivery import ObjectHandler
from extractor_api.peaks import PeaksHandler
from extractor_api.preview import PREVIEW_TYPES, ExtractPreviewHandler
from extractor_api.samples import ExtractFramesHandler, ExtractPairsHandler
from extractor_api.service import ExtractorService
from reelscribe import errors
from reelscribe.contracts.clips import ClipRequest, Peaks, PeaksRequest, PreviewRequest
from reelscribe.contracts.extractor import (
    ExtractAudioRequest,
    ExtractionReceipt,
    ObjectPage,
    ObjectQuery,
    ObjectsQuery,
    ProbeQuery,
    ProbeResult,
)
from reelscribe.contracts.pictures import FramesRequest, PairsRequest
from reelscribe.contracts.receipts import AnyReceipt
from reelscribe.contracts.scopes import Scope
from reelscribe.http.api.operations import JSON, Answer, Header, Operation
from reelscribe.http.api.routes import Api
from reelscribe.media import content_type
from reelscribe.media.commands import CONTENT_TYPES
from reelscribe.media.pictures.tar import TAR

EXTRACTION_ID = {"extraction_id": "[0-9A-Za-z_]{1,64}"}
AUDIO: Mapping[str, None] = dict.fromkeys(CONTENT_TYPES.values())

EXTRACTION_HEADER = {"X-Extraction-Id": Header("Under which the receipt is kept for an hour")}
RESULT_HEADERS = {
    **EXTRACTION_HEADER,
    "Content-Length": Header("Bytes", type="integer"),
    "ETag": Header("SHA-256 of the complete result"),
    "Accept-Ranges": Header("bytes"),
}
STREAM_HEADERS = {
    **EXTRACTION_HEADER,
    "X-Object-ETag": Header("delivery = stream: of the stored object; it changes when that does", always=False),
    "X-Declared-Seconds": Header(
        "delivery = stream: length of the part, if the container declares it", "number", always=False
    ),
    "X-Begins-Seconds": Header(
        "delivery = stream: time in the recording of the first sound in the body", "number", always=False
    ),
    **{
        name: Header(f"delivery = file: {text}", always=False)
        for name, text in {
            "Content-Location": "(or kept) where the result can be fetched, by ranges too, for result_ttl seconds",
            "Content-Length": "bytes",
            "ETag": "SHA-256 of the result",
            "Accept-Ranges": "bytes",
        }.items()
    },
}
TAR_HEADERS = {
    **EXTRACTION_HEADER,
    "X-Object-ETag": Header("Of the stored object; it changes when that does"),
}
CLIP_HEADERS = {
    **EXTRACTION_HEADER,
    "X-Object-ETag": Header("Of the stored object; it changes when that does"),
    "X-Begins-Seconds": Header("Time in the recording of the first picture; of a copy that of its key frame", "number"),
}
UNREADABLE = (
    *(errors.BucketUnavailable, errors.NotReadable),
    *(errors.PeerUnreachable, errors.PeerRefused, errors.StreamCut),
)
NOT_DESCRIBED = (*UNREADABLE, errors.ObjectNotFound, errors.NotDecodable, errors.Busy, errors.NoAudioInTime)
NO_SAMPLES = (
    *(*NOT_DESCRIBED, errors.NoVideoTrack, errors.NoAudioTrack, errors.UnsupportedFormat),
    *(errors.BodyTooLarge, errors.PastTheEnd, errors.IncompleteRecording),
)
NO_PICTURES = (
    *(*NOT_DESCRIBED, errors.NoVideoTrack, errors.UnsupportedFormat, errors.BodyTooLarge),
    *(errors.PastTheEnd, errors.IncompleteRecording, errors.NoRoom),
)
RANGES = {"Range": "bytes=FIRST-LAST, bytes=FIRST- or bytes=-LENGTH", "If-Range": "the ETag that the range is of"}
RESULT_ANSWERS = (
    Answer("The complete result.", AUDIO, RESULT_HEADERS),
    Answer(
        "The range that was asked for.",
        AUDIO,
        {**RESULT_HEADERS, "Content-Range": Header("bytes FIRST-LAST/LENGTH")},
        status=206,
    ),
)
STORED: Mapping[str, None] = dict.fromkeys(content_type.CONTENT_TYPES)
STORED_HEADERS = {
    "Content-Length": Header("Bytes", type="integer"),
    "ETag": Header("Of the stored object; it changes when that does"),
    "Accept-Ranges": Header("bytes"),
}
STORED_ANSWERS = (
    Answer("The complete object.", STORED, STORED_HEADERS),
    Answer(
        "The range that was asked for.",
        STORED,
        {**STORED_HEADERS, "Content-Range": Header("bytes FIRST-LAST/LENGTH")},
        status=206,
    ),
    Answer("The client has it: If-None-Match names its ETag.", {}, status=304),
)
STORED_FAILURES = (*UNREADABLE, errors.ObjectNotFound, errors.RangeNotSatisfiable, errors.Busy, errors.NoAudioInTime)
NO_SUCH_EXTRACTION = (errors.ExtractionNotFound, errors.RouteNotFound)
RESULT_FAILURES = (*NO_SUCH_EXTRACTION, errors.RangeNotSatisfiable)

OPERATIONS = (
    Operation(
        "POST",
        "/extract-audio",
        "extractAudio",
        "Audio of a recording, while ffmpeg is still decoding it; an incomplete body is cut off, never ended",
        (Answer("The audio; with delivery = kept the receipt.", {**AUDIO, JSON: ExtractionReceipt}, STREAM_HEADERS),),
        (
            *NOT_DESCRIBED,
            errors.UnsupportedFormat,
            errors.BodyTooLarge,
            errors.NoAudioTrack,
            errors.PastTheEnd,
            errors.IncompleteRecording,
            errors.NoRoom,
        ),
        body=ExtractAudioRequest,
        scope=Scope.READ,
        handler=ExtractAudioHandler,
    ),
    Operation(
        "POST",
        "/extract-pairs",
        "extractPairs",
        "Pictures of a recording with the sound around them, as a tar while they are decoded; an incomplete tar is cut",
        (Answer("The tar: KEY.jpg, KEY.wav and KEY.json of each pair.", {TAR: None}, TAR_HEADERS),),
        NO_SAMPLES,
        body=PairsRequest,
        scope=Scope.READ,
        handler=ExtractPairsHandler,
    ),
    Operation(
        "POST",
        "/extract-frames",
        "extractFrames",
        "Pictures of a recording, as a tar while they are decoded; an incomplete tar is cut",
        (Answer("The tar: KEY.jpg and KEY.json of each picture.", {TAR: None}, TAR_HEADERS),),
        NO_SAMPLES,
        body=FramesRequest,
        scope=Scope.READ,
        handler=ExtractFramesHandler,
    ),
    Operation(
        "POST",
        "/extract-clip",
        "extractClip",
        "A part of a video, while it is made; an incomplete body is cut off, never ended",
        (
            Answer(
                "The clip as a fragmented MP4; with audio = wav or flac a tar of KEY.mp4, KEY.wav and KEY.json.",
                {MP4: None, TAR: None},
                CLIP_HEADERS,
            ),
        ),
        (*NO_PICTURES, errors.NoAudioTrack),
        body=ClipRequest,
        scope=Scope.READ,
        handler=ExtractClipHandler,
    ),
    Operation(
        "POST",
        "/extract-preview",
        "extractPreview",
        "Some moments of a video as a small file that moves, without sound",
        (Answer("The preview.", dict.fromkeys(PREVIEW_TYPES.values()), CLIP_HEADERS),),
        (*NO_PICTURES, errors.TooLarge),
        body=PreviewRequest,
        scope=Scope.READ,
        handler=ExtractPreviewHandler,
    ),
    Operation(
        "POST",
        "/peaks",
        "peaks",
        "The envelope of a waveform: the lowest and the highest sample of each stretch",
        (Answer("The envelope.", {JSON: Peaks}, EXTRACTION_HEADER),),
        (*NOT_DESCRIBED, errors.NoAudioTrack, errors.BodyTooLarge, errors.PastTheEnd, errors.IncompleteRecording),
        body=PeaksRequest,
        scope=Scope.READ,
        handler=PeaksHandler,
    ),
    Operation(
        "GET",
        "/extractions/{extraction_id}",
        "receipt",
        "What an extraction delivered: seconds, samples, bytes, SHA-256, and whether that was all",
        (Answer("The receipt.", {JSON: AnyReceipt}),),
        NO_SUCH_EXTRACTION,
        path_parameters=EXTRACTION_ID,
        handler=ReceiptHandler,
    ),
    Operation(
        "GET",
        "/extractions/{extraction_id}/audio",
        "result",
        "The result of a request with delivery = file, complete or by ranges",
        RESULT_ANSWERS,
        RESULT_FAILURES,
        path_parameters=EXTRACTION_ID,
        request_headers=RANGES,
        handler=ResultHandler,
    ),
    Operation(
        "HEAD",
        "/extractions/{extraction_id}/audio",
        "resultHeaders",
        "The headers that GET would answer",
        tuple(Answer(answer.description, {}, answer.headers, answer.status) for answer in RESULT_ANSWERS),
        RESULT_FAILURES,
        path_parameters=EXTRACTION_ID,
        request_headers=RANGES,
        handler=ResultHandler,
    ),
    Operation(
        "GET",
        "/probe",
        "probe",
        "What a recording holds: length, container, streams",
        (Answer("The description.", {JSON: ProbeResult}),),
        NOT_DESCRIBED,
        query=ProbeQuery,
        handler=ProbeHandler,
    ),
    Operation(
        "GET",
        "/object",
        "object",
        "The stored bytes of an object, complete or by ranges; an incomplete body is cut off, never ended",
        STORED_ANSWERS,
        STORED_FAILURES,
        query=ObjectQuery,
        request_headers={**RANGES, "If-None-Match": "the ETag of the object that the client has"},
        handler=ObjectHandler,
    ),
    Operation(
        "HEAD",
        "/object",
        "objectHeaders",
        "The headers that GET would answer",
        tuple(Answer(answer.description, {}, answer.headers, answer.status) for answer in STORED_ANSWERS),
        STORED_FAILURES,
        query=ObjectQuery,
        request_headers={**RANGES, "If-None-Match": "the ETag of the object that the client has"},
        handler=ObjectHandler,
    ),
    Operation(
        "GET",
        "/objects",
        "objects",
        "A page of a bucket's savepaths, in the order of their UTF-8 bytes",
        (Answer("The page.", {JSON: ObjectPage}),),
        UNREADABLE,
        query=ObjectsQuery,
        handler=ObjectsHandler,
    ),
)

API = Api(
    "Reelscribe extractor",
    "Turns a savepath of a MinIO bucket into audio bytes, as ffmpeg makes them.",
    OPERATIONS,
)


def make_app(service: ExtractorService) -> Application:
    """The extractor's application."""
    return API.application(service)
