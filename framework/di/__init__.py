"""Dependency injection: scoped factories, a graph checked at start-up, straight-line code at run time."""

from framework.di.check import Need
from framework.di.container import Container
from framework.di.exits import Exits
from framework.di.key import Key
from framework.di.live import AppScope, LiveScope
from framework.di.plan import Plan
from framework.di.scope import Scope

__all__ = ["AppScope", "Container", "Exits", "Key", "LiveScope", "Need", "Plan", "Scope"]
