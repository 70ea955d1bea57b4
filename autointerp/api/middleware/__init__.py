"""What every request passes on its way in and out, as plain ASGI."""

from autointerp.api.middleware.body import JsonBodies
from autointerp.api.middleware.gate import Gate
from autointerp.api.middleware.headers import SafeHeaders
from autointerp.api.middleware.log import RequestLog

__all__ = ["Gate", "JsonBodies", "RequestLog", "SafeHeaders"]
