"""The transcriber's HTTP routes: its own, OpenAI's, and those of the model."""
