"""One file per server. Each reads ``work.settings()`` and serves until it is told to stop."""
