from template_fixtures import built, built_among_strangers, out, slices

__all__ = ["built", "built_among_strangers", "out", "slices"]
