"""
A cohort in ten minutes
=======================

Five subjects onto one template, unattended: one command registers them, says who failed and who looks wrong, and goes
on where it stopped. A sixth image is damaged on purpose.
"""

# %%
# Images on disk
# --------------
# Each subject has an image and labels, as a BIDS folder or any other would hold them.

import csv
import shlex
import tempfile
from contextlib import chdir
from pathlib import Path

import matplotlib.pyplot as plt

import warpline
from warpline import cohort
from warpline.cli.main import main
from warpline.phantom import brain_pair

folder = Path(tempfile.mkdtemp())
SHAPE, SIZE = (48, 56, 48), 4.0

(folder / "data").mkdir()
template = brain_pair(SHAPE, seed=0, voxel_size=SIZE)
warpline.write_image(template.fixed, folder / "template.nii.gz")
warpline.write_image(template.fixed_labels, folder / "template_dseg.nii.gz")
for number in range(1, 6):
    subject = brain_pair(SHAPE, seed=number, voxel_size=SIZE)
    warpline.write_image(subject.moving, folder / f"data/sub-{number:02}_T1w.nii.gz")
    warpline.write_image(subject.moving_labels, folder / f"data/sub-{number:02}_dseg.nii.gz")
(folder / "data/sub-06_T1w.nii.gz").write_bytes((folder / "data/sub-01_T1w.nii.gz").read_bytes()[:2000])
(folder / "data/sub-06_dseg.nii.gz").write_bytes((folder / "data/sub-01_dseg.nii.gz").read_bytes())


def run(command: str) -> int:
    """Run a command as a terminal would, and show it."""
    print("$", command)
    with chdir(folder):
        return main(shlex.split(command)[1:])


# %%
# The manifest
# ------------
# A table with a row for each pair. ``init`` writes it from the names of files, ``check`` says what a run would do.

run(
    'warpline cohort init "data/{id}_T1w.nii.gz" --fixed template.nii.gz '
    '--labels "data/{id}_dseg.nii.gz" --fixed-labels template_dseg.nii.gz -o cohort.tsv'
)
print((folder / "cohort.tsv").read_text(encoding="utf-8"))

# %%
run("warpline cohort check cohort.tsv out --recipe syn-fast")

# %%
# The run
# -------
# Its exit code is 3 where a pair failed, 0 otherwise. A bad pair costs itself and nothing else.

code = run("warpline cohort run cohort.tsv out --recipe syn-fast")
print("exit code", code)

# %%
# What came out
# -------------
# ``results.tsv`` has a row per pair: verdict, reasons, every measure. Five pairs are too few to compare with each
# other, which takes ten, as the summary says: here verdicts come from fixed limits alone, and there is no score.

with open(folder / "out/results.tsv", newline="") as file:
    for row in csv.DictReader(file, delimiter="\t"):
        print(row["id"], row["status"], row["verdict"], row.get("dice"))

# %%
# The damaged file is named, with what to do.

print((folder / "out/failures.tsv").read_text(encoding="utf-8"))

# %%
# The same in Python, as a picture: overlap of the labels after registration.

results = [one for one in cohort.read_results(folder / "out") if one.metrics.get("dice")]
figure, axis = plt.subplots(figsize=(6, 2.5))
axis.barh([one.id for one in results], [one.metrics["dice"] for one in results])
axis.set_xlabel("mean Dice")
axis.set_xlim(0, 1)
figure.tight_layout()

# %%
# Again
# -----
# The same command has nothing to do: a pair whose sidecar belongs to its inputs, recipe and version is done. Mend the
# broken image, and only that pair runs.

(folder / "data/sub-06_T1w.nii.gz").write_bytes((folder / "data/sub-01_T1w.nii.gz").read_bytes())
code = run("warpline cohort run cohort.tsv out --recipe syn-fast")
print("exit code", code)

# %%
# ``warpline cohort serve out`` shows the page in a browser. From here: :doc:`statistics on the group <../summaries>`,
# :doc:`clusters <../clusters>`, and everything else about :doc:`cohorts <../cohort>`.
