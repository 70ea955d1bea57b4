"""The REST interface: reads jobs and labels, submits jobs; needs no torch."""

from autointerp.api.app import create_app
from autointerp.api.config import ApiConfig, Limits
from autointerp.api.deps import JobServicePort, Services
from autointerp.api.keys import Caller, KeyRing, Scope

__all__ = [
    "ApiConfig",
    "Caller",
    "JobServicePort",
    "KeyRing",
    "Limits",
    "Scope",
    "Services",
    "create_app",
]
