"""A worker's sign of life, for the supervisor."""

from typing import Any

from celery import bootsteps

from workers.foundation import heartbeat


def _touch(consumer: Any) -> None:
    if consumer.is_consuming():
        heartbeat.touch()


class SignOfLife(bootsteps.StartStopStep):
    """Touches the supervisor's file from the worker's own loop, while it consumes.

    A hung loop shows as well as a stopped process, and a loop that goes round and takes nothing.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    _kept = False

    def start(self, consumer: Any) -> None:
        """Touch it each second of the loop.

        While it reconnects to the broker it has none, and is not hung.
        """
        heartbeat.touch()
        consumer.timer.call_repeatedly(heartbeat.EVERY, _touch, (consumer,))
        if not type(self)._kept:
            type(self)._kept = True
            heartbeat.keep(lambda: consumer.connection is None)
