// Boundary modes of scipy.ndimage, and arithmetic that is never fused, so that ties and borders fall as they do there.
#pragma once

constexpr int CONSTANT = 0, GRID_CONSTANT = 1, NEAREST = 2, REFLECT = 3, MIRROR = 4, WRAP = 5, GRID_WRAP = 6;

__device__ inline double times(double a, double b) { return __dmul_rn(a, b); }
__device__ inline double plus(double a, double b) { return __dadd_rn(a, b); }

// Index i of an axis of n continued beyond its ends, folded back into it. Taps of the modes without a continuation of
// their own (constant, wrap) are mirrored.
__device__ inline int fold_index(int i, int n, int mode) {
    if (i >= 0 && i < n) return i;
    if (mode == NEAREST) return i < 0 ? 0 : n - 1;
    if (n == 1) return 0;
    int period = mode == GRID_WRAP ? n : mode == REFLECT ? 2 * n : 2 * (n - 1);
    int at = i % period;
    if (at < 0) at += period;
    return at < n ? at : mode == REFLECT ? period - 1 - at : period - at;
}

// The largest multiple of a period within x, towards 0.
__device__ inline double whole_periods(double x, double period) { return times(period, trunc(x / period)); }

// SciPy's map_coordinate: a coordinate beyond the ends of an axis of n mapped back into it, -1 where it is outside; one
// that is not finite becomes NaN or -1.
__device__ inline double map_coordinate(double x, int n, int mode) {
    if (mode == GRID_CONSTANT || mode == NEAREST) return x;
    double last = n - 1.0;
    if (x >= 0.0 && x <= last) return x;
    if (mode == CONSTANT) return -1.0;
    if (!(x >= -1e300 && x <= 1e300)) return -1.0;
    if (n == 1) return 0.0;
    double period = mode == GRID_WRAP ? n : mode == WRAP ? last : mode == REFLECT ? 2.0 * n : 2.0 * last;
    if (x < 0.0) {
        if (mode == WRAP) return plus(x, times(period, trunc(-x / period) + 1.0));
        if (mode == GRID_WRAP) return plus(x, times(period, trunc((-1.0 - x) / period) + 1.0));
        if (mode == MIRROR || x < -period) x = plus(x, whole_periods(-x, period));
        if (mode == MIRROR) return x <= -last ? plus(x, period) : -x;
        return x < -n ? plus(x, period) : plus(x > -1e-15 ? 1e-15 : -x, -1.0);  // -1 itself would be outside
    }
    x = plus(x, -whole_periods(x, period));
    if (mode == WRAP || mode == GRID_WRAP || x < n) return x;
    return mode == MIRROR ? plus(period, -x) : plus(plus(period, -x), -1.0);
}
