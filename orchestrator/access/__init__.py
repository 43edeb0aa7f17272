"""How commands reach the orchestrator: through its database, or over HTTP from another host; both do the same."""
