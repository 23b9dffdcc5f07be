"""Videos: what an mp4 says of itself, its frames by index, and encoding."""
