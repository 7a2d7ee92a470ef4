"""Broadcast: what one says goes to all."""
