"""The web page: what people open instead of a terminal."""
