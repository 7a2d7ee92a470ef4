"""Where each parameter of a handler comes from, and what is said of one that comes from nowhere."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType
from uuid import UUID

import pytest
from msgspec import Meta, Struct

from framework import Body, Cookie, Form, Header, Inject, Path, Query, Request
from framework.app.binding.markers import Marker
from framework.app.binding.parameters import REQUIRED, Parameter, Signature, read_signature
from framework.errors import BindingError

if TYPE_CHECKING:
    from collections.abc import Hashable


class Item(Struct):
    name: str


class Cat(Struct, tag=True):
    lives: int


class Dog(Struct, tag=True):
    age: int


class Login(Struct):
    user: str
    roles: list[str] = []


class Service: ...


class Unknown: ...


class Slug(str):
    __slots__ = ()


class Color(enum.Enum):
    RED = "red"


UserId = NewType("UserId", int)
Agent = Annotated[str, Header("user-agent")]


def read(
    handler: Callable[..., Any],
    path_types: Mapping[str, Any] | None = None,
    *,
    provided: Sequence[Any] = (Service, Annotated[Service, "main"]),
    namespace: Mapping[str, Any] | None = None,
    bodiless: bool = False,
) -> Signature:
    return read_signature(
        handler,
        where="GET /x",
        path_types=path_types or {},
        provides=lambda key: key in provided,
        namespace=namespace,
        bodiless=bodiless,
    )


def only(
    handler: Callable[..., Any], path_types: Mapping[str, Any] | None = None, **options: Any
) -> Parameter:
    (parameter,) = read(handler, path_types, **options).parameters
    return parameter


def problems(
    handler: Callable[..., Any], path_types: Mapping[str, Any] | None = None, **options: Any
) -> list[str]:
    with pytest.raises(BindingError) as caught:
        read(handler, path_types, **options)
    name = getattr(handler, "__qualname__", "")
    return [problem.replace(f"GET /x: {name}: ", "") for problem in caught.value.problems]


def test_a_name_of_the_pattern_is_a_path_parameter() -> None:
    def handler(id: int, slug: Slug, when: datetime.date, kind: Literal["a", "b"], rest: Any) -> None: ...

    types = {"id": int, "slug": Slug, "when": str, "kind": str, "rest": UUID}
    assert [(one.source, one.key, one.type) for one in read(handler, types).parameters] == [
        ("path", "id", int),
        ("path", "slug", Slug),
        ("path", "when", datetime.date),
        ("path", "kind", Literal["a", "b"]),
        ("path", "rest", Any),
    ]


def test_a_path_parameter_without_annotation_takes_what_the_converter_makes() -> None:
    assert only(eval("lambda id: None"), {"id": int}) == Parameter("id", "path", "id", Any)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [(int, str), (int, UUID), (UUID, int), (float, UUID), (float, str), (UUID, str)],
)
def test_a_path_type_that_the_converter_never_makes_is_refused(made: Any, wanted: Any) -> None:
    def handler(id: str) -> None: ...

    handler.__annotations__["id"] = wanted
    (problem,) = problems(handler, {"id": made})
    assert problem.startswith(f"parameter 'id': the pattern makes it a {made.__name__}: ")


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (int, float),
        (int, UserId),
        (int, Annotated[int, Meta(ge=5)]),
        (int, int | None),
        (str, UUID),
        (float, int),
    ],
)
def test_a_path_type_that_the_converter_can_make_is_taken(made: Any, wanted: Any) -> None:
    def handler(id: str) -> None: ...

    handler.__annotations__["id"] = wanted
    assert only(handler, {"id": made}).type == wanted


def test_a_path_parameter_cannot_be_a_document_or_several_texts() -> None:
    def handler(item: Item, many: list[int]) -> None: ...

    assert problems(handler, {"item": str, "many": str}) == [
        "parameter 'item': the text of a path cannot be read as Item",
        "parameter 'many': a path, which has one value, cannot be read as list[int]",
    ]


@pytest.mark.parametrize("hint", [Item, Item | None, list[Item], Cat | Dog, Cat | Dog | None, Cat | int])
def test_structs_are_the_body(hint: Any) -> None:
    def handler(thing: Item) -> None: ...

    handler.__annotations__["thing"] = hint
    parameter = only(handler)
    assert (parameter.source, parameter.type) == ("body", hint)


@pytest.mark.parametrize(
    "hint",
    [
        str,
        int,
        float,
        bool,
        Color,
        UUID,
        Literal[1, 2],
        datetime.datetime,
        datetime.date,
        datetime.timedelta,
        decimal.Decimal,
        UserId,
        int | str,
        Annotated[int, Meta(ge=1)],
    ],
)
def test_simple_types_are_the_query(hint: Any) -> None:
    def handler(q: str) -> None: ...

    handler.__annotations__["q"] = hint
    parameter = only(handler)
    assert (parameter.source, parameter.key, parameter.type, parameter.many) == ("query", "q", hint, False)


@pytest.mark.parametrize(
    "hint", [list[int], set[Color], tuple[int, ...], list[str] | None, Sequence[int], list]
)
def test_lists_of_simple_types_take_every_value(hint: Any) -> None:
    def handler(q: str) -> None: ...

    handler.__annotations__["q"] = hint
    parameter = only(handler)
    assert (parameter.source, parameter.many) == ("query", True)


def test_types_the_container_provides_are_injected() -> None:
    def handler(
        a: Service, b: Annotated[Service, "main"], c: Service | None, d: Annotated[Unknown, Inject]
    ) -> None: ...

    signature = read(handler)
    assert [one.source for one in signature.parameters] == ["inject"] * 4
    assert signature.wanted == (Service, Annotated[Service, "main"], Service | None, Unknown)


def test_a_struct_that_is_provided_is_no_body() -> None:
    def handler(settings: Item) -> None: ...

    assert only(handler, provided=[Item]).source == "inject"


def test_a_marked_injection_with_a_default_does_without_a_provider() -> None:
    def handler(mailer: Annotated[Unknown | None, Inject] = None) -> None: ...

    assert only(handler) == Parameter("mailer", "default", "mailer", Unknown | None, None)
    assert only(handler, provided=[Unknown]).source == "inject"


def test_the_request_itself() -> None:
    def handler(request: Request, other: Request | None) -> None: ...

    assert [one.source for one in read(handler).parameters] == ["request", "request"]


def test_markers_as_classes_and_as_instances() -> None:
    def handler(
        a: Annotated[str, Header],
        b_c: Annotated[str, Header()],
        d: Annotated[str, Header("X-D")],
        e: Annotated[int, Cookie],
        f: Annotated[list[int], Query("many")],
        g: Annotated[int, Path("id")],
        h: Annotated[dict[str, Any], Body],
    ) -> None: ...

    found = read(handler, {"id": int}).parameters
    assert [(one.source, one.key) for one in found] == [
        ("header", "a"),
        ("header", "b-c"),
        ("header", "x-d"),
        ("cookie", "e"),
        ("query", "many"),
        ("path", "id"),
        ("body", "h"),
    ]


def test_a_marker_leaves_constraints_and_qualifiers_on_the_type() -> None:
    def handler(
        a: Annotated[int, Meta(ge=1), Query("n"), Meta(le=9)], b: Annotated[Service, "main", Inject]
    ) -> None: ...

    a, b = read(handler).parameters
    assert a.type == Annotated[int, Meta(ge=1), Meta(le=9)]
    assert b.type == Annotated[Service, "main"]


def test_a_marker_inside_optional_counts() -> None:
    def handler(agent: Agent | None, other: Annotated[int, Cookie("n")] | None = 3) -> None: ...

    agent, other = read(handler).parameters
    assert (agent.source, agent.key, agent.type, agent.default) == ("header", "user-agent", str, None)
    assert (other.source, other.key, other.default) == ("cookie", "n", 3)


def test_a_marker_of_ones_own_is_of_the_source_it_inherits() -> None:
    class Token(Header): ...

    def handler(a: Annotated[str, Token("x-token")]) -> None: ...

    assert only(handler, namespace={"Token": Token}).source == "header"


def test_optional_without_a_default_is_none_when_it_is_not_there() -> None:
    def handler(
        q: int | None, h: Annotated[str | None, Header], c: Annotated[str | None, Cookie], b: Item | None
    ) -> None: ...

    assert [one.default for one in read(handler).parameters] == [None, None, None, None]


def test_a_text_is_never_none_even_if_it_says_null() -> None:
    def handler(
        a: int | None, b: int | str | None, c: Annotated[int | None, Meta(title="C"), Cookie]
    ) -> None: ...

    assert [one.type for one in read(handler).parameters] == [int, int | str, Annotated[int, Meta(title="C")]]


def test_the_kinds_of_parameters_python_has() -> None:
    def handler(a: int, /, b: int, *, c: int = 3) -> None: ...

    assert [(one.name, one.keyword, one.default) for one in read(handler).parameters] == [
        ("a", False, REQUIRED),
        ("b", False, REQUIRED),
        ("c", True, 3),
    ]


def test_annotations_may_name_what_is_local() -> None:
    class Local(Struct):
        x: int

    def handler(body: Local, *, many: list["Local"] | None = None) -> Local:  # noqa: UP037
        return body

    with pytest.raises(BindingError, match="Local"):
        read(handler)
    with pytest.raises(BindingError, match="body and many both want the body"):
        read(handler, namespace={"Local": Local})
    signature = read(functools.partial(handler, many=None), namespace={"Local": Local})
    assert signature.returns is Local
    assert signature.body is not None
    assert signature.body.type is Local


def test_a_form_knows_which_of_its_members_are_lists() -> None:
    def handler(form: Annotated[Login, Form]) -> None: ...

    assert only(handler).lists == {"roles"}


def test_every_problem_is_told_at_once_with_route_handler_and_parameter() -> None:
    def handler(
        a: Unknown,
        b: Annotated[str, Header, Query],
        c: Annotated[str, Path],
        d: Annotated[list[int], Cookie],
        e: Annotated[Item, Query],
        f: Annotated[str, Form],
        g: Annotated[str, Marker],
        h: Annotated[Item, Body("x")],
        i: Annotated[Service, Inject("main")],
        j: str = Query("j"),  # type: ignore[assignment]
        k: str = Header,  # type: ignore[assignment]
        l: dict[str, int] = {},  # noqa: B006, E741
        m: Any = None,
        n: Nowhere = 1,  # type: ignore[name-defined]  # noqa: F821
        o: 5 = 1,  # type: ignore[valid-type]
        *args: int,
        **rest: str,
    ) -> Hashable: ...

    handler.__annotations__["o"] = 5
    assert problems(handler) == [
        "parameter 'a': nothing provides Unknown, and no text can be read as one",
        "parameter 'b': Annotated[str, <class 'framework.app.binding.markers.Header'>, "
        "<class 'framework.app.binding.markers.Query'>] names more than one source",
        "parameter 'c': the pattern has no 'c'",
        "parameter 'd': a cookie, which has one value, cannot be read as list[int]",
        "parameter 'e': the text of a query cannot be read as Item",
        "parameter 'f': a form has named fields, and str has none",
        "parameter 'g': Marker says no source",
        "parameter 'h': Body takes no name, and has 'x'",
        "parameter 'i': Inject takes no name, and has 'main'",
        "parameter 'j': Query belongs in the annotation: Annotated[..., Query]",
        "parameter 'k': Header belongs in the annotation: Annotated[..., Header]",
        "parameter 'l': nothing provides dict[str, int], and no text can be read as one; "
        "Annotated[..., Body] or Form reads the body as it",
        "parameter 'm': nothing provides Any, and no text can be read as one; "
        "Annotated[..., Body] or Form reads the body as it",
        "parameter 'n': Nowhere cannot be evaluated: name 'Nowhere' is not defined; "
        "import it at run time, not only under TYPE_CHECKING",
        "parameter 'o': Type '5' is not supported",
        "no request can fill *args; a decorator keeps the signature of what it wraps with functools.wraps",
        "no request can fill **rest; a decorator keeps the signature of what it wraps with functools.wraps",
        "its return annotation: Hashable cannot be evaluated: name 'Hashable' is not defined; "
        "import it at run time, not only under TYPE_CHECKING",
    ]


def test_two_bodies() -> None:
    def handler(a: Item, b: Annotated[Login, Form]) -> None: ...

    assert problems(handler) == ["a and b both want the body of the request"]


def test_a_parameter_without_annotation_that_no_pattern_names() -> None:
    assert problems(eval("lambda x: None")) == [
        "parameter 'x': it has no annotation, and the pattern does not name it"
    ]


def test_what_no_document_can_hold_is_refused_at_build() -> None:
    class Holder(Struct):
        owner: Unknown

    def handler(a: Holder) -> None: ...

    assert problems(handler, namespace={"Holder": Holder}) == [
        "parameter 'a': test_what_no_document_can_hold_is_refused_at_build.<locals>.Holder.owner is of type Unknown, "
        "which no document can hold"
    ]


def test_untagged_unions_of_structs_are_refused_at_build() -> None:
    def handler(a: Item | Login) -> None: ...

    (problem,) = problems(handler)
    assert problem.startswith("parameter 'a': If a type union contains multiple Struct types")


def test_a_get_has_no_body_unless_it_says_so() -> None:
    def handler(filter: Item) -> None: ...

    def marked(filter: Annotated[Item, Body]) -> None: ...

    (problem,) = problems(handler, bodiless=True)
    assert problem.startswith(
        "parameter 'filter': Item would be the body, and this route's requests have none"
    )
    assert only(marked, bodiless=True).source == "body"


def test_what_is_no_handler_is_told_with_its_route() -> None:
    assert problems(Unknown) == [
        "GET /x: Unknown is a class; a handler is a function or an object with __call__"
    ]


def test_an_annotation_that_raises_is_told() -> None:
    def handler(a: 1 / 0) -> None: ...  # type: ignore[valid-type]

    assert problems(handler) == ["parameter 'a': '1 / 0' is no type: division by zero"]
