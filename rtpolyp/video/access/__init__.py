"""What an input may open in turn: no other scheme, no file that a stranger names, no host but its own."""
