"""A network for a server of several rooms: Triton's model repository from a bundle or a plan."""
