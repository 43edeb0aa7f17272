"""What the three services share: settings, errors, contracts, HTTP, ffmpeg. It imports none of them."""
