"""How Celery works for us: what it takes, how it sends, how workers and their pools behave."""

from datetime import timedelta
from typing import Any

from kombu import Exchange, Queue

from workers.foundation import broker, messages, queues, waiting

#: After how long a task is told to end, and is ended.
SOFT_LIMIT, HARD_LIMIT = timedelta(seconds=messages.SOFT_LIMIT), timedelta(seconds=messages.HARD_LIMIT)

#: What loses least on a crash, as measured: see docs/decisions/0003-delivery.md.
BROKER: dict[str, Any] = {
    "broker_connection_retry_on_startup": True,
    # A server that became a replica, or can't write to its disk, answers with an error: a worker waits for
    # it, too.
    "broker_channel_error_retry": True,
    "broker_transport_options": {
        # Above the longest task, or a running task would be handed to a second worker.
        "visibility_timeout": int(HARD_LIMIT.total_seconds()) + 15,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Below the supervisor's patience: a server that hangs must not make a worker look hung.
        "socket_timeout": waiting.seconds(),
        "socket_connect_timeout": waiting.seconds(),
        "socket_keepalive": True,
    },
    "task_publish_retry_policy": {
        "max_retries": 60,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 1,
    },
    "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in queues.NAMES],
    "task_default_queue": "steady",
    "task_default_exchange": "steady",
    "task_default_routing_key": "steady",
    "task_create_missing_queues": False,
    "task_routes": (queues.ROUTES,),
}
MESSAGES: dict[str, Any] = {
    "accept_content": ["json"],
    "task_serializer": "json",
    "event_serializer": "json",
    "result_backend": None,
    "task_ignore_result": True,
    "timezone": "UTC",
    "enable_utc": True,
}
WORKERS: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_soft_time_limit": SOFT_LIMIT.total_seconds(),
    "task_time_limit": HARD_LIMIT.total_seconds(),
    "worker_consumer": f"{broker.__name__}:GatheringConsumer",
    "worker_prefetch_multiplier": 1,
    "worker_soft_shutdown_timeout": 3,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_send_task_events": True,
    "worker_max_tasks_per_child": 20_000,
    "worker_hijack_root_logger": False,
}
ALL = BROKER | MESSAGES | WORKERS
