"""MPEG transport and program streams, and frames without a container."""
