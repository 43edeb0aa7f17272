"""What travels between the services: requests, answers and events, as strict models."""
