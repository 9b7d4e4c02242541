"""Summary of a registration: quality of the map, files written, and commands to run next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from warpline.registration import Job


def facts_of(job: Job, report: Mapping[str, Any]) -> list[str]:
    """Quality, time and files of a run, one fact per line.

    Parameters
    ----------
    job : Job
        What was run.
    report : mapping
        The `report` of its `warpline.registration.Registration`.
    """
    from warpline.registration import REPORT

    backend = report["backend"]
    time = f"time           {sum(report['seconds'].values()):.1f} s on {backend['name']} ({backend['device']})"
    paths = (*report["outputs"].values(), f"{job.prefix}{REPORT}")
    files = (*_replaced_lines(report.get("replaced")), *(f"wrote          {path}" for path in paths))
    warnings = (f"warning        {warning}" for warning in report["warnings"])
    judged = f"judgement      {report['judgement']['outcome']}"
    compared = (*_preparation_lines(report.get("preparation", [])), *_compared_lines(report.get("terms", [])))
    measured = (
        *_landmark_lines(report.get("landmarks")),
        *_surface_lines(report.get("surfaces")),
        *_quality_lines(report["quality"]),
        *_budget_lines(report.get("budget")),
        *_robust_lines(report.get("robust")),
        *_uncertainty_lines(report.get("uncertainty")),
        *_similarity_lines(report),
    )
    return [judged, *compared, *measured, *_outside_lines(report["outside"]), *warnings, time, *files]


def commands_after(job: Job, report: Mapping[str, Any]) -> list[str]:
    """Commands that carry labels through the map and evaluate them, both by one interpolation; of a wrong map none.

    Where the map is certainly wrong, what tells why.
    """
    outputs = report["outputs"]
    fixed = shlex.quote(str(job.fixed))
    if report["judgement"]["outcome"] == "failed":
        page = f"  look at {outputs['page']}, and at the warnings above"
        return [page, f"  warpline check-header {fixed} {shlex.quote(str(job.moving))}"]
    through = " ".join(f"-t {shlex.quote(outputs[name])}" for name in ("warp", "affine") if name in outputs)
    apply = f"  warpline apply -i moving_labels.nii.gz -r {fixed} {through} --interpolation label -o labels.nii.gz"
    evaluate = (
        "  warpline evaluate --fixed-labels fixed_labels.nii.gz --moving-labels moving_labels.nii.gz"
        f" --prefix {shlex.quote(job.prefix)} --interpolation label"
    )
    return [apply, evaluate]


def _replaced_lines(replaced: Mapping[str, Sequence[str]] | None) -> list[str]:
    """How many files of an earlier run there were, and which of them are gone."""
    if replaced is None:
        return []
    count, gone = len(replaced["files"]), [os.path.basename(path) for path in replaced["removed"]]
    removed = f", removed {len(gone)} that this one does not make: {', '.join(gone)}" if gone else ""
    return [f"replaced       {count} file{'s' * (count != 1)} of an earlier run{removed}"]


def _preparation_lines(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was done to the images before they were compared, where anything was."""
    from warpline.report.reasons import preparation_in_words

    return [f"prepared       {preparation_in_words(steps)}; the images written are as given"] if steps else []


