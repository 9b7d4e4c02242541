// B-splines of one ORDER over a cell of each of NDIM axes.
#pragma once

constexpr int TAPS = ORDER + 1;

// Weights of the elements along one axis that a value is made of.
struct Weights {
    double w[TAPS];

    // At x within the cell that begins at `cell`. The B-splines of all degrees up to ORDER over one cell, each from those
    // of the degree before (de Boor 1972, 10.1016/0021-9045(72)90080-9).
    __device__ void set(double x, double cell) {
        double t = x - cell;
        w[0] = 1.0;
        if (ORDER == 1) w[0] = 1.0 - t, w[TAPS - 1] = 1.0 - w[0];
        if (ORDER < 2) return;
        double u = ORDER % 2 ? t : t + 0.5;
#pragma unroll
        for (int degree = 1; degree <= ORDER; degree++) {
            double carried = 0.0;
#pragma unroll
            for (int r = 0; r < degree; r++) {
                double part = w[r] * (1.0 / degree);
                w[r] = carried + (r + 1 - u) * part;
                carried = (u + (degree - 1 - r)) * part;
            }
            w[degree] = carried;
        }
    }

    // The next one comes first: loops that turn weights instead of indexing them keep them in registers.
    __device__ void turn() {
        double first = w[0];
#pragma unroll
        for (int t = 0; t < ORDER; t++) w[t] = w[t + 1];
        w[ORDER] = first;
    }
};

__device__ inline double cell_of(double x) { return ORDER % 2 ? x : x + 0.5; }

// Taps of an axis and those after it, together; long sums are loops.
__device__ constexpr int taps_from(int axis) { return axis == NDIM ? 1 : TAPS * taps_from(axis + 1); }
__device__ constexpr bool is_long(int axis) { return taps_from(axis) > (axis == 0 ? 64 : 30); }
