"""The Python client of a server: submit, watch, read, download. It needs no torch."""

from autointerp.client.client import Client
from autointerp.client.job_events import Event, JobStatus

__all__ = ["Client", "Event", "JobStatus"]
