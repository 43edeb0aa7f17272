"""Whether the loaded model can do what a request asks for."""

from reelscribe.contracts.transcriber import TranscribeOptions
from reelscribe.errors import BadRequest
from transcriber.decoding.tokenizers import Tokenizers
from transcriber.model.loading import LoadedModel


def check_request(request: TranscribeOptions, model: LoadedModel, tokenizers: Tokenizers) -> None:
    """
    Raises:
        BadRequest: the model does not know the language, cannot translate, or the hints leave no room for an answer.
    """
    known = tokenizers.languages
    if request.language is not None and request.language not in known:
        allowed = "English (en) only" if len(known) == 1 else ", ".join(known)
        raise BadRequest(
            f"language: {model.name} does not know {request.language!r}; it knows {allowed}", fields=["language"]
        )
    if unknown := [language for language in request.languages if language not in known]:
        allowed = "English (en) only" if len(known) == 1 else ", ".join(known)
        raise BadRequest(
            f"languages: {model.name} does not know {', '.join(unknown)}; it knows {allowed}", fields=["languages"]
        )
    if request.multilingual and tokenizers.only_language:
        raise BadRequest(
            f"multilingual: {model.name} knows English only; leave it out, or load a multilingual model",
            fields=["multilingual"],
        )
    if request.task == "translate" and tokenizers.only_language and request.language is None:
        raise BadRequest(
            f"{model.name} knows English only and cannot translate; load a multilingual model", fields=["task"]
        )
    encode = tokenizers.get(None, "transcribe").encode
    length = sum(len(encode(" " + hint.strip())) for hint in (request.initial_prompt, request.hotwords) if hint)
    if length > model.max_hint_tokens:
        raise BadRequest(
            f"initial_prompt and hotwords are {length} tokens together; at most {model.max_hint_tokens} fit"
        )
