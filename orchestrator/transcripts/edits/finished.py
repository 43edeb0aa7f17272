"""What people corrected is kept when a new transcript of the same object is finished."""

from orchestrator.database.sql import Connection
from orchestrator.transcripts.edits.ranges import all_ranges, layer_of
from orchestrator.transcripts.edits.shown import show_layer


async def keep_edits(connection: Connection, id: int, media_id: int, revision: int) -> None:
    """Put the edits of its recording over the text of a transcription, which is being finished.

    Args:
        revision: of the recording, which :data:`orchestrator.transcripts.edits.locking.LOCK_TO_FINISH` has locked.
    """
    if revision == 0:
        return  # no one has edited it
    layer = await layer_of(connection, id)
    if layer is None:
        return
    for patch in await all_ranges(connection, layer):
        await show_layer(connection, id, media_id, layer, patch.start, patch.end)
