"""What single pieces cost, without sockets. Each module has ``cases()``; ``runner`` times them."""
