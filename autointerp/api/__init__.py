"""The REST interface: reads jobs and labels, submits jobs; needs no torch."""

from autointerp.api.api_config import ApiConfig, Limits
from autointerp.api.app import create_app
from autointerp.api.dependencies import Services
from autointerp.api.keys import Caller, KeyRing, Scope

__all__ = [
    "ApiConfig",
    "Caller",
    "KeyRing",
    "Limits",
    "Scope",
    "Services",
    "create_app",
]
