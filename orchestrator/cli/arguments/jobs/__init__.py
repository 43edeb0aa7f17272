"""The commands for what is to be transcribed: it is submitted, followed, tried again and stopped."""
