"""What every request passes on its way in and out, as plain ASGI."""

from autointerp.api.middleware.json_bodies import JsonBodyMiddleware
from autointerp.api.middleware.request_log import RequestLogMiddleware
from autointerp.api.middleware.security import AuthMiddleware, SecurityHeadersMiddleware

__all__ = [
    "AuthMiddleware",
    "JsonBodyMiddleware",
    "RequestLogMiddleware",
    "SecurityHeadersMiddleware",
]
