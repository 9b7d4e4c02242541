// Cubic B-spline Parzen window (Mattes et al. 2003, 10.1109/TMI.2003.809072): a value m contributes to the bins
// floor(m) - 1 ... floor(m) + 2.
#pragma once
#include "sample_points.cuh"

__device__ inline int clamped_bin(double value, int low, int high) {
    int bin = (int)floor(value);
    return bin < low ? low : bin > high ? high : bin;
}

__device__ inline void parzen(double t, double weights[4]) {
    double s = 1.0 - t;
    weights[0] = s * s * s / 6.0;
    weights[1] = (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0;
    weights[2] = (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0;
    weights[3] = t * t * t / 6.0;
}

// Derivatives of the weights by m.
__device__ inline void parzen_derivatives(double t, double slopes[4]) {
    double s = 1.0 - t;
    slopes[0] = -0.5 * s * s;
    slopes[1] = 1.5 * t * t - 2.0 * t;
    slopes[2] = 2.0 * s - 1.5 * s * s;
    slopes[3] = 0.5 * t * t;
}
