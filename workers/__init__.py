"""Celery's side of the service: thin tasks, which unwrap their arguments and call a worker.

In a wheel this package is ``autointerp.workers``.
"""

__all__: list[str] = []
