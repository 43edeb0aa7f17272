"""Pictures of a recording at given moments, decoded in a sandbox, and the sound around them."""
