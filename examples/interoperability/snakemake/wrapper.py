"""Wrapper of Snakemake: registers `input.moving` to `input.fixed`; all files stand beside `output.warped`."""

from typing import Any

from warpline import Job, UsageError, run

ENDING = "Warped.nii.gz"


def main(rule: Any) -> None:
    """Run the rule that Snakemake hands to its wrapper."""
    warped = str(rule.output.warped)
    if not warped.endswith(ENDING):
        raise UsageError(f"output.warped is {warped}; let its name end in {ENDING}, which warpline writes")
    masks = {name: rule.input.get(name) for name in ("fixed_mask", "moving_mask")}
    run(
        Job(
            fixed=rule.input.fixed,
            moving=rule.input.moving,
            prefix=warped.removesuffix(ENDING),
            recipe=rule.params.get("recipe", "syn"),
            threads=rule.threads,
            **masks,
        )
    )


main(snakemake)  # noqa: F821 — put there by Snakemake
