"""What is done with a finished dataset: split, compared, verified, shown."""
