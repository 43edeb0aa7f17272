"""``POST /models/load`` and ``/models/unload``: the model's memory, for programs that share the GPU with it."""

from reelscribe.contracts.messages import WireModel
from reelscribe.http.server.service import ServiceHandler
from transcriber.model.weights import LoadState
from transcriber.service import TranscriberService


class ModelState(WireModel):
    """Which model runs where, and whether it is in memory."""

    model: str
    device: str
    compute_type: str
    model_state: LoadState


class _ModelHandler(ServiceHandler):
    service: TranscriberService

    def answer_state(self) -> None:
        self.finish({name: self.service.health()[name] for name in ModelState.model_fields})


class LoadHandler(_ModelHandler):
    """``POST /models/load``: answers once the model is in memory, immediately if it is already."""

    async def post(self) -> None:
        await self.service.load_model()
        self.answer_state()


class UnloadHandler(_ModelHandler):
    """``POST /models/unload``: frees the model's memory; refused while requests need it."""

    async def post(self) -> None:
        await self.service.weights.unload()
        self.answer_state()
