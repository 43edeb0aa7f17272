"""``/api/webhooks``: the log of what was sent to those who are notified of the end of transcriptions."""

from pydantic import Field

from orchestrator.api.handlers import OrchestratorHandler
from orchestrator.errors import DatabaseUnavailable, MessageNotFound
from orchestrator.jobs import webhooks
from orchestrator.jobs.models import Record
from orchestrator.jobs.webhooks import Delivery, DeliveryState
from reelscribe import errors
from reelscribe.contracts.messages import WireModel
from reelscribe.contracts.scopes import Scope
from reelscribe.http.api.operations import JSON, Answer, Operation

MOST_DELIVERIES = 1000
"""Of one page."""


class DeliveriesQuery(WireModel):
    """Query of ``GET /api/webhooks/deliveries``; ``after`` is ``next`` of the page before."""

    state: DeliveryState | None = None
    after: int | None = Field(default=None, ge=0, le=10**18)
    limit: int = Field(default=100, ge=1, le=MOST_DELIVERIES)


class DeliveryPage(Record):
    """Answer of ``GET /api/webhooks/deliveries``; ``next`` is the ``after`` of the next page, None on the last."""

    deliveries: list[Delivery]
    next: int | None


class DeliveriesHandler(OrchestratorHandler):
    """``GET /api/webhooks/deliveries``, the newest first."""

    async def get(self) -> None:
        query = self.read_query(DeliveriesQuery)
        async with self.service.pool.connection() as connection:
            found = await webhooks.deliveries(connection, query.state, query.after, query.limit)
        last = found[-1].id if len(found) == query.limit else None
        self.finish(DeliveryPage(deliveries=found, next=last).model_dump(mode="json"))


class SendAgainHandler(OrchestratorHandler):
    """``POST /api/webhooks/deliveries/{id}/retry``."""

    async def post(self, id: str) -> None:
        async with self.service.pool.connection() as connection:
            if not await webhooks.send_again(connection, [int(id)]):
                raise MessageNotFound(f"there is no message {id}; GET /api/webhooks/deliveries lists them")
        self.set_status(202)
        self.finish({"id": int(id)})


class SentAgain(Record):
    """Answer of ``POST /api/webhooks/deliveries/{id}/retry``."""

    id: int


WEBHOOK_OPERATIONS = (
    Operation(
        "GET",
        "/api/webhooks/deliveries",
        "webhookDeliveries",
        "A page of the messages to webhooks, the newest first: to whom, how often, what was answered",
        (Answer("The page.", {JSON: DeliveryPage}),),
        (DatabaseUnavailable,),
        query=DeliveriesQuery,
        scope=Scope.ADMIN,
        handler=DeliveriesHandler,
    ),
    Operation(
        "POST",
        "/api/webhooks/deliveries/{id}/retry",
        "retryWebhookDelivery",
        "Send a message now, also one that was delivered or given up",
        (Answer("It will be sent.", {JSON: SentAgain}, status=202),),
        (MessageNotFound, errors.RouteNotFound, DatabaseUnavailable),
        path_parameters={"id": "[0-9]{1,18}"},
        scope=Scope.ADMIN,
        handler=SendAgainHandler,
    ),
)
