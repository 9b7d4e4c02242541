// An array with `pad` elements more at either end of each axis: those at the ends go on, or `value` stands there.
// Called by CudaBackend.spline_coefficients, which allocates `out`. A thread is an element of the output.
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
    VALUE value, int wide, int mode, long long m) {
    long long element = (long long)blockIdx.x * BLOCK + threadIdx.x, rest = element, at = 0, stride = 1;
    if (element >= m) return;
    bool there = true;
#pragma unroll
    for (int axis = NDIM - 1; axis >= 0; axis--) {
        int n = shape.n[axis], i = (int)(rest % (n + 2 * wide)) - wide;
        there = there && i >= 0 && i < n;
        at += folded(i, n, NEAREST) * stride;
        stride *= n, rest /= n + 2 * wide;
    }
    out[element] = there || mode == NEAREST ? array[at] : value;
}
