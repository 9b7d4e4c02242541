"""The picture of labels."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Picture

from warpline.images import Image
from warpline.report.label_picture import write_labels


def drawn(labels, confidence=None):
    x, y = np.indices((24, 24)) - 11.5
    image = Image.from_array(np.exp(-(x**2 + y**2) / 60).astype(np.float32))
    picture = io.BytesIO()
    write_labels(image, Image.from_array(labels), confidence, picture)
    return np.asarray(Picture.open(picture).convert("RGB")).astype(int)


def colourful(picture):
    return int((np.ptp(picture, axis=2) > 40).sum())


def test_labels_are_coloured_and_background_is_not():
    nothing = np.zeros((24, 24), np.uint16)
    labels = nothing.copy()
    labels[6:18, 6:12], labels[6:18, 12:18] = 1001, 2001
    assert colourful(drawn(labels)) > 10 * colourful(drawn(nothing)) + 1000


def test_confidence_has_a_panel_of_its_own():
    labels = np.zeros((24, 24), np.uint16)
    sure = Image.from_array(np.full((24, 24), 0.6, np.float32))
    assert colourful(drawn(labels, sure)) > colourful(drawn(labels)) + 1000