def _compared_lines(terms: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was compared, where it is more than two images as they were given."""
    from warpline.report.reasons import AS_GIVEN, contrast_in_words

    if len(terms) == 1 and terms[0]["contrast"] == AS_GIVEN:
        return []
    return [
        f"compared       {_images_of(term)} by {term['metric']}, {contrast_in_words(term['contrast'])}"
        + (f", weight {term['weight']:g}" if len(terms) > 1 else "")
        for term in terms
    ]


def _images_of(term: Mapping[str, Any]) -> str:
    return "both images" if term["pair"] == 1 else f"pair {term['pair']}"


def _landmark_lines(landmarks: Mapping[str, Any] | None) -> list[str]:
    """How far landmarks are apart, at the start and at the end."""
    if landmarks is None:
        return []
    start, result = landmarks["start"], landmarks["result"]
    return [
        f"landmarks      {landmarks['count']}, {result['mean']:.3g} mm apart on average, {result['max']:.3g} mm at "
        f"most; at the start {start['mean']:.3g} and {start['max']:.3g} mm"
    ]


def _surface_lines(surfaces: Mapping[str, Any] | None) -> list[str]:
    """How far surfaces are apart, at the start and at the end."""
    if surfaces is None:
        return []
    return [
        f"surfaces {number:<6}{pair['result']['mean']:.3g} mm apart on average, 95 % within "
        f"{pair['result']['p95']:.3g} mm; at the start {pair['start']['mean']:.3g} and {pair['start']['p95']:.3g} mm; "
        f"{pair['result']['matched']:.0%} of {sum(pair['points'])} points matched"
        for number, pair in enumerate(surfaces["pairs"], 1)
    ]


def _budget_lines(budget: Mapping[str, Any] | None) -> list[str]:
    """What the worse of the two maps uses of each limit, and what it would use without."""
    if budget is None:
        return []
    facts = []
    for name, word in (("max_bending", "bending"), ("max_strain", "strain")):
        if budget[name] is not None:
            limit = budget[name]
            facts.append(f"{word} {limit['worst']:.4g} of {limit['asked']:g} (without it {limit['worst_before']:.4g})")
    if budget["jacobian"] is not None:
        limit = budget["jacobian"]
        reached = "Jacobian {:.4g} to {:.4g} within {:g} to {:g}".format(*limit["worst"], *limit["asked"])
        facts.append("{} (without it {:.4g} to {:.4g})".format(reached, *limit["worst_before"]))
    return [f"budget         {'kept' if budget['kept'] else 'NOT KEPT'}: {'; '.join(facts)}"]


def _robust_lines(robust: Mapping[str, Any] | None) -> list[str]:
    """How much of the object hardly counted beside the result."""
    return (
        []
        if robust is None
        else [f"robust         {robust['left_out']:.1%} of the fixed object count by less than a half"]
    )


def _uncertainty_lines(uncertainty: Mapping[str, Any] | None) -> list[str]:
    """How far perturbed runs end from the map."""
    if uncertainty is None:
        return []
    return [
        f"uncertainty    median {uncertainty['median']:.3g} mm, 95 % within {uncertainty['p95']:.3g} mm, "
        f"{uncertainty['largest']:.3g} mm at most, by {uncertainty['runs']} perturbed runs"
    ]


def _outside_lines(outside: Mapping[str, float]) -> list[str]:
    if not outside["moving"]:
        return []
    return [f"outside        the warped image is {outside['moving']:g} beyond the moving one (--outside sets it)"]


def _similarity_lines(report: Mapping[str, Any]) -> list[str]:
    before, after = report["similarity"]["before"], report["similarity"]["after"]
    share = f"; of {report['measured']:.0%} of the voxels" if report["measured"] < 1 else ""
    found = (
        f"similarity     correlation {before['ncc']:.3f} before, {after['ncc']:.3f} after; "
        f"in small windows {before['local_ncc']:.3f} and {after['local_ncc']:.3f}{share}"
    )
    return [found, *_contrast_lines(report["contrast"])]


def _contrast_lines(contrast: Mapping[str, Any] | None) -> list[str]:
    if contrast is None:
        return []
    if contrast["is_alike"]:
        hardly = (
            f"contrast       grey values of either image hardly predict those of the other ({contrast['curve']:.3f} "
            "along a curve), so that the correlation says little: compare edges in the picture"
        )
        return [] if contrast["is_predictable"] else [hardly]
    return [
        f"contrast       differs: shades go together along a curve ({contrast['curve']:.3f}), not along a line "
        f"({contrast['line']:.3f}), so that the correlation says little about the fit"
    ]


def _quality_lines(quality: Mapping[str, Any] | None) -> list[str]:
    if quality is None:
        return []
    q, units = quality, max(quality["units"])
    counted = "voxels" if units == 1 else f"times {units:g} voxels in plane"
    folds = f"{q['folded_voxels']} voxels, {q['folds']:.2g} of all" if q["folded_voxels"] else "none"
    return [
        f"folds          {folds}; Jacobian {q['jacobian_min']:.3f} to {q['jacobian_max']:.3f}, by any differences at "
        f"least {q['least_jacobian']:.3f}",
        f"inverse error  mean {q['inverse_error_mean']:.3f}, 99th percentile {q['inverse_error_p99']:.3f} {counted}",
    ]
