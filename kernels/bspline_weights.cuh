// Weights of B-splines of degree ORDER, for kernels over NDIM axes.
#pragma once

constexpr int TAPS = ORDER + 1;

// Weights of the taps along one axis.
struct Weights {
    double w[TAPS];

    // At x within the cell that begins at `cell`: Cox-de Boor recursion over the degrees, 10.1016/0021-9045(72)90080-9.
    __device__ void set(double x, double cell) {
        double t = x - cell;
        w[0] = 1.0;
        if (ORDER == 1) w[0] = 1.0 - t, w[TAPS - 1] = 1.0 - w[0];
        if (ORDER < 2) return;
        double u = ORDER % 2 ? t : t + 0.5;
#pragma unroll
        for (int degree = 1; degree <= ORDER; degree++) {
            double saved = 0.0;
#pragma unroll
            for (int r = 0; r < degree; r++) {
                double part = w[r] * (1.0 / degree);
                w[r] = saved + (r + 1 - u) * part;
                saved = (u + (degree - 1 - r)) * part;
            }
            w[degree] = saved;
        }
    }

    // Rotates by one place: loops that rotate weights instead of indexing them keep them in registers.
    __device__ void rotate() {
        double first = w[0];
#pragma unroll
        for (int t = 0; t < ORDER; t++) w[t] = w[t + 1];
        w[ORDER] = first;
    }
};

__device__ inline double cell_coordinate(double x) { return ORDER % 2 ? x : x + 0.5; }

// Product of the taps of an axis and those after it; long sums stay loops.
__device__ constexpr int tap_product(int axis) { return axis == NDIM ? 1 : TAPS * tap_product(axis + 1); }
__device__ constexpr bool is_looped(int axis) { return tap_product(axis) > (axis == 0 ? 64 : 30); }
