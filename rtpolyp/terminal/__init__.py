"""What every command line of the project shares: parsing, errors, console, progress, and an end in time."""
