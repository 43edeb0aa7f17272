"""The archive for assistants: a server of the Model Context Protocol, on standard input and output or over HTTP."""
