"""The ways in which the backend builds each kernel: all of them where they are few, the ends of the range otherwise."""

from __future__ import annotations

from importlib.resources import files

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
MEASURED = ("sm_80", "sm_90")

KERNELS = sorted(file.name.removesuffix(".cu") for file in files("warpline.kernels").iterdir() if file.suffix == ".cu")

WIDTHS = ("unsigned char", "unsigned short", "unsigned int", "unsigned long long")

INTERPOLATED = ((3, 0, "long long"), (3, 1, "float"), (3, 3, "double"), (3, 5, "double"), (4, 5, "double"))
"""Axes, orders and types of interpolate.cu, of the 4 x 6 x 11 there are."""

VARIANTS = {
    **{name: [(("PLANES", 2),)] for name in ("warp", "compose", "halve")},
    "add_doubled": [(("PLANES", 8),)],
    "warp_descriptors": [(("PLANES", 1),)],
    "sample": [
        *((("ORDER", 0), ("VALUE", width)) for width in WIDTHS),
        (("ORDER", 1), ("VALUE", "float")),
        (("ORDER", 3), ("VALUE", "float")),
    ],
    "interpolate": [(("NDIM", ndim), ("ORDER", order), ("VALUE", value)) for ndim, order, value in INTERPOLATED],
    "spline_prefilter": [(("ORDER", order), ("VALUE", value)) for order, value in ((3, "double"), (5, "short"))],
    "pad": [(("NDIM", 4), ("VALUE", "long long"))],
    **{name: [(("ALONG_K", along),) for along in (0, 1)] for name in ("cubic_prefilter", "filter_axis")},
    "smooth": [
        (("COMPONENTS", components), ("RI", i), ("RJ", j), ("RK", k), ("NORM", norm))
        for components in (1, 3)
        for i, j, k, norm in (
            *((1, 1, 1, 1), (2, 5, 0, 1), (3, 3, 3, 1), (5, 5, 5, 1), (5, 5, 0, 1), (5, 1, 2, 1)),
            *((0, 0, 5, 1), (0, 5, 5, 1), (0, 5, 5, 0), (0, 3, 3, 0)),
        )
    ],
    "smooth_along_i": [(("COMPONENTS", components), ("RI", i)) for components in (1, 3) for i in (3, 4, 5)],
    "local_cc": [
        (("RADIUS", radius), ("MASKED", masked), ("VALUE", value))
        for radius in (1, 2, 3, 4, 5, 8)
        for masked, value in ((0, "double"), (1, "float"))
    ],
    **{name: [(("VALUE", v),) for v in ("float", "double")] for name in ("squared_difference", "descriptor_forces")},
    "value_histogram": [(("BINS", bins), ("VALUE", value)) for bins, value in ((64, "double"), (97, "float"))],
    "value_forces": [(("BINS", bins),) for bins in (64, 97)],
    "norm_quantile": [(("COMPONENTS", c), ("DIGIT", digit)) for c, digit in ((1, 0), (1, 1), (1, 2), (3, 0))],
    **{name: [(("ROWS", rows),) for rows in (11, 17)] for name in ("motion_sums", "motion_gram")},
    "joint_histogram": [(("BINS", bins),) for bins in (8, 32, 64, 65, 256)],
}
"""Kernel to the defines it is built with; kernels that are not here have none."""


def builds():
    """(kernel, defines) of every build."""
    return [(name, defines) for name in KERNELS for defines in VARIANTS.get(name, [()])]
