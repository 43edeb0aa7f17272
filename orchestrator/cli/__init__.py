"""The command line: ``arguments`` has what each command takes, the module of the same name what it does."""
