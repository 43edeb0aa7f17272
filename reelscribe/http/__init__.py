"""HTTP as all three services speak it: who may call, how a service listens, its routes, and calls to other services."""
