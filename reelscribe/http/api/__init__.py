"""One table of operations makes the routes of a service and its OpenAPI document; operations of all services."""
