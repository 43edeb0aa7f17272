"""The orchestrator as a service: worker, HTTP API, folder watch, or all three services on one host."""
