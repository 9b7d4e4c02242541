// Sums over the taps of a spline of degree ORDER around a coordinate, for arrays of VALUE over NDIM axes.
#pragma once
#include "borders.cuh"
#include "bspline_weights.cuh"

// Weighted sum over taps that all lie within the array.
struct InteriorStencil {
    Weights axes[NDIM];
    long long strides[NDIM];

    template <int AXIS>
    __device__ double sum(const VALUE* __restrict__ from) {
        if constexpr (AXIS == NDIM) {
            return (double)__ldg(from);
        } else {
            double total = 0.0;
            if constexpr (is_looped(AXIS)) {
#pragma unroll 1
                for (int t = 0; t < TAPS; t++, from += strides[AXIS], axes[AXIS].rotate())
                    total += axes[AXIS].w[0] * sum<AXIS + 1>(from);
            } else {
#pragma unroll
                for (int t = 0; t < TAPS; t++) total += axes[AXIS].w[t] * sum<AXIS + 1>(from + t * strides[AXIS]);
            }
            return total;
        }
    }

    // The same for orders 0 and 1, in SciPy's order of addition.
    __device__ double multilinear_sum(const VALUE* __restrict__ from) const {
        double total = 0.0;
#pragma unroll
        for (int corner = 0; corner < (ORDER == 0 ? 1 : 1 << NDIM); corner++) {
            long long at = 0;
#pragma unroll
            for (int axis = 0; axis < NDIM; axis++) at += (corner >> (NDIM - 1 - axis) & 1 & ORDER) * strides[axis];
            double value = (double)__ldg(from + at);
#pragma unroll
            for (int axis = 0; axis < NDIM && ORDER == 1; axis++)
                value = times(value, axes[axis].w[corner >> (NDIM - 1 - axis) & 1 & ORDER]);
            total = plus(total, value);
        }
        return total;
    }

    __device__ double value(const VALUE* __restrict__ from) {
        if constexpr (ORDER < 2)
            return multilinear_sum(from);
        else
            return sum<0>(from);
    }
};

// Weighted sum over taps of which some lie beyond the ends of the array.
struct BorderStencil {
    Weights axes[NDIM];
    int at[NDIM][TAPS];  // index along each axis, -1 for none
    long long strides[NDIM];
    double cval;

    // Sets the taps of an axis; false where the coordinate is outside.
    __device__ bool set(int axis, double x, int n, int mode) {
        double coordinate = map_coordinate(x, n, mode), cell = floor(cell_coordinate(coordinate));
        int start = (int)fmin(fmax(cell, -1e9), 1e9) - ORDER / 2;  // NaN becomes -1e9
        axes[axis].set(coordinate, cell);
#pragma unroll
        for (int t = 0; t < TAPS; t++) {
            int i = start + t;
            at[axis][t] = mode != GRID_CONSTANT ? fold_index(i, n, mode) : i < 0 || i >= n ? -1 : i;
        }
        return coordinate > -1.0 || mode == GRID_CONSTANT || mode == NEAREST;
    }

    // Orders 0 and 1 in loops over all taps, which multiply the weights in SciPy's order.
    template <int AXIS>
    __device__ double multilinear_sum(
        const VALUE* __restrict__ from, bool exists, double total, const double (&weights)[NDIM]) {
        if constexpr (AXIS == NDIM) {
            double value = exists ? (double)__ldg(from) : cval;
#pragma unroll
            for (int axis = 0; axis < NDIM && ORDER > 0; axis++) value = times(value, weights[axis]);
            return plus(total, value);
        } else {
#pragma unroll 1
            for (int t = 0; t < TAPS; t++, rotate(AXIS)) {
                double next_weights[NDIM];
#pragma unroll
                for (int axis = 0; axis < AXIS; axis++) next_weights[axis] = weights[axis];
                next_weights[AXIS] = axes[AXIS].w[0];
                bool has_tap = exists && at[AXIS][0] >= 0;
                total = multilinear_sum<AXIS + 1>(
                    has_tap ? from + at[AXIS][0] * strides[AXIS] : from, has_tap, total, next_weights);
            }
            return total;
        }
    }

    // Other orders as in InteriorStencil.
    template <int AXIS>
    __device__ double sum(const VALUE* __restrict__ from, bool exists) {
        if constexpr (AXIS == NDIM) {
            return exists ? (double)__ldg(from) : cval;
        } else {
            double total = 0.0;
            if constexpr (is_looped(AXIS)) {
#pragma unroll 1
                for (int t = 0; t < TAPS; t++, rotate(AXIS)) total += term<AXIS>(from, exists, 0);
            } else {
#pragma unroll
                for (int t = 0; t < TAPS; t++) total += term<AXIS>(from, exists, t);
            }
            return total;
        }
    }

    template <int AXIS>
    __device__ double term(const VALUE* __restrict__ from, bool exists, int t) {
        bool has_tap = exists && at[AXIS][t] >= 0;
        return axes[AXIS].w[t] * sum<AXIS + 1>(has_tap ? from + at[AXIS][t] * strides[AXIS] : from, has_tap);
    }

    // Rotates weights and indices of an axis by one place.
    __device__ void rotate(int axis) {
        axes[axis].rotate();
        int first = at[axis][0];
#pragma unroll
        for (int t = 0; t < ORDER; t++) at[axis][t] = at[axis][t + 1];
        at[axis][ORDER] = first;
    }

    __device__ double value(const VALUE* __restrict__ from) {
        if constexpr (ORDER < 2)
            return multilinear_sum<0>(from, true, 0.0, {});
        else
            return sum<0>(from, true);
    }
};
