"""What was done, in words for a paper: sentences that are true of the reports they are made from, and references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from warpline.errors import InputError
from warpline.report.evidence import Evidence, Report
from warpline.report.reasons import AS_GIVEN

# -- sentences --------------------------------------------------------------------------------------------------------


def _software(evidence: Evidence) -> Iterator[str]:
    yield f"{_pairs(evidence)} with {software(evidence.reports, evidence.recipe)}."


def software(reports: Sequence[Report], recipe: Mapping[str, Any] | None = None) -> str:
    """Which versions ran, a recipe where there is one, on which devices."""
    versions = sorted({str(report["warpline"]) for report in reports})
    devices = sorted({f"{one['backend']['name']} backend ({one['backend']['device']})" for one in reports})
    libraries = reports[0].get("versions") or {}
    named = ", ".join(f"{name} {libraries[key]}{cite}" for key, name, cite in _LIBRARIES if libraries.get(key))
    numba = "" if not any(one["backend"]["name"] == "numba" for one in reports) else " [@lam]"
    by = "" if recipe is None else f", recipe `{recipe.get('name')}`"
    return (
        f"warpline {_listed(versions)}{by}, on its {_listed(devices)}{numba}, with Python "
        f"{reports[0].get('python')} and {named}"
    )


def _pairs(evidence: Evidence) -> str:
    names = {
        side: {str(report["inputs"][side].get("path") or "an array") for report in evidence.reports}
        for side in ("moving", "fixed")
    }
    fixed = f"`{file_name(next(iter(names['fixed'])))}`" if len(names["fixed"]) == 1 else "their fixed images"
    if evidence.count == 1:
        return f"The image `{file_name(next(iter(names['moving'])))}` was registered to {fixed}"
    return f"{evidence.count or 'Further'} images were registered to {fixed}"


_LIBRARIES = (("numpy", "NumPy", " [@harris]"), ("scipy", "SciPy", " [@virtanen]"))


def file_name(path: object) -> str:
    """The name of an input by its path, of any system; None is an array."""
    return "an array" if not path else str(path).replace("\\", "/").rpartition("/")[2]


_STEPS = {
    "mask": "masks of the object were made by a median filter and Otsu's threshold [@otsu]",
    "bias_correction": "bias fields were removed by N4 [@tustison-n4; @lowekamp]",
    "denoise": "noise was removed by non-local means [@coupe; @garyfallidis]",
    "winsorise": "intensities were winsorised at the quantiles {winsorise} of the object",
    "match_histogram": "the histogram of the moving image was matched to that of the fixed one [@nyul; @lowekamp]",
}
"""What each step of `warpline.recipe.Prepare` did."""


def _preparation(evidence: Evidence) -> Iterator[str]:
    asked = evidence.options("prepare")
    done = []
    for step, words in _STEPS.items():
        images = {
            str(one["image"]).partition("_")[0]
            for report in evidence.reports
            for one in _steps(report)
            if one["step"] == step
        }
        where = evidence.where(partial(_has_step, step))
        if where is None:
            continue
        sides = [side for side in ("fixed", "moving") if side in images]
        of = f" of the {sides[0]} image" if len(sides) == 1 and step != "match_histogram" else ""
        done.append(words.format(winsorise=_listed(asked.get("winsorise") or ())) + of + where)
    if done:
        yield f"Before images were compared, {_listed(done, '; ')}; what was resampled are the images as given."


def _has_step(step: str, report: Report) -> bool:
    return any(one["step"] == step for one in _steps(report))


def _steps(report: Report) -> Sequence[Mapping[str, Any]]:
    return report.get("preparation") or ()


_STARTS = {
    "mass": "the centres of mass",
    "centre": "the geometric centres",
    "origin": "the origins of the world coordinates",
    "identity": "the identity",
}
_FITTED = {"thin_plate": "[@bookstein]"}


def _start(evidence: Evidence) -> Iterator[str]:
    options = evidence.options("initialise")
    given = evidence.where(lambda report: report.get("initial") is not None)
    fitted = evidence.where(lambda report: report.get("landmarks") and report.get("initial") is None)
    if given is not None:
        yield f"Registration started from a given transform{given}."
    if fitted is not None:
        model = str(options.get("landmarks", "rigid")).replace("_", "-")
        counts = sorted({one["landmarks"]["count"] for one in evidence.reports if one.get("landmarks")})
        cited = _FITTED.get(str(options.get("landmarks")), "[@umeyama]")
        yield f"A {model} map fitted to {_listed(counts)} landmarks {cited} was the start{fitted}."
    if given != "" and fitted != "":
        compared = "; rotations over a lattice were compared with that start [@jenkinson]"
        searched = compared if options.get("rotations") else ""
        yield f"Images started with {_STARTS[str(options.get('method', 'mass'))]} on each other{searched}."


LINEAR_METRICS = {
    "mutual_information": "Mattes mutual information of {bins} bins [@mattes]",
    "correlation": "the squared correlation coefficient",
}


def _linear(evidence: Evidence) -> Iterator[str]:
    options = evidence.options("linear")
    if not options:
        return
    sizes = options.get("voxel_sizes")
    spacing = f"of {_listed(sizes)} mm" if sizes else "of 6, 4 and 1.5 mm for an object as large as a head"
    stages = [str(stage).replace("_", " with ") for stage in options["stages"]]
    metric = LINEAR_METRICS[str(options["metric"])].format(bins=options.get("bins"))
    yield (
        f"Linear registration ({_listed(stages, ', then ')}) maximised {metric} by BFGS [@nocedal] over at most "
        f"{options['samples']} sample points, on levels {spacing} with at most {_listed(options['iterations'])} "
        "iterations."
    )
    finest = len(options["iterations"])
    refined = evidence.where(lambda report: any(_is_refinement(one, options, finest) for one in report["levels"]))
    if refined is not None:
        yield f"The affine was refined by squared local correlation{refined}."


def _is_refinement(level: Mapping[str, Any], options: Mapping[str, Any], finest: int) -> bool:
    return level["stage"] in options["stages"] and level["level"] >= finest


MODELS = {
    "syn": "by symmetric diffeomorphic registration (SyN) [@avants]",
    "bspline": "by symmetric diffeomorphic registration with B-spline updates [@avants; @tustison-splines]",
    "velocity": "by the exponential of one stationary velocity field [@arsigny; @vercauteren]",
}

_METRICS = {
    "local_cc": "squared local correlation in windows of {window} voxels [@avants]",
    "correlation": "the squared correlation of the whole images",
    "mean_squares": "the squared difference",
    "mutual_information": "Mattes mutual information of {bins} bins [@mattes]",
    "self_similarity": "the squared difference of self-similarity (MIND-SSC) [@heinrich]",
    "class_means": "the difference from what grey values of the other image predict [@arce-santana]",
    "labels": "the overlap of label maps",
}


def _deformable(evidence: Evidence) -> Iterator[str]:
    options = evidence.options("syn")
    if not options:
        return
    yield f"A deformation was found {MODELS[str(options.get('model', 'syn'))]}, comparing {_compared(evidence)}."
    further = evidence.where(lambda report: _terms(report, first=False))
    if further is not None:
        kinds = sorted({one["metric"] for report in evidence.reports for one in _terms(report, first=False)})
        names = _listed([metric_in_words(kind, options) for kind in kinds])
        yield f"Further pairs of images were compared beside them, by {names}{further}."
    if options.get("newton") and {"mean_squares", "class_means"} & {options.get("metric")}:
        yield "Its updates are Gauss-Newton steps, as of demons [@thirion; @vercauteren]."
    yield from _levels(evidence)
    yield from smoothing(options)


def _terms(report: Report, *, first: bool) -> list[Mapping[str, Any]]:
    """What compared the two images, or further pairs."""
    return [one for one in report.get("terms") or () if (one.get("pair", 1) == 1) is first]


def _compared(evidence: Evidence) -> str:
    """The metrics of the two images with their weights, as they were used."""
    options = evidence.options("syn")
    keys = dict.fromkeys(_key(one) for report in evidence.reports for one in _terms(report, first=True))
    words = []
    for key in keys or {(str(options["metric"]), 1.0, False): None}:
        metric, weight, by_curve = key
        curve = " of one image as its grey values predict the other [@guimond]" if by_curve else ""
        scaled = f" with weight {weight:g}" if len(keys) > 1 else ""
        where = evidence.where(partial(_has_term, key)) or ""
        words.append(f"{metric_in_words(metric, options)}{curve}{scaled}{where}")
    return _listed(words)


def _key(term: Mapping[str, Any]) -> tuple[str, float, bool]:
    """Metric and weight of a term, and whether it was shown one image as the other predicts it."""
    return str(term["metric"]), float(term.get("weight", 1.0)), term["contrast"] != AS_GIVEN


def _has_term(key: tuple[str, float, bool], report: Report) -> bool:
    return any(_key(one) == key for one in _terms(report, first=True))


def metric_in_words(name: str, options: Mapping[str, Any]) -> str:
    """What a metric of the deformable stage compares; of one that a script has entered, its name."""
    if name not in _METRICS:
        return f"`{name}`, a metric that is no part of warpline"
    return _METRICS[name].format(window=2 * int(options.get("radius", 2)) + 1, bins=options.get("bins"))


def _levels(evidence: Evidence) -> Iterator[str]:
    runs = [[one for one in report["levels"] if one["stage"] == "syn"] for report in evidence.reports]
    numbers = sorted({len(levels) for levels in runs})
    iterations = evidence.options("syn")["iterations"]
    levels = f"{_listed(numbers, ' or ')} level{'' if numbers == [1] else 's'}"
    if len(evidence.reports) > 1:
        yield f"It ran on {levels}, of which the last ones had at most {_listed(iterations)} iterations."
        return
    grids = _listed([f"{'×'.join(map(str, one['shape']))} ({one['iterations']})" for one in runs[0]])  # noqa: RUF001
    yield f"It ran on {levels} of so many voxels, and iterations in brackets: {grids}."


def stages(linear: Mapping[str, Any] | None, syn: Mapping[str, Any] | None) -> Iterator[str]:
    """What the stages of a recipe compared, and how deformations were found."""
    if linear:
        yield f"Linear registration maximised {LINEAR_METRICS[linear['metric']].format(bins=linear['bins'])}."
    if syn:
        yield f"Deformations were found {MODELS[syn['model']]}, comparing {metric_in_words(syn['metric'], syn)}."
        yield from smoothing(syn)


def smoothing(options: Mapping[str, Any]) -> Iterator[str]:
    """How updates and fields were smoothed."""
    total = options["total_sigma"]
    whole = f" and the whole field by one of {total:g} voxels" if total else ""
    if options.get("model") == "bspline":
        smoothed = f"; the whole field was smoothed by a Gaussian of {total:g} voxels" if total else ""
        yield (
            f"Updates are B-splines with control points {options['spline_spacing']:g} mm apart at the coarsest level, "
            f"halved from level to level{smoothed}."
        )
        return
    coarser = options.get("update_weights") or ()
    added = f" (beside it on coarser grids, with the weights {_listed(coarser)})" if coarser else ""
    yield (
        f"Updates of at most {options['step']:g} voxels of the level were smoothed by a Gaussian with a standard "
        f"deviation of {options['update_sigma']:g} voxels{added}{whole}."
    )


def _counting(evidence: Evidence) -> Iterator[str]:
    """Masks, weights, landmarks, directions: what counted how much."""
    syn, linear = evidence.options("syn"), evidence.options("linear")
    masks = evidence.has_input("fixed_mask", "moving_mask")
    stages = [name for name, options in (("linear", linear), ("deformable", syn)) if options.get("masks")]
    if masks is not None and stages:
        yield f"Metrics of the {_listed(stages)} stages counted inside given masks only{masks}."
    weights = evidence.has_input("fixed_weights", "moving_weights")
    if weights is not None and syn:
        yield f"Places counted by given weights in the deformable stage{weights}."
    if syn.get("robust"):
        yield "Places where one image shows what the other does not, such as a lesion, were learnt to count little."
    pulled = evidence.where(lambda report: report.get("landmarks"))
    if syn.get("landmark_weight") and pulled is not None:
        yield f"Landmarks pulled in the deformable stage with the weight {syn['landmark_weight']:g}{pulled}."
    if syn.get("directions"):
        along = syn["directions"]
        named = f"the axes {along} of the fixed image" if isinstance(along, str) else f"the direction {_listed(along)}"
        yield f"Points were allowed to move along {named} only."


_LIMITS = {
    "max_bending": "the mean bending energy to {} per mm² [@rueckert]",
    "max_strain": "principal logarithmic strains to {}",
    "jacobian": "Jacobian determinants to the range {}",
}


def _kept(evidence: Evidence) -> Iterator[str]:
    """What the result keeps, and how it was stored."""
    budget = evidence.options("budget")
    limits = [
        words.format(_listed(_values(budget[name]), " to ")) for name, words in _LIMITS.items() if budget.get(name)
    ]
    if limits:
        yield f"A budget limits the deformation: {_listed(limits)}, in both directions."
    rerun = evidence.where(lambda report: (report.get("budget") or {}).get("rerun"))
    if rerun is not None:
        yield f"To keep it, the deformation was found again with more smoothing{rerun}."
    measured = [quality for report in evidence.reports if (quality := report.get("quality"))]
    if measured:
        error = max(quality["inverse_error_mean"] for quality in measured)
        folded = max(quality["folded_voxels"] for quality in measured)
        yield (
            f"Forward and inverse map were made inverse to each other [@christensen], with a mean error of at most "
            f"{error:.2g} voxels and {f'at most {folded}' if folded else 'no'} folded voxels."
        )
    reduced = evidence.where(lambda report: _is_reduced(report.get("memory") or {}))
    if reduced is not None:
        yield f"Images were registered on coarser grids, for want of memory{reduced}, and resampled on their own."
    if evidence.where(lambda report: report.get("rounding_mm")) is not None:
        step = evidence.reports[0]["rounding_mm"]["content"]
        yield f"Displacements were stored in steps of 1/{round(1 / step)} mm."
    labels = "; labels by nearest neighbour" if evidence.has_input("moving_labels") is not None else ""
    yield f"Images were resampled once, by linear interpolation through all maps together{labels}."


def _perturbed(evidence: Evidence) -> Iterator[str]:
    """How the uncertainty was found, and how large it is."""
    options = evidence.options("uncertainty")
    where = evidence.where(lambda report: report.get("uncertainty"))
    if where is None:
        return
    found = [report["uncertainty"] for report in evidence.reports if report.get("uncertainty")]
    stage, scaled = ("deformable", "smoothing") if evidence.options("syn") else ("linear", "spacing of the levels")
    noise = "noise at {:g} times the level estimated from the images [@donoho]"
    changes = (
        ("noise", noise if any(any(one["noise"].values()) for one in found) else "no noise, as none was estimated"),
        ("start", "starts moved by {:g} voxels (root mean square)"),
        ("smoothness", f"{scaled} scaled by factors whose logarithm has a standard deviation of {{:g}}"),
    )
    given = [words.format(options[name]) for name, words in changes if options.get(name)]
    yield (
        f"The uncertainty of the map is the root mean square distance to the maps of {options['runs']} further runs of "
        f"the {stage} stage [@kybic], with {_listed(given)} (seed {options['seed']}){where}."
    )
    median, largest = (max(float(one[name]) for one in found) for name in ("median", "p95"))
    of = "" if len(found) == 1 else ", the most of all pairs"
    yield f"Its median inside the object is {median:.2g} mm, its 95th percentile {largest:.2g} mm{of}."


def _is_reduced(memory: Mapping[str, Any]) -> bool:
    return any(step > 1 for blocks in memory.get("blocks", ()) for step in blocks)


def _values(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _listed(values: Sequence[Any], last: str = " and ") -> str:
    words = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return last.join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


SENTENCES = (_software, _preparation, _start, _linear, _deformable, _counting, _kept, _perturbed)
"""The parts of a description, in their order."""


def describe(evidence: Evidence) -> str:
    """A paragraph on registrations by one recipe, with ``[@key]`` where it cites.

    Raises
    ------
    InputError
        When a report holds other values than reports of this version do.
    """
    return joined(sentence for part in SENTENCES for sentence in part(evidence))


def joined(sentences: Iterator[str]) -> str:
    """A paragraph of sentences that are made of a report.

    Raises
    ------
    InputError
        When the report holds other values than reports of this version do.
    """
    try:
        return " ".join(sentences)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"the report cannot be put into words ({type(error).__name__}: {error}): it is damaged or of another "
            "version; describe it with the version that made it"
        ) from None
