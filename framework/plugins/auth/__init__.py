"""Who asks, and what they may: middlewares for any route, group or app. Needs the extra ``auth``.

``JWTAuth``, ``APIKeys``, ``BasicAuth`` and ``ForwardAuth`` put a ``Principal`` into the request; ``require_roles``,
``require_scopes`` and ``Require`` ask it; ``IPRules`` looks at the client's address. All belong to phase POLICY but the
last, and after a refusal nothing more runs."""

from framework.plugins.auth.api_keys import APIKey, APIKeys, hash_of_key, new_key
from framework.plugins.auth.basic import BasicAuth, BasicUser, hash_of_password
from framework.plugins.auth.forward import FORWARDED_FIELDS, Answer, ForwardAuth
from framework.plugins.auth.jwks import JWKS, StaticKeys
from framework.plugins.auth.jwt import BadToken, JWTAuth, JWTVerifier
from framework.plugins.auth.principal import PRINCIPAL, Principal, Unauthorized, principal_of
from framework.plugins.auth.rules import IPRules, Require, require_roles, require_scopes

__all__ = [
    "FORWARDED_FIELDS",
    "JWKS",
    "PRINCIPAL",
    "APIKey",
    "APIKeys",
    "Answer",
    "BadToken",
    "BasicAuth",
    "BasicUser",
    "ForwardAuth",
    "IPRules",
    "JWTAuth",
    "JWTVerifier",
    "Principal",
    "Require",
    "StaticKeys",
    "Unauthorized",
    "hash_of_key",
    "hash_of_password",
    "new_key",
    "principal_of",
    "require_roles",
    "require_scopes",
]
