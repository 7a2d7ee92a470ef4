"""ASGI 3, both ways: applications of others on this server, and apps of ours as applications."""
