from tests.workers.fixtures import address, endless, pipe, tasks  # noqa: F401 - fixtures
