"""The object that an item of a plan means: it must be the one that the plan was made of."""

from orchestrator.exports.dataset.plan import Item, PlanSettings
from reelscribe.errors import RemoteError


def named_bucket(plan: PlanSettings, item: Item) -> str | None:
    """As a request names it: the extractor knows its default bucket by itself."""
    return None if item.bucket == plan.default_bucket else item.bucket


def check_object(item: Item, etag: str) -> None:
    """Whether this is still the object of the plan.

    Raises:
        RemoteError: it was replaced.
    """
    if item.etag is not None and item.etag != etag:
        message = f"{item.savepath} has been replaced since the plan was made; make a new plan, in another folder"
        raise RemoteError(409, "object_replaced", message, False)
