"""Running the parts of the service on one machine."""

from autointerp.serving.valkey import Valkey

__all__ = ["Valkey"]
