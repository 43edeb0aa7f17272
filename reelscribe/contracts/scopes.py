"""What a caller may do: each scope includes those before it."""

from enum import StrEnum


class Scope(StrEnum):
    """What an operation asks for, and what a token gives."""

    READ = "read"
    """See jobs, transcripts and recordings."""
    SUBMIT = "submit"
    """Have recordings transcribed, and change what belongs to them."""
    ADMIN = "admin"
    """Remove recordings, and change what concerns everybody."""

    def includes(self, other: "Scope") -> bool:
        """Whether who has this one may do what ``other`` allows."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


def highest(scopes: tuple[Scope, ...]) -> Scope:
    """The one that includes all the others."""
    return max(scopes, key=list(Scope).index)
