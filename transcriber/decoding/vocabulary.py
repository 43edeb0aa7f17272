"""As much of a vocabulary as there is room for, among the hints of a request."""

from reelscribe.contracts.transcriber import TranscribeFields
from transcriber.model.loading import LoadedModel

SEPARATOR = ", "


def with_fitting_vocabulary(request: TranscribeFields, model: LoadedModel) -> TranscribeFields:
    """The request with the first words of its vocabulary as hotwords, and no others in the vocabulary."""
    if not request.vocabulary:
        return request
    room = model.max_hint_tokens - model.hint_tokens(request.initial_prompt)
    low, high = 0, len(request.vocabulary)
    while low < high:
        middle = (low + high + 1) // 2
        if model.hint_tokens(_hotwords(request, middle)) <= room:
            low = middle
        else:
            high = middle - 1
    words = request.vocabulary[:low]
    return request.model_copy(update={"vocabulary": words, "hotwords": _hotwords(request, low) or None})


def _hotwords(request: TranscribeFields, count: int) -> str:
    own = [request.hotwords.strip()] if request.hotwords else []
    return SEPARATOR.join([*own, *request.vocabulary[:count]])
