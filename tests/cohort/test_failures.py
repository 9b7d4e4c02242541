"""Every error has a class, and failures with the same cause are one group."""

from __future__ import annotations

import pytest

from warpline.cohort.failures import Failure, TimeLimitError, group_failures, signature_of
from warpline.errors import DeviceError, DeviceLostError, DeviceMemoryError, InputError, OutputError


class OutOfMemoryError(Exception):
    """As CuPy calls its own."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("x"), "input_error"),
        (OutputError("x"), "output_error"),
        (DeviceError("x"), "device_error"),
        (DeviceLostError("x"), "device_lost"),
        (DeviceMemoryError("x"), "out_of_memory"),
        (TimeLimitError("x"), "timeout"),
        (MemoryError(), "out_of_memory"),
        (OutOfMemoryError("x"), "out_of_memory"),
        (ZeroDivisionError("x"), "numeric"),
        (KeyError("x"), "unexpected"),
    ],
)
def test_every_error_has_a_class(error, kind):
    assert Failure.of(error).kind == kind
    assert Failure.from_record(Failure.of(error).as_record()) == Failure.of(error)


def test_alike_failures_are_one_group():
    one = "/data/sub-01/a b.nii.gz has 12 NaN or infinite values, the first at voxel (1, 2, 30)"
    other = "/data/sub-02/a b.nii.gz has 7 NaN or infinite values, the first at voxel (9, 2, 3)"
    assert signature_of(one) == signature_of(other)
    errors = {"1": InputError(one), "2": KeyError("k"), "3": InputError(other)}
    first, second = group_failures((id, Failure.of(error)) for id, error in errors.items())
    assert (first.count, first.example, first.message) == (2, "1", one) and second.kind == "unexpected"
