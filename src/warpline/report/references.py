"""The literature behind the methods, and texts with what they cite of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple


class Reference(NamedTuple):
    """A publication: how the text cites it, authors with year and title, where it appeared, and its DOI."""

    short: str
    title: str
    where: str
    doi: str

    def line(self) -> str:
        """The entry of a list of references."""
        return f"{self.title} *{self.where}*. https://doi.org/{self.doi}"


REFERENCES = {
    "arce-santana": Reference(
        "Arce-Santana et al., 2014",
        "Arce-Santana ER, Campos-Delgado DU, Vigueras-Gómez F, Reducindo I, Mejía-Rodríguez AR (2014). Non-rigid "
        "multimodal image registration based on the expectation-maximization algorithm.",
        "Medical Image Analysis",
        "10.1016/j.media.2013.10.007",
    ),
    "arsigny": Reference(
        "Arsigny et al., 2006",
        "Arsigny V, Commowick O, Pennec X, Ayache N (2006). A log-Euclidean framework for statistics on "
        "diffeomorphisms.",
        "MICCAI 2006",
        "10.1007/11866565_113",
    ),
    "artaechevarria": Reference(
        "Artaechevarria et al., 2009",
        "Artaechevarria X, Muñoz-Barrutia A, Ortiz-de-Solórzano C (2009). Combination strategies in multi-atlas image "
        "segmentation: application to brain MR data.",
        "IEEE Transactions on Medical Imaging 28:1266-1277",
        "10.1109/TMI.2009.2014372",
    ),
    "avants": Reference(
        "Avants et al., 2008",
        "Avants BB, Epstein CL, Grossman M, Gee JC (2008). Symmetric diffeomorphic image registration with "
        "cross-correlation: evaluating automated labeling of elderly and neurodegenerative brain.",
        "Medical Image Analysis 12:26-41",
        "10.1016/j.media.2007.06.004",
    ),
    "baker": Reference(
        "Baker and Matthews, 2004",
        "Baker S, Matthews I (2004). Lucas-Kanade 20 years on: a unifying framework.",
        "International Journal of Computer Vision 56:221-255",
        "10.1023/B:VISI.0000011205.11775.fd",
    ),
    "bookstein": Reference(
        "Bookstein, 1989",
        "Bookstein FL (1989). Principal warps: thin-plate splines and the decomposition of deformations.",
        "IEEE Transactions on Pattern Analysis and Machine Intelligence",
        "10.1109/34.24792",
    ),
    "christensen": Reference(
        "Christensen and Johnson, 2001",
        "Christensen GE, Johnson HJ (2001). Consistent image registration.",
        "IEEE Transactions on Medical Imaging",
        "10.1109/42.932742",
    ),
    "coupe": Reference(
        "Coupé et al., 2008",
        "Coupé P, Yger P, Prima S, Hellier P, Kervrann C, Barillot C (2008). An optimized blockwise nonlocal means "
        "denoising filter for 3-D magnetic resonance images.",
        "IEEE Transactions on Medical Imaging",
        "10.1109/TMI.2007.906087",
    ),
    "donoho": Reference(
        "Donoho and Johnstone, 1994",
        "Donoho DL, Johnstone IM (1994). Ideal spatial adaptation by wavelet shrinkage.",
        "Biometrika 81:425-455",
        "10.1093/biomet/81.3.425",
    ),
    "garyfallidis": Reference(
        "Garyfallidis et al., 2014",
        "Garyfallidis E, Brett M, Amirbekian B, et al. (2014). Dipy, a library for the analysis of diffusion MRI data.",
        "Frontiers in Neuroinformatics",
        "10.3389/fninf.2014.00008",
    ),
    "guimond": Reference(
        "Guimond et al., 2001",
        "Guimond A, Roche A, Ayache N, Meunier J (2001). Three-dimensional multimodal brain warping using the demons "
        "algorithm and adaptive intensity corrections.",
        "IEEE Transactions on Medical Imaging",
        "10.1109/42.906425",
    ),
    "guimond-mean": Reference(
        "Guimond et al., 2000",
        "Guimond A, Meunier J, Thirion JP (2000). Average brain models: a convergence study.",
        "Computer Vision and Image Understanding 77:192-210",
        "10.1006/cviu.1999.0815",
    ),
    "harris": Reference(
        "Harris et al., 2020",
        "Harris CR, Millman KJ, van der Walt SJ, et al. (2020). Array programming with NumPy.",
        "Nature 585:357-362",
        "10.1038/s41586-020-2649-2",
    ),
    "heinrich": Reference(
        "Heinrich et al., 2013",
        "Heinrich MP, Jenkinson M, Papież BW, Brady M, Schnabel JA (2013). Towards realtime multimodal fusion for "
        "image-guided interventions using self-similarities.",
        "MICCAI 2013",
        "10.1007/978-3-642-40811-3_24",
    ),
    "jenkinson": Reference(
        "Jenkinson et al., 2002",
        "Jenkinson M, Bannister P, Brady M, Smith S (2002). Improved optimization for the robust and accurate linear "
        "registration and motion correction of brain images.",
        "NeuroImage",
        "10.1006/nimg.2002.1132",
    ),
    "kybic": Reference(
        "Kybic, 2010",
        "Kybic J (2010). Bootstrap resampling for image registration uncertainty estimation without ground truth.",
        "IEEE Transactions on Image Processing 19:64-73",
        "10.1109/TIP.2009.2030955",
    ),
    "lam": Reference(
        "Lam et al., 2015",
        "Lam SK, Pitrou A, Seibert S (2015). Numba: a LLVM-based Python JIT compiler.",
        "LLVM-HPC 2015",
        "10.1145/2833157.2833162",
    ),
    "lewis": Reference(
        "Lewis and Fox, 2004",
        "Lewis EB, Fox NC (2004). Correction of differential intensity inhomogeneity in longitudinal MR images.",
        "NeuroImage 23:75-83",
        "10.1016/j.neuroimage.2004.04.030",
    ),
    "lowekamp": Reference(
        "Lowekamp et al., 2013",
        "Lowekamp BC, Chen DT, Ibáñez L, Blezek D (2013). The design of SimpleITK.",
        "Frontiers in Neuroinformatics",
        "10.3389/fninf.2013.00045",
    ),
    "mattes": Reference(
        "Mattes et al., 2003",
        "Mattes D, Haynor DR, Vesselle H, Lewellen TK, Eubank W (2003). PET-CT image registration in the chest using "
        "free-form deformations.",
        "IEEE Transactions on Medical Imaging 22:120-128",
        "10.1109/TMI.2003.809072",
    ),
    "nocedal": Reference(
        "Nocedal and Wright, 2006",
        "Nocedal J, Wright SJ (2006). Numerical optimization.",
        "Springer",
        "10.1007/978-0-387-40065-5",
    ),
    "otsu": Reference(
        "Otsu, 1979",
        "Otsu N (1979). A threshold selection method from gray-level histograms.",
        "IEEE Transactions on Systems, Man, and Cybernetics",
        "10.1109/TSMC.1979.4310076",
    ),
    "nyul": Reference(
        "Nyúl et al., 2000",
        "Nyúl LG, Udupa JK, Zhang X (2000). New variants of a method of MRI scale standardization.",
        "IEEE Transactions on Medical Imaging",
        "10.1109/42.836373",
    ),
    "power": Reference(
        "Power et al., 2012",
        "Power JD, Barnes KA, Snyder AZ, Schlaggar BL, Petersen SE (2012). Spurious but systematic correlations in "
        "functional connectivity MRI networks arise from subject motion.",
        "NeuroImage 59:2142-2154",
        "10.1016/j.neuroimage.2011.10.018",
    ),
    "reuter": Reference(
        "Reuter et al., 2012",
        "Reuter M, Schmansky NJ, Rosas HD, Fischl B (2012). Within-subject template estimation for unbiased "
        "longitudinal image analysis.",
        "NeuroImage 61:1402-1418",
        "10.1016/j.neuroimage.2012.02.084",
    ),
    "reuter-fischl": Reference(
        "Reuter and Fischl, 2011",
        "Reuter M, Fischl B (2011). Avoiding asymmetry-induced bias in longitudinal image processing.",
        "NeuroImage 57:19-21",
        "10.1016/j.neuroimage.2011.02.076",
    ),
    "rousseeuw": Reference(
        "Rousseeuw and Croux, 1993",
        "Rousseeuw PJ, Croux C (1993). Alternatives to the median absolute deviation.",
        "Journal of the American Statistical Association",
        "10.1080/01621459.1993.10476408",
    ),
    "rueckert": Reference(
        "Rueckert et al., 1999",
        "Rueckert D, Sonoda LI, Hayes C, Hill DLG, Leach MO, Hawkes DJ (1999). Nonrigid registration using free-form "
        "deformations: application to breast MR images.",
        "IEEE Transactions on Medical Imaging",
        "10.1109/42.796284",
    ),
    "singer": Reference(
        "Singer, 2011",
        "Singer A (2011). Angular synchronization by eigenvectors and semidefinite programming.",
        "Applied and Computational Harmonic Analysis 30:20-36",
        "10.1016/j.acha.2010.02.001",
    ),
    "thirion": Reference(
        "Thirion, 1998",
        "Thirion JP (1998). Image matching as a diffusion process: an analogy with Maxwell's demons.",
        "Medical Image Analysis",
        "10.1016/S1361-8415(98)80022-4",
    ),
    "tustison-n4": Reference(
        "Tustison et al., 2010",
        "Tustison NJ, Avants BB, Cook PA, et al. (2010). N4ITK: improved N3 bias correction.",
        "IEEE Transactions on Medical Imaging",
        "10.1109/TMI.2010.2046908",
    ),
    "tustison-splines": Reference(
        "Tustison and Avants, 2013",
        "Tustison NJ, Avants BB (2013). Explicit B-spline regularization in diffeomorphic image registration.",
        "Frontiers in Neuroinformatics",
        "10.3389/fninf.2013.00039",
    ),
    "umeyama": Reference(
        "Umeyama, 1991",
        "Umeyama S (1991). Least-squares estimation of transformation parameters between two point patterns.",
        "IEEE Transactions on Pattern Analysis and Machine Intelligence",
        "10.1109/34.88573",
    ),
    "vercauteren": Reference(
        "Vercauteren et al., 2009",
        "Vercauteren T, Pennec X, Perchant A, Ayache N (2009). Diffeomorphic demons: efficient non-parametric image "
        "registration.",
        "NeuroImage",
        "10.1016/j.neuroimage.2008.10.040",
    ),
    "virtanen": Reference(
        "Virtanen et al., 2020",
        "Virtanen P, Gommers R, Oliphant TE, et al. (2020). SciPy 1.0: fundamental algorithms for scientific computing "
        "in Python.",
        "Nature Methods 17:261-272",
        "10.1038/s41592-019-0686-2",
    ),
    "wang": Reference(
        "Wang et al., 2013",
        "Wang H, Suh JW, Das SR, Pluta JB, Craige C, Yushkevich PA (2013). Multi-atlas segmentation with joint label "
        "fusion.",
        "IEEE Transactions on Pattern Analysis and Machine Intelligence 35:611-623",
        "10.1109/TPAMI.2012.143",
    ),
}
"""What texts cite, by key."""

_CITED = re.compile(r" ?\[@([\w;@ -]+)\]")

_NOTE = (
    "This text may be copied into manuscripts as it is, whole or in part; check that it describes what you report, and "
    "cite warpline itself as its CITATION.cff says."
)


def as_markdown(paragraphs: Sequence[str]) -> str:
    """A text with its references, as Markdown.

    Parameters
    ----------
    paragraphs : sequence of str
        With ``[@key]`` and ``[@key; @key]`` for the keys of `REFERENCES`.
    """
    text = "\n\n".join(paragraphs)
    cited = list(dict.fromkeys(key for found in _CITED.findall(text) for key in _keys(found)))
    body = _CITED.sub(lambda found: f" ({'; '.join(REFERENCES[key].short for key in _keys(found[1]))})", text)
    entries = sorted(f"- {REFERENCES[key].line()}" for key in cited)
    return "\n".join(["# Methods", "", body, "", "# References", "", *entries, "", _NOTE, ""])


def _keys(found: str) -> list[str]:
    return [key.strip().removeprefix("@") for key in found.split(";")]
