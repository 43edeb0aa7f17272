"""From bytes to samples, from samples to windows with speech in them."""
