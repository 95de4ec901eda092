"""A cache as a port: Redis, shared by all replicas, or the memory of this process; one conformance suite for both."""

from service_chassis.cache.cache import Cache
from service_chassis.cache.connect import connect
from service_chassis.cache.memory import MemoryCache

__all__ = ["Cache", "MemoryCache", "connect"]
