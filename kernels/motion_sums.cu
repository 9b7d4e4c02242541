// Sums over the points of a reference from which the motion of volumes follows, of many fits at once (one blockIdx.y
// each). With v the cubic spline of the volume of a fit at matrix (x, 1), r the ROWS numbers of the point and w its
// weight: sum w r v, sum w v^2, sum w, and the number of points; those beyond the bounds do not count.
//   1. A grid-stride loop over the points: interpolate v, add to the sums in registers.
//   2. Add the sums up over the block, then over the blocks of the fit by the last of them, in a fixed order.
// Called by CudaMotion.sums; `values` is the caller's, `partial` is scratch, `arrived` starts and ends at 0. Moves
// 16 + 4 ROWS bytes per point and fit, and gathers 64 coefficients of 8 bytes.
#ifndef ROWS
#define ROWS 11
#endif
#define NDIM 3
#define ORDER 3
#include "bspline_weights.cuh"
#include "sample_points.cuh"

struct Bounds {
    double low[3], high[3];

    __device__ bool contain(const double y[3]) const {
        bool contained = true;
        for (int axis = 0; axis < 3; axis++) contained = contained && y[axis] >= low[axis] && y[axis] <= high[axis];
        return contained;
    }
};

// The four taps of a coordinate, clamped into the axis; those beyond its ends are mirrored.
struct Taps {
    Weights weights;
    int at[4];

    __device__ Taps(double y, int n) {
        double x = fmin(fmax(y, 0.0), n - 1.0), cell = floor(x);
        weights.set(x, cell);
#pragma unroll
        for (int t = 0; t < 4; t++) at[t] = mirrored((int)cell - 1 + t, n);
    }

    __device__ void rotate() {
        weights.rotate();
        int first = at[0];
        at[0] = at[1], at[1] = at[2], at[2] = at[3], at[3] = first;
    }
};

__device__ inline double spline_value(const double* __restrict__ coefficients, Box box, const double y[3]) {
    Taps i(y[0], box.ni), j(y[1], box.nj), k(y[2], box.nk);
    double total = 0.0;
#pragma unroll 1
    for (int a = 0; a < 4; a++, i.rotate()) {
        double plane = 0.0;
#pragma unroll
        for (int b = 0; b < 4; b++) {
            const double* row = coefficients + box.at(i.at[0], j.at[b], 0);
            double line = 0.0;
#pragma unroll
            for (int c = 0; c < 4; c++) line += k.weights.w[c] * __ldg(row + k.at[c]);
            plane += j.weights.w[b] * line;
        }
        total += i.weights.w[0] * plane;
    }
    return total;
}

extern "C" __global__ void __launch_bounds__(256) motion_sums(
    const double* __restrict__ coefficients,  // (volumes, ni, nj, nk)
    const float* __restrict__ points,         // (count, 3) voxels of the reference
    const float* __restrict__ rows,           // (count, rank)
    const double* __restrict__ matrices,      // (many, 12): point -> voxel of the volume
    const int* __restrict__ which,            // (many): volume of each fit
    Bounds bounds,                            // coordinates at which a volume counts
    const float* __restrict__ weights,        // (many, count) or null
    float* __restrict__ values,               // (many, count): v, NaN beyond the bounds
    double* partial,                          // (many, sums, blocks)
    unsigned* arrived,                        // (many)
    double* out,                              // (many, sums)
    long long count, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    int fit = blockIdx.y;
    Matrix matrix;
    for (int entry = 0; entry < 12; entry++) matrix.m[entry] = matrices[12 * fit + entry];
    const double* volume = coefficients + which[fit] * box.size();
    double sums[ROWS + 3] = {};
    for (long long p = (long long)blockIdx.x * BLOCK + threadIdx.x; p < count; p += (long long)gridDim.x * BLOCK) {
        const float *x = points + 3 * p, *row = rows + ROWS * p;
        double y[3];
        for (int axis = 0; axis < 3; axis++) y[axis] = matrix.row(axis, x[0], x[1], x[2]);
        bool counts = bounds.contain(y);
        float value = counts ? (float)spline_value(volume, box, y) : nanf("");
        values[fit * count + p] = value;
        if (!counts) continue;
        double weight = weights ? weights[fit * count + p] : 1.0, weighted = weight * value;
#pragma unroll
        for (int q = 0; q < ROWS; q++) sums[q] += weighted * row[q];
        sums[ROWS] += weighted * value;
        sums[ROWS + 1] += weight;
        sums[ROWS + 2] += 1.0;
    }
    constexpr int COUNT = ROWS + 3;
    sum_over_grid<COUNT>(sums, partial + (long long)COUNT * gridDim.x * fit, arrived + fit, out + COUNT * fit);
}
