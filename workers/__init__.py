"""Celery's side of the service: thin tasks, which unwrap their arguments and call a worker.

In a wheel this package is ``autointerp.workers``.
"""

import os

__all__: list[str] = []

# As for the command line: small matrix products take less CPU in one thread. Before numpy is there.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
