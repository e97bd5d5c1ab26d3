"""The watch over the task system: jobs, queues, workers, broker, database."""
