"""An API gateway: declarative routes to clusters, handlers and redirects, with policies around them."""

from framework.plugins.gateway.config import ClusterConfig, GatewayConfig, Match, PoliciesConfig, RouteConfig
from framework.plugins.gateway.gateway import Gateway
from framework.plugins.gateway.plugin import GatewayPlugin

__all__ = [
    "ClusterConfig",
    "Gateway",
    "GatewayConfig",
    "GatewayPlugin",
    "Match",
    "PoliciesConfig",
    "RouteConfig",
]
