"""MinIO's objects: read from its drive in place, or fetched through its S3 API."""
