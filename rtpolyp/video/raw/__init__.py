"""A live source's packets, copied into a file as they come."""
