// An array padded by `width` elements at either end of each axis: with its end elements (mode nearest), or with
// `value`. Called by CudaBackend.spline_coefficients; `out` is the caller's. A thread is an element of the output.
// Moves the array in and the padded one out.
#ifndef NDIM
#define NDIM 3
#endif
#ifndef VALUE
#define VALUE float
#endif
#include "borders.cuh"

constexpr int BLOCK = 256;

struct Shape {
    int n[NDIM];
};

extern "C" __global__ void __launch_bounds__(256) pad(
    const VALUE* __restrict__ array,  // (size)
    Shape shape,                      // of the array
    VALUE* __restrict__ out,          // (m)
    VALUE value, int width, int mode, long long m) {
    long long element = (long long)blockIdx.x * BLOCK + threadIdx.x, rest = element, at = 0, stride = 1;
    if (element >= m) return;
    bool is_inside = true;
#pragma unroll
    for (int axis = NDIM - 1; axis >= 0; axis--) {
        int n = shape.n[axis], i = (int)(rest % (n + 2 * width)) - width;
        is_inside = is_inside && i >= 0 && i < n;
        at += fold_index(i, n, NEAREST) * stride;
        stride *= n, rest /= n + 2 * width;
    }
    out[element] = is_inside || mode == NEAREST ? array[at] : value;
}
