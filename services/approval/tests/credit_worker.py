"""The stand-in's worker, for a process of its own: it publishes what a test has put into its outbox."""

from services.approval.tests.credit_platform import publication
from tulou_approval.settings import MIGRATIONS
from tulou_chassis.worker.service import ServiceWorker


class Worker(ServiceWorker):
    """Publishes, and takes nothing in."""

    name = "credit"
    publisher = staticmethod(publication)
    # It has none of its own; its database says that it is of a newer revision than these.
    migrations = MIGRATIONS
