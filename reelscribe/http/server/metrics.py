"""What ``/metrics`` of every process has: its CPU time, memory and open files, and which version it is."""

import platform

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, disable_created_metrics

from reelscribe.version import version

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each counter was made: that would double the lines


def new_registry(service: str) -> CollectorRegistry:
    """The metrics of a process, for a service to add its own."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    build = Gauge("reelscribe_build_info", "Always 1", ["service", "version", "python"], registry=registry)
    build.labels(service, version(), platform.python_version()).set(1)
    return registry
