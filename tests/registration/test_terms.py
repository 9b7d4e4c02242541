"""Terms of a level: several are added up by their weights, and contrasts are shown as they fit best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synthetic import ellipsoid, pair_with_known_map
from warpline.evaluation.contrast import LEAST_EXPLAINED
from warpline.images import Image
from warpline.images.intensity import normalise
from warpline.metrics import CHANNEL_METRICS
from warpline.recipe import Syn
from warpline.recipe.syn import UNLIKE
from warpline.registration.comparisons import comparison_warnings
from warpline.registration.contrast import CURVES
from warpline.registration.cropping import crop_pair, own_channel
from warpline.registration.pyramid import SharedLevel
from warpline.registration.terms import LEAST_OF_FIRST, LevelStart, Terms
from warpline.registration.update_smoothing import UpdateSmoothing
from warpline.space import Affine

SHAPE = (24, 22, 20)
AS_GIVEN = Syn(contrast="given")


def tissues(seed=3):
    """Fixed and moving image of five grey values on a background of 0, blurred as scanners do."""
    images = []
    for volume in pair_with_known_map(SHAPE, seed)[:2]:
        steps = np.digitize(volume, [0.35, 0.45, 0.55, 0.65]) / 4
        images.append(gaussian_filter(np.where(ellipsoid(SHAPE, 0.36), 0.2 + 0.8 * steps, 0), 0.5))
    return [np.where(image > 0.02, image, 0).astype(np.float32) for image in images]


def inverted(volume):
    """The object with its grey values turned round, the background as it was."""
    return np.where(volume > 0, 1.2 - volume, 0).astype(np.float32)


def normalised(images, backend):
    return [normalise(Image.from_array(image), backend) for image in images]


def pair_of(images, backend, *, metrics=(None,), weights=(1.0,)):
    """Channels of the same images for each metric, with its weight."""
    pair = crop_pair(*normalised(images, backend), Affine.identity(), backend=backend)
    own = own_channel(*normalised(images, backend), backend=backend)
    further = (replace(own, metric=m, weight=w) for m, w in zip(metrics[1:], weights[1:], strict=True))
    return replace(pair, channels=(replace(pair.channels[0], metric=metrics[0], weight=weights[0]), *further))


class Level:
    """Terms on a level of the size of the images, ready to be asked for forces."""

    def __init__(self, pair, backend, options=AS_GIVEN, first=(), shown=None):
        self.backend, level = backend, SharedLevel.of(pair.grid, 1.0)
        self.field = (2, 3, *level.grid.shape)
        self.half_maps = backend.zeros(self.field)
        self.smoothing = UpdateSmoothing(self.field, 1.5, (), backend)
        self.terms = Terms.of(pair, LevelStart(level, self.half_maps, shown), options, backend)
        self.terms.share_memory(backend.empty(self.field))
        self.terms.balance(self.half_maps, self.smoothed, first)

    def smoothed(self, forces):
        out, norm = self.backend.empty(self.field), self.backend.zeros((2,))
        self.smoothing.smooth(forces, out=out, out_norm=norm)
        return out

    def forces(self):
        out = self.backend.empty(self.field)
        self.terms.compute_forces(self.half_maps, out)
        return out

    def strength(self, forces):
        """Root mean square of smoothed forces."""
        return np.sqrt(np.square(np.float64(self.backend.download(self.smoothed(forces)))).mean())

    def strengths(self):
        return [float(self.backend.download(one)[0]) for one in self.terms.strengths]


def test_one_term_is_not_scaled(backend):
    level = Level(pair_of(tissues(), backend), backend)
    assert level.terms.strengths == () and not level.terms.are_summed
    assert level.strength(level.forces()) > 0


@pytest.mark.parametrize("second", ["mean_squares", "self_similarity"])
def test_forces_are_the_weighted_sum_of_those_of_the_terms(backend, second):
    metrics, weights = ("local_cc", second), (1.0, 0.25)
    images = tissues()
    both = Level(pair_of(images, backend, metrics=metrics, weights=weights), backend)
    alone = [Level(pair_of(images, backend, metrics=(metric,)), backend) for metric in metrics]
    expected = backend.empty(both.field)
    for n, (level, weight) in enumerate(zip(alone, weights, strict=True)):
        forces = level.forces()
        strength = level.strength(forces)
        assert both.strengths()[n] == pytest.approx(strength, rel=1e-5)
        scale = backend.upload(np.array([weight / strength], np.float32))
        backend.add_weighted(forces, scale, out=expected, start=n == 0)
    found, expected = (np.array(backend.download(forces)) for forces in (both.forces(), expected))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("metric", ["correlation", "mutual_information"])
def test_values_of_whole_images_are_no_means(backend, metric):
    """However little a mask leaves, the value is that of what it leaves."""
    pair = pair_of(tissues(), backend, metrics=(metric,))
    mask = np.zeros(pair.grid.shape, np.float32)
    mask[6:14, 6:14, 6:14] = 1
    level = Level(replace(pair, channels=(replace(pair.channels[0], fixed_mask=backend.upload(mask)),)), backend)
    level.forces()
    images, value = level.terms.middle_images(level.half_maps), backend.zeros((1,), np.float64)
    counted = backend.upload(mask)
    CHANNEL_METRICS[metric](AS_GIVEN).forces(images, backend.empty(level.field), value, mask=counted, backend=backend)
    found, expected = (float(backend.download(one)[0]) for one in (level.terms.energy(), value))
    assert found == pytest.approx(expected, rel=1e-3) and expected < -0.05


def test_forces_are_as_strong_as_their_weights(backend):
    """Whatever the metrics: a term that is added twice as heavily adds its weight once more."""
    metrics, images = ("local_cc", "mutual_information"), tissues()
    levels = [Level(pair_of(images, backend, metrics=metrics, weights=(1.0, w)), backend) for w in (0.5, 1.0)]
    half, whole = (level.forces() for level in levels)
    ratio = np.divide(*levels[0].strengths())
    assert not 0.5 < ratio < 2  # as they are, one would drown the other
    assert levels[0].strength(whole - half) == pytest.approx(0.5, rel=1e-3)
    assert levels[0].strength(2 * half - whole) == pytest.approx(1.0, rel=1e-3)


def test_what_fits_already_is_not_scaled_up_in_full(backend):
    pair = pair_of(tissues(), backend, metrics=("local_cc", "mean_squares"), weights=(1.0, 1.0))
    start = Level(pair, backend)
    known = [strength * factor for strength, factor in zip(start.terms.strengths, (1.0, 100.0), strict=True)]
    finer = Level(pair, backend, first=known)
    assert finer.strengths() == pytest.approx(np.multiply(start.strengths(), (1, 100)))
    added = finer.forces() - Level(pair_of(tissues(), backend, metrics=("local_cc",)), backend).forces() * (
        np.float32(1 / start.strengths()[0])
    )
    assert finer.strength(added) == pytest.approx(1 / (100 * LEAST_OF_FIRST), rel=1e-3)


def test_no_forces_at_the_start_are_not_scaled_up(backend):
    """Else the slightest motion would be more to a pair of equal images than anything is to the others."""
    images = tissues()
    pair = pair_of(images, backend)
    own = own_channel(*normalised([images[0]] * 2, backend), backend=backend)
    level = Level(replace(pair, channels=(*pair.channels, own)), backend)
    level.half_maps[0, 0] = 0.25
    assert level.strength(level.forces()) < 10


def shown(images, backend, options, metric=None):
    return Level(pair_of(images, backend, metrics=(metric,)), backend, options).terms.shown


def test_like_contrasts_are_compared_as_given(backend):
    assert shown(tissues(), backend, Syn(contrast="auto")) == ("as given",)


def test_an_inverted_contrast_is_shown_through_a_curve(backend):
    fixed, moving = tissues()
    for images in ((fixed, inverted(moving)), (inverted(fixed), moving)):
        (how,) = shown(images, backend, Syn(contrast="auto"))
        assert how in ("moving like fixed", "fixed like moving")


def unrelated():
    """Objects whose grey values predict each other poorly: tissues inverted, faintly, in a strong field."""
    fixed, moving = tissues()
    field = gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 2)
    changed = 0.3 * inverted(moving) + 0.25 * field / field.std()
    return fixed, np.where(moving > 0, np.clip(changed, 0.05, None), 0).astype(np.float32)


def test_what_a_curve_explains_poorly_is_compared_otherwise_too(backend):
    pair = pair_of(unrelated(), backend)
    level = Level(pair, backend, Syn())
    compared = level.terms.compared()
    assert [(one.metric, one.weight, one.pair) for one in compared] == [
        ("local_cc", 1, 1),
        *((term.metric, term.weight, 1) for term in UNLIKE),
    ]
    assert compared[0].contrast != "as given" and compared[0].explained < LEAST_EXPLAINED
    assert comparison_warnings(compared) == ()
    finer = Level(pair, backend, Syn(), first=level.terms.strengths, shown=level.terms.shown)
    assert finer.terms.shown == level.terms.shown


@pytest.mark.parametrize("options", [Syn(beside=()), Syn(contrast="predicted")])
def test_a_poor_curve_alone_is_warned_of(backend, options):
    compared = Level(pair_of(unrelated(), backend), backend, options).terms.compared()
    assert len(compared) == 1
    (warning,) = comparison_warnings(compared)
    assert "predict each other poorly" in warning and "syn-contrast" in warning


def test_a_curve_that_explains_is_enough(backend):
    fixed, moving = tissues()
    (only,) = Level(pair_of((fixed, inverted(moving)), backend), backend, Syn()).terms.compared()
    assert only.explained > LEAST_EXPLAINED and comparison_warnings((only,)) == ()


@pytest.mark.parametrize("metric", ["local_cc", "mean_squares"])
def test_contrasts_are_shown_as_the_recipe_says(backend, metric):
    fixed, moving = tissues()
    for other in (moving, inverted(moving)):
        assert shown((fixed, other), backend, Syn(contrast="given"), metric) == ("as given",)
        assert shown((fixed, other), backend, Syn(contrast="predicted"), metric) != ("as given",)


def test_metrics_of_any_contrast_see_images_as_given(backend):
    fixed, moving = tissues()
    for contrast in ("auto", "predicted"):
        options = Syn(contrast=contrast)
        assert shown((fixed, inverted(moving)), backend, options, "mutual_information") == ("as given",)


@pytest.mark.parametrize("first", CURVES)
def test_every_level_takes_the_curve_that_fits_best(backend, first):
    """Grey values that the contrast of the moving image made alike do not say what they were."""
    fixed, _ = tissues()
    folded = np.where(fixed > 0, np.abs(fixed - 0.6) + 0.2, 0).astype(np.float32)
    for images, best in (((fixed, folded), "fixed like moving"), ((folded, fixed), "moving like fixed")):
        level = Level(pair_of(images, backend), backend, Syn(contrast="auto"), shown=(first,))
        assert level.terms.shown == (best,)


def test_what_was_compared_as_given_stays_so(backend):
    fixed, moving = tissues()
    pair = pair_of((fixed, inverted(moving)), backend)
    assert Level(pair, backend, Syn(contrast="auto"), shown=("as given",)).terms.shown == ("as given",)
