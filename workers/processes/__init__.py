"""What runs beside Celery: servers of our own, and the supervisor."""
