"""The Celery application: settings that survived faults, and what is sent through it.

Nothing here needs torch: the API sends through it too.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

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

from .broker import BrokerConnection

WORK, REPLY = "autointerp.work", "autointerp.answer"
_QUEUE_OF_REQUEST = {
    "activations": ACTIVATIONS,
    "strongest": ACTIVATIONS,
    "find": ACTIVATIONS,
    "document": ACTIVATIONS,
    "evidence": ACTIVATIONS,
    "explanation": LABELS,
    "embed": LABELS,
}
# Leases show within seconds whose worker died; this is for messages that nobody answers for.
_VISIBILITY_S = 3600


def build_app(redis_url: str) -> Celery:
    """The application on a Redis, ``redis://``, ``rediss://`` or ``unix://``.

    Results are not stored in it; were they, the same certificates would be verified.
    """
    url = _celery_url(redis_url)
    app = Celery("autointerp", broker=url, set_as_current=False)
    app.amqp.Connection = BrokerConnection
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
    """Puts work items into the queues.

    One whose message still waits there is not lost, however long a busy worker takes: it is not
    sent again.
    """

    def send(items: Sequence[WorkItem]) -> None:
        waiting = {queue: _waiting(app, queue) for queue in {queue_of(item) for item in items}}
        for item in items:
            arguments, queue = [item.owner, str(item.stage), item.number], queue_of(item)
            if (WORK, arguments) not in waiting[queue]:
                _send(app, WORK, arguments, queue)

    return send


def request_sender(app: Celery, mailbox: WorkerMailbox) -> SendRequest:
    """Sends requests to workers, and wakes workers of activations that are idle.

    Busy ones look between two steps; workers of labels always listen. One message that waits wakes
    for all requests.
    """

    def send_request(request_id: str, kind: str, payload: str, wait_s: float) -> None:
        queue = _QUEUE_OF_REQUEST[kind]
        mailbox.send(queue, request_id, json.dumps([kind, payload]), ttl_s=wait_s)
        if queue == ACTIVATIONS and (REPLY, []) not in _waiting(app, queue):
            _send(app, REPLY, [], queue)

    return send_request


def _waiting(app: Celery, queue: str) -> list[tuple[str, list[object]]]:
    """Tasks and arguments of the messages that no worker has taken; none where nobody says."""
    with app.connection_or_acquire() as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0.1, interval_step=0.0)
            texts = connection.default_channel.client.lrange(queue, 0, -1)
        except (OperationalError, *connection.connection_errors, *connection.channel_errors):
            return []  # Sending tries again, and says what is wrong.
    return [_told(json.loads(text)) for text in texts]


def _told(message: Mapping[str, Any]) -> tuple[str, list[object]]:
    """The task of a message as Celery's second protocol writes it, and its arguments."""
    body = base64.b64decode(message["body"])
    return str(message["headers"]["task"]), list(json.loads(body)[0])


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
