"""Binding: a handler's signature, compiled into a function of the request."""

from framework.app.binding.binder import Bound, bind
from framework.app.binding.markers import Body, Cookie, Form, Header, Inject, Path, Query

__all__ = ["Body", "Bound", "Cookie", "Form", "Header", "Inject", "Path", "Query", "bind"]
