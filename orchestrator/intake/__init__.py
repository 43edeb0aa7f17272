"""How savepaths become jobs: by submission, by event, by listing, by watching a folder."""
