"""HTTP as all three services speak it: server, authentication, OpenAPI, parsing, and calls to each other."""
