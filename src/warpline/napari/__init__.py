"""A reader for napari: registrations, images and displacement fields as its layers.

napari finds it by the manifest beside this file. The reader needs no napari: layers are tuples of plain values.
"""

from warpline.napari.reader import get_reader

__all__ = ["get_reader"]
