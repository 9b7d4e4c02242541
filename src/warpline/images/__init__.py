"""Images: arrays on grids, their intensities scaled for registration, and their foreground."""

from warpline.images.image import Image, embed_affine

__all__ = ["Image", "embed_affine"]
