"""Whole servers under wrk: every server does the same work, see ``work``."""
