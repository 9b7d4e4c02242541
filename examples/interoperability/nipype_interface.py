"""`warpline register` and `warpline apply` as interfaces of Nipype.

from nipype_interface import Register
Register(fixed="fixed.nii.gz", moving="moving.nii.gz", output_prefix="sub-01_").run().outputs.warped
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nipype.interfaces.base import CommandLine, CommandLineInputSpec, File, InputMultiPath, TraitedSpec, traits


class RegisterInputs(CommandLineInputSpec):
    """Arguments of ``warpline register``."""

    fixed = File(exists=True, mandatory=True, argstr="%s", position=0, desc="image that stays where it is")
    moving = File(exists=True, mandatory=True, argstr="%s", position=1, desc="image that is carried onto it")
    output_prefix = traits.Str("warpline_", usedefault=True, argstr="--output %s", desc="what all names begin with")
    recipe = traits.Str(argstr="--recipe %s", desc="name of a recipe, or a file")
    fixed_mask = File(exists=True, argstr="--fixed-mask %s", desc="where the fixed image counts")
    moving_mask = File(exists=True, argstr="--moving-mask %s", desc="where the moving image counts")
    threads = traits.Int(argstr="--threads %d", desc="CPU threads", nohash=True)


class RegisterOutputs(TraitedSpec):
    """Files of ``warpline register``; linear recipes have no warps."""

    warped = File(exists=True, desc="the moving image on the fixed grid")
    inverse_warped = File(exists=True, desc="the fixed image on the moving grid")
    affine = File(exists=True, desc="affine part of the map")
    warp = File(desc="deformable part of the map")
    inverse_warp = File(desc="inverse of the deformable part")
    report = File(exists=True, desc="everything that was measured, JSON")


ENDINGS = {
    "warped": "Warped.nii.gz",
    "inverse_warped": "InverseWarped.nii.gz",
    "affine": "0GenericAffine.mat",
    "warp": "1Warp.nii.gz",
    "inverse_warp": "1InverseWarp.nii.gz",
    "report": "report.json",
}


class Register(CommandLine):
    """Find the map that carries a moving image onto a fixed one."""

    _cmd = "warpline register"
    input_spec = RegisterInputs
    output_spec = RegisterOutputs

    def _list_outputs(self) -> dict[str, Any]:
        paths = {name: Path(f"{self.inputs.output_prefix}{ending}").absolute() for name, ending in ENDINGS.items()}
        return self.output_spec().get() | {name: str(path) for name, path in paths.items() if path.exists()}


class ApplyInputs(CommandLineInputSpec):
    """Arguments of ``warpline apply``."""

    image = File(exists=True, mandatory=True, argstr="--image %s", desc="image to carry over")
    reference = File(exists=True, mandatory=True, argstr="--reference %s", desc="image whose grid the result gets")
    transforms = InputMultiPath(traits.Str, mandatory=True, argstr="--transform %s...", desc="warp, then affine")
    interpolation = traits.Enum("linear", "nearest", "cubic", "sinc", "label", argstr="--interpolation %s")
    output = File("warped.nii.gz", usedefault=True, argstr="--output %s", desc="image to write")


class ApplyOutputs(TraitedSpec):
    """The file of ``warpline apply``."""

    output = File(exists=True, desc="the image on the grid of the reference")


class Apply(CommandLine):
    """Carry an image through transforms onto a reference grid."""

    _cmd = "warpline apply"
    input_spec = ApplyInputs
    output_spec = ApplyOutputs

    def _list_outputs(self) -> dict[str, Any]:
        return {"output": str(Path(self.inputs.output).absolute())}
