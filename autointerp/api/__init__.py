"""The REST interface: reads jobs and labels, submits jobs; needs no torch."""

from autointerp.api.api_config import ApiConfig, ApiLimits, Caller, KeyRing, Scope
from autointerp.api.app import create_app
from autointerp.api.app_state import Services

__all__ = [
    "ApiConfig",
    "ApiLimits",
    "Caller",
    "KeyRing",
    "Scope",
    "Services",
    "create_app",
]
