from template_fixtures import built, out, slices

__all__ = ["built", "out", "slices"]
