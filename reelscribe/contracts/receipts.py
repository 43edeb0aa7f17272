"""The receipt of an extraction of any kind."""

from pydantic import RootModel

from reelscribe.contracts.clips import ClipReceipt
from reelscribe.contracts.extractor import ExtractionReceipt
from reelscribe.contracts.pictures import SamplesReceipt


class AnyReceipt(RootModel[SamplesReceipt | ClipReceipt | ExtractionReceipt]):
    """Answer of the extractor's ``GET /extractions/{id}``; a receipt without ``kind`` is of audio."""
