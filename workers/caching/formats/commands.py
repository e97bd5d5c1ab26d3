"""What other services may ask of the cache."""

from workers.commands.rules.contract import WeddingCommand, register


@register
class WarmUp(WeddingCommand):
    """caching.warm_up: have a wedding's data in the cache before its people come."""

    task = "caching.warm_up"
