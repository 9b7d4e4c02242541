"""What images were compared by: each doubt is one sentence, and none without a doubt."""

from __future__ import annotations

from warpline.evaluation.contrast import LEAST_EXPLAINED
from warpline.registration.comparisons import LEAST_FORCE, ComparedImages, comparison_warnings
from warpline.registration.term import Counted

CURVE = {"metric": "local_cc", "weight": 1.0, "contrast": "moving like fixed"}
BESIDE = ComparedImages("self_similarity", 0.5, "as given", strength=1.0)


def test_what_is_in_order_is_not_warned_of():
    assert comparison_warnings((ComparedImages(**CURVE, explained=LEAST_EXPLAINED),)) == ()


def test_images_without_force_are_named_by_their_pair():
    idle = ComparedImages("labels", 1.0, "as given", strength=LEAST_FORCE, pair=2)
    (warning,) = comparison_warnings((BESIDE, idle))
    assert idle.is_idle and not BESIDE.is_idle and warning.startswith("pair 2 (labels) exerts no force")


def test_a_poor_curve_alone_is_warned_of():
    poor = ComparedImages(**CURVE, explained=0.3)
    (warning,) = comparison_warnings((poor,))
    assert "correlation 0.30" in warning and comparison_warnings((poor, BESIDE)) == ()


def test_what_leaves_hardly_anything_is_said_once_a_pair():
    little = {"counted": Counted(total=3.0, share=1e-5, voxels=3.0)}
    first, second = (ComparedImages(metric, 1.0, "as given", **little) for metric in ("local_cc", "self_similarity"))
    (warning,) = comparison_warnings((first, second))
    assert "leave 1e-05 of both images, as much as 3 voxels" in warning
