"""The receipts of recent extractions: kept for an hour, and bounded in number."""

import time
from collections import OrderedDict

from reelscribe.contracts.clips import ClipReceipt
from reelscribe.contracts.extractor import ExtractionReceipt
from reelscribe.contracts.pictures import SamplesReceipt
from reelscribe.errors import ExtractionNotFound

KEPT_SECONDS = 3600
KEPT_RECEIPTS = 10_000

AnExtractionReceipt = ExtractionReceipt | SamplesReceipt | ClipReceipt


class Receipts:
    """Receipts by extraction id, the oldest dropped first."""

    def __init__(self) -> None:
        self._receipts: OrderedDict[str, tuple[float, AnExtractionReceipt]] = OrderedDict()

    def put(self, receipt: AnExtractionReceipt) -> None:
        """Keep a receipt."""
        self._receipts[receipt.extraction_id] = (time.monotonic(), receipt)
        self._drop_old()

    def get(self, extraction_id: str) -> AnExtractionReceipt:
        """The receipt of an extraction.

        Raises:
            ExtractionNotFound: there is none, or no longer.
        """
        self._drop_old()
        if extraction_id not in self._receipts:
            raise ExtractionNotFound(f"no receipt of extraction {extraction_id}; receipts are kept for an hour")
        return self._receipts[extraction_id][1]

    def _drop_old(self) -> None:
        horizon = time.monotonic() - KEPT_SECONDS
        while self._receipts and (
            len(self._receipts) > KEPT_RECEIPTS or next(iter(self._receipts.values()))[0] < horizon
        ):
            self._receipts.popitem(last=False)
