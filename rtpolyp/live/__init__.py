"""Live video: a picture plane that never waits, and an AI plane that only adds to it."""
