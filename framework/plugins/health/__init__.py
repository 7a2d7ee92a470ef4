"""Health: is the process alive, and does it take requests."""

from framework.plugins.health.plugin import Health, HealthSettings

__all__ = ["Health", "HealthSettings"]
