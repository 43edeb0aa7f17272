"""Sound as numbers for models that learn from it: tokenisers, and the audio tokens of the segments of transcripts."""
