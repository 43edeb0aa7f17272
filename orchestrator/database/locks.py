"""Every advisory lock that processes of the orchestrator take in PostgreSQL, in one list: their keys must differ."""

from enum import IntEnum


class AdvisoryLock(IntEnum):
    """The keys, each four letters."""

    MIGRATION = int.from_bytes(b"reel", "big")
    """Held while migrating: PostgreSQL releases it when a migrating process dies; yoyo's own lock row would stay."""

    RESTORING = int.from_bytes(b"rest", "big")
    """Held in the database ``postgres`` of the server while another database is restored, put in place or upgraded."""

    SCHEDULING = int.from_bytes(b"turn", "big")
    """Held while a job is taken under rules: two workers that count concurrently would both find room for one more."""

    BACKLOG = int.from_bytes(b"back", "big")
    """Held for each step of sorting the backlog: several workers would only block each other."""

    LISTING = int.from_bytes(b"reli", "big")
    """Held while the buckets are listed, of all orchestrators on one database by one at a time."""

    STATE_CHANGES = int.from_bytes(b"stat", "big")
    """Held by the trigger that adds up ``state_changes`` (0001.schema.sql)."""

    SEARCH_INDEX = int.from_bytes(b"sidx", "big")
    """Held while a batch of search entries of an older version is made again."""

    RETENTION = int.from_bytes(b"keep", "big")
    """Held while the rules of ``[retention]`` are applied, by one process at a time."""
