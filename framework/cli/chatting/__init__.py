"""What ``framework chat`` is made of: a client of the protocol, its face in a terminal, and many of it at once."""
