// Spline interpolation by the rules of scipy.ndimage: out(p) = array(x_p), in double. Orders 0 and 1 add up in SciPy's
// order, unfused, so that they give its bits. `array` has NDIM axes, and holds spline coefficients where ORDER is 2 or
// more. The coordinates x_p are given for every element of `out`, or are matrix (i + before) + after of its index i.
// A thread is an element of the output:
//   1. Read or compute its coordinates.
//   2. If all taps lie within the array: a weighted sum over them (InteriorStencil).
//   3. Otherwise map coordinates and taps by the boundary mode (BorderStencil): slower, and few.
// Called by CudaBackend.interpolate; `out` is the caller's. Moves the array once if neighbours have neighbouring taps,
// the coordinates once, the output once.
#ifndef NDIM
#define NDIM 3
#endif
#ifndef ODIM
#define ODIM NDIM
#endif
#ifndef ORDER
#define ORDER 1
#endif
#ifndef VALUE
#define VALUE float
#endif
#include "convert.cuh"
#include "spline_stencils.cuh"

constexpr int BLOCK = 256, BLOCK_K = 32, BLOCK_J = 8, RESIDENT = NDIM > 3 || ORDER > 4 ? 2 : 3;

struct Shape {
    int n[NDIM];
};

// Coordinates as an affine function of the index of an element of the output.
struct AffineCoordinates {
    double matrix[NDIM * ODIM], before[ODIM], after[NDIM];
    unsigned n[ODIM];  // of this output
    int first;         // index along its first axis

    // Index of this thread's element, or -1, and its coordinates. One-dimensional blocks count elements consecutively;
    // two-dimensional ones tile the last two axes, which spares divisions.
    __device__ long long of_thread(double x[NDIM]) const {
        unsigned i[ODIM], rest;
        int axis = ODIM - 1;
        if (blockDim.y == 1) {
            rest = blockIdx.x * BLOCK + threadIdx.x;
        } else {
            i[axis] = blockIdx.x * BLOCK_K + threadIdx.x, axis--;
            if (ODIM > 1) i[axis] = blockIdx.y * BLOCK_J + threadIdx.y, axis--;
            rest = blockIdx.z;
        }
#pragma unroll
        for (int a = ODIM - 1; a > 0; a--)
            if (a <= axis) i[a] = rest % n[a], rest /= n[a];
        if (axis >= 0) i[0] = rest;
        long long element = 0;
        bool exists = true;
        double at[ODIM];
#pragma unroll
        for (int a = 0; a < ODIM; a++) {
            exists = exists && i[a] < n[a];
            element = element * n[a] + i[a];
            at[a] = plus(a == 0 ? (double)first + i[a] : (double)i[a], before[a]);
        }
#pragma unroll
        for (int row = 0; row < NDIM; row++) {
            x[row] = after[row];
#pragma unroll
            for (int a = 0; a < ODIM; a++) x[row] = plus(x[row], times(matrix[row * ODIM + a], at[a]));
        }
        return exists ? element : -1;
    }
};

extern "C" __global__ void __launch_bounds__(256, RESIDENT) interpolate(
    const VALUE* __restrict__ array,  // (size)
    Shape shape,                      // of the array
    const double* __restrict__ at,    // (ndim, n) or null: coordinates ...
    const float* __restrict__ at32,   // (ndim, n) or null: ... in single precision
    AffineCoordinates affine,         // ... where neither is there
    unsigned char* __restrict__ out,  // (bytes): n elements
    unsigned long long fill,          // bits of an element outside
    double cval, double pad, long long n, int mode, int type, int width) {
    double x[NDIM];
    long long element;
    if (at == nullptr && at32 == nullptr) {
        element = affine.of_thread(x);
        if (element < 0) return;
    } else {
        element = (long long)blockIdx.x * BLOCK + threadIdx.x;
        if (element >= n) return;
#pragma unroll
        for (int axis = 0; axis < NDIM; axis++)
            x[axis] = at ? __ldg(at + axis * n + element) : (double)__ldg(at32 + axis * n + element);
    }
    out += element * width;
    InteriorStencil interior;
    int start[NDIM];
    bool is_interior = true;
    long long stride = 1, from = 0;
#pragma unroll
    for (int axis = NDIM - 1; axis >= 0; axis--, stride *= shape.n[axis + 1]) {
        x[axis] = plus(x[axis], pad);
        start[axis] = (int)((unsigned)__double2int_rd(cell_coordinate(x[axis])) - ORDER / 2);
        is_interior = is_interior && start[axis] >= 0 && start[axis] < shape.n[axis] - ORDER;
        if (ORDER == 0) is_interior = is_interior && x[axis] >= 0.0 && x[axis] <= shape.n[axis] - 1.0;
        interior.strides[axis] = stride;
    }
    if (is_interior) {
#pragma unroll
        for (int axis = 0; axis < NDIM; axis++) {
            from += start[axis] * interior.strides[axis];
            interior.axes[axis].set(x[axis], start[axis] + ORDER / 2);
        }
        if (type == SAME_TYPE)
            *(VALUE*)out = array[from];
        else
            store(out, type, interior.value(array + from));
        return;
    }
    BorderStencil border;
    border.cval = cval;
    bool inside = true;
    from = 0;
#pragma unroll
    for (int axis = 0; axis < NDIM; axis++) {
        border.strides[axis] = interior.strides[axis];
        inside = border.set(axis, x[axis], shape.n[axis], mode) && inside;
        if (ORDER == 0) inside = inside && border.at[axis][0] >= 0;
        if (ORDER == 0) from += border.at[axis][0] * interior.strides[axis];
    }
    if (!inside)
        store_bits(out, width, fill);
    else if (type == SAME_TYPE)
        *(VALUE*)out = array[from];
    else
        store(out, type, border.value(array));
}
