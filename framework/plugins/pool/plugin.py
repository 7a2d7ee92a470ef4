"""The plugin: a pool for the app's handlers and services, opened and closed with the app."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, Generic, TypeVar

from framework.app.plugin import Setup
from framework.di import Scope
from framework.errors import PoolTimeout, SetupError
from framework.http.request import Request
from framework.plugins.pool.lease import Lease
from framework.plugins.pool.pool import ConnectionPool
from framework.plugins.pool.resource import Resource
from framework.plugins.pool.settings import PoolSettings

__all__ = ["Pool", "RequestPool"]

T = TypeVar("T")


class RequestPool(Generic[T]):
    """The pool as one request sees it.

    What is acquired from it ends with the request's budget of time, and when a connection is not returned the request
    is named. Injected in the scope REQUEST.
    """

    __slots__ = ("_request", "pool")

    def __init__(self, pool: ConnectionPool[T], request: Request) -> None:
        self.pool = pool
        self._request = request

    def acquire(self, timeout: float | None = None) -> Lease[T]:
        """See ``ConnectionPool.acquire``."""
        return Lease(self.pool.keeper, timeout, self._request)

    def try_acquire(self) -> Lease[T] | None:
        """See ``ConnectionPool.try_acquire``."""
        return self.pool.try_acquire(request=self._request)


class Pool(Generic[T]):
    """A pool of connections. Injected as ``ConnectionPool[connection]`` and ``RequestPool[connection]``.

    ::

        app.install(Pool(Database, connection=Connection))

        @app.get("/users/{id}")
        async def user(id: int, pool: RequestPool[Connection]) -> User:
            async with pool.acquire() as connection: ...

    Every worker process has a pool of its own. With the plugin ``metrics`` its numbers are shown under the plugin's
    name, and so is its health check with ``health``.

    Args:
        resource: opens the connections; or a class or function that makes it, whose parameters are injected.
        connection: the connections' type, by which the pool is injected.
        name: the section of the settings, and the prefix of checks and metrics. For a second pool.
        qualifier: injects it as ``Annotated[ConnectionPool[connection], qualifier]``: for a second pool of a type.
        close_timeout: seconds that the end of the app waits for borrowed connections.
    """

    requires: frozenset[str] = frozenset()
    config_type = PoolSettings

    def __init__(
        self,
        resource: Resource[T] | Callable[..., Resource[T]],
        *,
        connection: type[T],
        name: str = "pool",
        qualifier: str | None = None,
        close_timeout: float = 5.0,
    ) -> None:
        self.name = name
        self._resource = resource
        self._keys = [
            kind if qualifier is None else Annotated[(kind, qualifier)]
            for kind in (
                _of(Resource, connection),
                _of(ConnectionPool, connection),
                _of(RequestPool, connection),
            )
        ]
        self._close_timeout = close_timeout

    def setup(self, setup: Setup, config: PoolSettings) -> None:
        """Records what is injected, the health check and the metrics."""
        resource_key, pool_key, request_key = self._keys
        name, close_timeout = self.name, self._close_timeout

        async def open_pool(resource: Resource[T]) -> AsyncGenerator[ConnectionPool[T]]:
            pool = ConnectionPool(resource, config, name=name)
            try:
                await pool.open()
            except PoolTimeout as error:
                raise SetupError(
                    f"{name}: {error}; set {name}.required to false to start without it"
                ) from error
            try:
                yield pool
            finally:
                await pool.close(close_timeout)

        def of_request(pool: ConnectionPool[T], request: Request) -> RequestPool[T]:
            return RequestPool(pool, request)

        async def reach(pool: ConnectionPool[T]) -> None:
            await pool.probe()

        # The keys are known only now; annotations are how the container is told of them.
        open_pool.__annotations__["resource"] = resource_key
        of_request.__annotations__["pool"] = reach.__annotations__["pool"] = pool_key
        setup.provide(_factory(self._resource), scope=Scope.APP, provides=resource_key)
        setup.provide(open_pool, scope=Scope.APP, provides=pool_key)
        setup.provide(of_request, scope=Scope.REQUEST, provides=request_key)
        setup.check("reach", reach)
        setup.lifespan(_Metrics(name, pool_key))


class _Metrics:
    """Shows the pool's numbers for as long as the app runs, where there is a registry to show them in."""

    def __init__(self, name: str, key: Any) -> None:
        self._name = name
        self._key = key

    async def __call__(self, app: Any) -> AsyncGenerator[None]:
        if "prometheus_client" not in sys.modules:  # then no plugin has one
            yield
            return
        from prometheus_client import CollectorRegistry

        from framework.plugins.pool.collector import PoolCollector

        container = app.container
        if not container.provides(CollectorRegistry):
            yield
            return
        pool: ConnectionPool[Any] = await container.opened.get(self._key)
        registry: CollectorRegistry = await container.opened.get(CollectorRegistry)
        collector = PoolCollector(pool.stats, self._name)
        modes: dict[str, str] = getattr(registry, "modes", {})
        modes.update(dict.fromkeys(collector.gauges, "sum"))
        registry.register(collector)
        try:
            yield
        finally:
            registry.unregister(collector)


def _factory(resource: Any) -> Callable[..., Any]:
    """What makes the resource: itself if it is no resource yet."""
    is_made = hasattr(resource, "terminate") and not isinstance(resource, type)
    return (lambda: resource) if is_made else resource


def _of(generic: Any, connection: Any) -> Any:
    return generic[connection]
