"""The force of local correlation on the moving image, as it is and smoothed at one scale and at three."""

import numpy as np
from matplotlib import pyplot

import warpline
from brains import AXIAL, pair, registered, show
from warpline.backends import select
from warpline.recipe import Syn
from warpline.registration.update_smoothing import UpdateSmoothing

backend, options = select("numba"), Syn()
fixed = pair().fixed
moving = warpline.apply(pair().moving, fixed, registered().transform.parts[1])
images = [(one.data / 1000).astype(np.float32) for one in (fixed, moving)]
forces = np.zeros((2, 3, *fixed.grid.shape), np.float32)
backend.local_cc(
    *images,
    options.radius,
    contrast_floor=options.contrast_floor,
    mask=None,
    out_fixed=forces[0],
    out_moving=forces[1],
    value=np.zeros(1, np.float64),
)
shown = {"as it is": forces[1]}
for title, weights in {"one scale": (), "three scales": options.update_weights}.items():
    smoothed = np.zeros_like(forces)
    smoothing = UpdateSmoothing(forces.shape, options.update_sigma, weights, backend)
    smoothing.smooth(forces, out=smoothed, out_norm=np.zeros(2, np.float32))
    shown[title] = smoothed[1]
figure, axes = pyplot.subplots(1, 3, figsize=(9, 3.6))
for axis, (title, field) in zip(axes, shown.items(), strict=True):
    length = np.linalg.norm(field[:, :, :, AXIAL], axis=0)
    show(axis, length, f"length of the force, {title}", cmap="viridis", vmax=np.quantile(length, 0.998))
