"""What each command takes: its arguments, its options and its help, one module per command.

``--help`` and completion import nothing but these modules, so they import neither what does the work (that is imported
when a command is called) nor anything else that takes long.
"""
