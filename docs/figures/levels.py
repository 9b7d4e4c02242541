"""Distance to the true map after the affine and after each level of the deformable stage."""

import numpy as np
from matplotlib import pyplot

import warpline
from brains import pair
from warpline.space.grid import apply_affine

SCHEDULES = {"affine": None, "and 8 mm": (100, 0, 0), "and 4 mm": (100, 60, 0), "and 2 mm": (100, 60, 20)}

brains = pair()
points = apply_affine(brains.fixed.affine, np.argwhere(brains.fixed_labels.data != 0)[::7])
truth = brains.transform.map_points(points)
mean, most = [], []
for iterations in SCHEDULES.values():
    recipe = warpline.Recipe.load("affine" if iterations is None else "syn")
    if iterations is not None:
        recipe = recipe.with_options(f"syn.iterations={list(iterations)}")
    found = warpline.register(brains.fixed, brains.moving, recipe=recipe).transform
    distances = np.linalg.norm(found.map_points(points) - truth, axis=1)
    mean.append(distances.mean())
    most.append(np.quantile(distances, 0.99))
figure, axis = pyplot.subplots(figsize=(5, 2.6))
axis.plot(list(SCHEDULES), mean, marker="o", label="mean")
axis.plot(list(SCHEDULES), most, marker="o", label="99 % of points below")
axis.set_ylabel("distance to the true map, mm")
axis.set_ylim(bottom=0)
axis.legend(frameon=False)
