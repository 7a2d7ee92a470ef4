"""Binding: a handler's signature, compiled into a function of the request."""

from framework.app.binding.binder import Bound, bind
from framework.app.binding.markers import Body, Cookie, File, Form, Header, Inject, Path, Query
from framework.app.binding.parameters import Signature, read_signature

__all__ = [
    "Body",
    "Bound",
    "Cookie",
    "File",
    "Form",
    "Header",
    "Inject",
    "Path",
    "Query",
    "Signature",
    "bind",
    "read_signature",
]
