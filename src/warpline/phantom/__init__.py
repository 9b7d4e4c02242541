"""A synthetic brain: two T1-like images with labels and the exact map between them, made without any download."""

from warpline.phantom.anatomy import LABELS
from warpline.phantom.pair import PhantomPair, brain_pair

__all__ = ["LABELS", "PhantomPair", "brain_pair"]
