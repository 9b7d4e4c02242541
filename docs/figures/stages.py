"""Seconds of each stage, from the files of results."""

import json
from pathlib import Path

from matplotlib import pyplot

results = Path("../../bench/results")  # figures are drawn in the folder of their scripts
gpu = json.loads((results / "gpu-h100-three-scales.json").read_text(encoding="utf-8"))["after"]["headline"]["stages"]
rows = json.loads((results / "scaling.json").read_text(encoding="utf-8"))["rows"]
cpu = next(row for row in rows if row["voxel_size"] == 1.0 and not row["settings"])["seconds"]
figure, axes = pyplot.subplots(1, 2, figsize=(9, 2.6), sharey=True)
for axis, (place, seconds) in zip(axes, {"H100": gpu, "two cores of a CPU": cpu}.items(), strict=True):
    axis.barh(list(gpu), [seconds[stage] for stage in gpu], color="tab:blue")
    axis.set_title(f"{place}: {sum(seconds[stage] for stage in gpu):.2f} s", fontsize=9)
    axis.set_xlabel("seconds")
axes[0].invert_yaxis()
figure.tight_layout()
