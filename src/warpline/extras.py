"""Optional parts of the installation: what each extra brings, and how to install it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extra:
    """An extra of the package.

    Parameters
    ----------
    packages : tuple of str
        The distributions that what it is for needs.
    purpose : str
        What it is for.
    """

    packages: tuple[str, ...]
    purpose: str


EXTRAS = {
    "cuda12": Extra(("cupy-cuda12x",), "NVIDIA GPUs, drivers of CUDA 12"),
    "cuda13": Extra(("cupy-cuda13x",), "NVIDIA GPUs, driver 580 or newer"),
    "cluster": Extra(("distributed", "cryptography"), "worker processes of cohorts: several GPUs, clusters"),
    "itk": Extra(("SimpleITK",), "NRRD and MetaImage files, N4, histogram matching"),
    "denoise": Extra(("dipy",), "non-local means"),
    "zarr": Extra(("zarr",), "images in OME-Zarr"),
    "plots": Extra(("matplotlib",), "figures of the tutorials and of warpline.dipy.regtools"),
}
"""Extras of a user, by name, as ``pyproject.toml`` declares them."""


def install_command(extra: str) -> str:
    """The command that installs an extra, quoted so that shells of every system take it.

    Parameters
    ----------
    extra : str
        Its name in `EXTRAS`.

    Examples
    --------
    >>> install_command("itk")
    'pip install "warpline[itk]"'
    """
    return f'pip install "warpline[{extra}]"'
