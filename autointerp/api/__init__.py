"""The REST interface: reads stores and the board, sends work through the desk; needs no torch."""

from autointerp.api.app import create_app
from autointerp.api.config import ApiConfig, Limits
from autointerp.api.deps import DeskPort, Services
from autointerp.api.keys import Caller, KeyRing, Scope

__all__ = [
    "ApiConfig",
    "Caller",
    "DeskPort",
    "KeyRing",
    "Limits",
    "Scope",
    "Services",
    "create_app",
]
