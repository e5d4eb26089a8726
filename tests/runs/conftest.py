from tests.manifests import make_sweep, single, uri

__all__ = ["make_sweep", "single", "uri"]
