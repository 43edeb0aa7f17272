"""Datasets for training: a plan, shards that are built one by one, and what can be done with them afterwards."""
