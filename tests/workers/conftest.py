from tests.workers.fixtures import address, endless, orders, pipe  # noqa: F401 - fixtures
