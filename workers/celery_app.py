"""The Celery application: settings that survived faults, and what is sent through it.

Nothing here needs torch: the API sends through it too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from autointerp.core.addresses import verified_address
from autointerp.core.errors import UpstreamError
from autointerp.core.job_state import WorkItem
from autointerp.orchestration.job_service import SendRequest
from autointerp.orchestration.plan import ACTIVATIONS, LABELS, QUEUES, queue_of
from autointerp.orchestration.schedule import Send
from autointerp.store.jobs import WorkerMailbox

WORK, REPLY = "autointerp.work", "autointerp.answer"
_QUEUE_OF_REQUEST = {"activations": ACTIVATIONS, "explanation": LABELS, "embed": LABELS}
# Leases show within seconds whose worker died; this is for messages that nobody answers for.
_VISIBILITY_S = 3600


def build_app(redis_url: str) -> Celery:
    """The application on a Redis, ``redis://``, ``rediss://`` or ``unix://``.

    Results are not stored in it; were they, the same certificates would be verified.
    """
    url = _celery_url(redis_url)
    app = Celery("autointerp", broker=url, set_as_current=False)
    exchange = Exchange("autointerp")
    if url.startswith("rediss://"):
        app.conf.redis_backend_use_ssl = app.connection().ssl
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_queues=[Queue(name, exchange, routing_key=name) for name in QUEUES],
        task_default_queue=LABELS,
        task_create_missing_queues=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": _VISIBILITY_S,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
            "health_check_interval": 10,
            "socket_timeout": 20,
            "socket_connect_timeout": 5,
            "retry_on_timeout": True,
        },
    )
    return app


def sender(app: Celery) -> Send:
    """Puts work items into the queues."""

    def send(items: Sequence[WorkItem]) -> None:
        for item in items:
            _send(app, WORK, [item.owner, str(item.stage), item.number], queue_of(item))

    return send


def request_sender(app: Celery, mailbox: WorkerMailbox) -> SendRequest:
    """Sends requests to workers, and wakes workers of activations that are idle.

    Busy ones look between two steps; workers of labels always listen.
    """

    def send_request(request_id: str, kind: str, payload: str, wait_s: float) -> None:
        queue = _QUEUE_OF_REQUEST[kind]
        mailbox.send(queue, request_id, json.dumps([kind, payload]), ttl_s=wait_s)
        if queue == ACTIVATIONS:
            _send(app, REPLY, [], queue)

    return send_request


def _send(app: Celery, task: str, arguments: list[object], queue: str) -> None:
    try:
        app.send_task(task, args=arguments, queue=queue, ignore_result=True)
    except OperationalError as error:
        msg = "the queues in Redis cannot be reached; what was asked for is sent when they can"
        raise UpstreamError(msg, retryable=True) from error


def _celery_url(redis_url: str) -> str:
    if redis_url.startswith("unix://"):
        return "redis+socket://" + redis_url.removeprefix("unix://")
    return verified_address(redis_url)
