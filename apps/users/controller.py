"""Users over HTTP: which request is which call of the service, which error is which answer. No rule, no SQL.

Every user carries its version as ETag. A change (PUT, PATCH, DELETE) must say in If-Match which version it
was made for, or ``*`` for whichever is there: without it 428, with another version 412, so no client undoes
another's change without knowing it. A GET with If-None-Match of the current version is answered by 304.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from apps.users.errors import BadCursor, EmailTaken, UserNotFound, VersionConflict
from apps.users.models import Page, User, UserCreate, UserReplace, UserUpdate
from apps.users.service import UserService
from framework import Answer, Header, HTTPError, Request, Response
from framework.app.plugin import Setup
from framework.app.routes import Routes
from framework.codec import encode_json
from framework.errors import FieldError
from framework.http.etags import ANY, matches_weak, parse_etags, quote_etag
from framework.http.problem import PROBLEM_JSON, problem

__all__ = [
    "add_errors",
    "add_routes",
    "create_user",
    "delete_user",
    "get_user",
    "list_users",
    "replace_user",
    "update_user",
]

# What parse_etags takes, for those who read the document; what is malformed it answers by 400 itself.
_TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
_TAGS = {"pattern": rf"^(?:\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*)$"}

IfMatch = Annotated[
    str | None,
    Header("if-match"),
    Meta(description="the version the change is for, or *", examples=["*"], extra_json_schema=_TAGS),
]
IfNoneMatch = Annotated[
    str | None,
    Header("if-none-match"),
    Meta(description="the version at hand", examples=['"1"'], extra_json_schema=_TAGS),
]
After = Annotated[
    str, Meta(description="the next of the page before", extra_json_schema={"pattern": "^[A-Za-z0-9_-]{16}$"})
]

_ETAG = {"etag": "the version of the user"}
_UNKNOWN = "There is no such user"
_CONDITION = {
    400: "The body or If-Match is malformed",
    404: _UNKNOWN,
    412: "The user has another version",
    428: "If-Match is missing",
}
_CHANGED: dict[int, Answer | str] = {
    **_CONDITION,
    200: Answer("The user as it is now", headers=_ETAG),
    409: "The address is taken",
}


def add_routes(users: Routes) -> None:
    """Registers the handlers on a group, whose prefix is the collection's path."""
    users.get(
        "",
        name="list_users",
        returns=Page[User],
        responses={200: Answer("A page", headers={"link": "the next page, if there is one"})},
    )(list_users)
    users.post(
        "",
        name="create_user",
        status=201,
        returns=User,
        responses={
            201: Answer("The new user", headers={**_ETAG, "location": "its place"}),
            409: "The address is taken",
        },
    )(create_user)
    users.get(
        "/{user_id:int}",
        name="get_user",
        returns=User,
        responses={
            200: Answer("The user", headers=_ETAG),
            304: Answer("The client has this version", headers=_ETAG),
            400: "If-None-Match is malformed",
            404: _UNKNOWN,
        },
    )(get_user)
    users.put("/{user_id:int}", name="replace_user", returns=User, responses=_CHANGED)(replace_user)
    users.patch("/{user_id:int}", name="update_user", returns=User, responses=_CHANGED)(update_user)
    users.delete(
        "/{user_id:int}", name="delete_user", responses={**_CONDITION, 400: "If-Match is malformed"}
    )(delete_user)


async def list_users(
    request: Request,
    users: UserService,
    after: After | None = None,
    limit: Annotated[int, Meta(ge=1, description="users on the page")] | None = None,
) -> Response:
    """A page of users, oldest first. ``next`` and the Link field (RFC 8288) lead to the page behind it."""
    page = await users.list(after, limit)
    response = Response(encode_json(page), media_type="application/json")
    if page.next is not None:
        size = "" if limit is None else f"&limit={limit}"
        response.headers.set("link", f'<{request.path}?after={page.next}{size}>; rel="next"')
    return response


async def create_user(request: Request, users: UserService, new: UserCreate) -> Response:
    """Makes a user: 201, with its place in Location."""
    user = await users.create(new)
    response = _represent(user, 201)
    response.headers.set("location", f"{request.path}/{user.id}")
    return response


async def get_user(user_id: int, users: UserService, if_none_match: IfNoneMatch = None) -> Response:
    """A user, or 304 if the client has this version."""
    user = await users.get(user_id)
    if if_none_match is not None and matches_weak(if_none_match, _etag(user)):
        return Response(status=304, headers={"etag": _etag(user)})
    return _represent(user)


async def replace_user(
    user_id: int, users: UserService, new: UserReplace, if_match: IfMatch = None
) -> Response:
    """Sets e-mail and name; the password, which is no part of what GET shows, stays."""
    return _represent(await users.replace(user_id, new, _expected(if_match)))


async def update_user(
    user_id: int, users: UserService, change: UserUpdate, if_match: IfMatch = None
) -> Response:
    """Changes the members that the body has."""
    return _represent(await users.update(user_id, change, _expected(if_match)))


async def delete_user(user_id: int, users: UserService, if_match: IfMatch = None) -> None:
    """Removes a user: 204."""
    await users.delete(user_id, _expected(if_match))


def add_errors(setup: Setup) -> None:
    """Registers the answers to the domain's errors. All others are the framework's to answer."""
    setup.on_error(UserNotFound, _not_found)
    setup.on_error(EmailTaken, _email_taken)
    setup.on_error(VersionConflict, _version_conflict)
    setup.on_error(BadCursor, _bad_cursor)


def _represent(user: User, status: int = 200) -> Response:
    return Response(encode_json(user), status, headers={"etag": _etag(user)}, media_type="application/json")


def _etag(user: User) -> str:
    # The version is enough: the URL holds the id, which no other user ever had.
    return quote_etag(str(user.version))


def _expected(if_match: str | None) -> frozenset[int] | None:
    """The versions that an If-Match field names; None for any.

    Raises:
        HTTPError: 428 without the field, 400 if it is malformed.
    """
    if if_match is None:
        raise HTTPError(428, "send If-Match with the ETag of the version you change, or * for any")
    tags = parse_etags(if_match)
    if tags == [ANY]:
        return None
    # A weak tag or one that is not ours names no version, and so matches none (RFC 9110, section 13.1.1).
    digits = (tag[1:-1] for tag in tags if tag[0] == '"')
    numbers = (text for text in digits if text.isascii() and text.isdigit())
    return frozenset(int(text) for text in numbers if len(text) < 20 and text[0] != "0")


def _not_found(request: Request, error: UserNotFound) -> Response:
    return _problem(404, str(error))


def _email_taken(request: Request, error: EmailTaken) -> Response:
    fault = FieldError("body", "/email", "another user has this address")
    return _problem(409, str(error), fault)


def _version_conflict(request: Request, error: VersionConflict) -> Response:
    return _problem(412, f"{error}; read it again and decide")


def _bad_cursor(request: Request, error: BadCursor) -> Response:
    return _problem(422, str(error), FieldError("query", "/after", "not a cursor of this list"))


def _problem(status: int, detail: str, *faults: FieldError) -> Response:
    extensions: dict[str, Any] = {"errors": [fault.as_dict() for fault in faults]} if faults else {}
    return Response(problem(status, detail=detail, **extensions), status, media_type=PROBLEM_JSON)
