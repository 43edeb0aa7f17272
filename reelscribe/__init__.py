"""What every machine is made of: settings, errors, wire format, HTTP base, ffmpeg. Imports no machine."""
