// Spline interpolation by the rules of scipy.ndimage: out(p) = array(x_p). The places x_p are given for every element of
// `out`, or follow from its index i as matrix (i + before) + after. `array` has NDIM axes and holds spline coefficients
// where ORDER is 2 or more. Everything is computed in double; orders 0 and 1 do the sums of SciPy in its order, so that
// they give its bits.
// Called by CudaBackend.interpolate, which allocates `out`. A thread is an element of the output. Moves the array once if
// neighbours look at neighbours, the places once, the output once.
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
#include "borders.cuh"
#include "bsplines.cuh"
#include "convert.cuh"

constexpr int BLOCK = 256, BLOCK_K = 32, BLOCK_J = 8, RESIDENT = NDIM > 3 || ORDER > 4 ? 2 : 3;

struct Shape {
    int n[NDIM];
};

// Index of an element of the output -> place in the array.
struct Lattice {
    double matrix[NDIM * ODIM], before[ODIM], after[NDIM];
    unsigned n[ODIM];  // of this output
    int first;         // index along its first axis

    // The element of this thread, -1 for none. Blocks of one row of threads count elements one after the other; others
    // take rows of the last two axes, which spares divisions.
    __device__ long long place(double x[NDIM]) const {
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
        bool there = true;
        double at[ODIM];
#pragma unroll
        for (int a = 0; a < ODIM; a++) {
            there = there && i[a] < n[a];
            element = element * n[a] + i[a];
            at[a] = plus(a == 0 ? (double)first + i[a] : (double)i[a], before[a]);
        }
#pragma unroll
        for (int row = 0; row < NDIM; row++) {
            x[row] = times(matrix[row * ODIM], at[0]);
#pragma unroll
            for (int a = 1; a < ODIM; a++) x[row] = plus(x[row], times(matrix[row * ODIM + a], at[a]));
            x[row] = plus(x[row], after[row]);
        }
        return there ? element : -1;
    }
};

// A value all of whose elements lie within the array, next to each other.
struct Inner {
    Weights axes[NDIM];
    long long strides[NDIM];

    template <int AXIS>
    __device__ double sum(const VALUE* __restrict__ from) {
        if constexpr (AXIS == NDIM) {
            return (double)__ldg(from);
        } else {
            double total = 0.0;
            if constexpr (is_long(AXIS)) {
#pragma unroll 1
                for (int t = 0; t < TAPS; t++, from += strides[AXIS], axes[AXIS].turn())
                    total += axes[AXIS].w[0] * sum<AXIS + 1>(from);
            } else {
#pragma unroll
                for (int t = 0; t < TAPS; t++) total += axes[AXIS].w[t] * sum<AXIS + 1>(from + t * strides[AXIS]);
            }
            return total;
        }
    }

    // The same for order 0 and 1 as SciPy adds it up.
    __device__ double corners(const VALUE* __restrict__ from) const {
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
            return corners(from);
        else
            return sum<0>(from);
    }
};

// A value some of whose elements lie beyond the ends of the array, in the rim of the output: slow, and small.
struct Rim {
    Weights axes[NDIM];
    int at[NDIM][TAPS];  // index along each axis, -1 for none
    long long strides[NDIM];
    double beyond;

    // Whether there is such a value.
    __device__ bool set(int axis, double x, int n, int mode) {
        double place = brought_back(x, n, mode), cell = floor(cell_of(place));
        int start = (int)fmin(fmax(cell, -1e9), 1e9) - ORDER / 2;  // NaN becomes -1e9
        axes[axis].set(place, cell);
#pragma unroll
        for (int t = 0; t < TAPS; t++) {
            int i = start + t;
            at[axis][t] = mode != GRID_CONSTANT ? folded(i, n, mode) : i < 0 || i >= n ? -1 : i;
        }
        return place > -1.0 || mode == GRID_CONSTANT || mode == NEAREST;
    }

    // As `Inner`, by loops over all taps; order 0 and 1 weigh each element by one axis after the other, as SciPy does.
    template <int AXIS>
    __device__ double sum(const VALUE* __restrict__ from, bool there, double total, const double (&weights)[NDIM]) {
        if constexpr (AXIS == NDIM) {
            double value = there ? (double)__ldg(from) : beyond;
#pragma unroll
            for (int axis = 0; axis < NDIM && ORDER > 0; axis++) value = times(value, weights[axis]);
            return plus(total, value);
        } else {
#pragma unroll 1
            for (int t = 0; t < TAPS; t++) {
                double further[NDIM];
#pragma unroll
                for (int axis = 0; axis < AXIS; axis++) further[axis] = weights[axis];
                further[AXIS] = axes[AXIS].w[0];
                bool here = there && at[AXIS][0] >= 0;
                total = sum<AXIS + 1>(here ? from + at[AXIS][0] * strides[AXIS] : from, here, total, further);
                axes[AXIS].turn();
                int first = at[AXIS][0];
#pragma unroll
                for (int next = 0; next < ORDER; next++) at[AXIS][next] = at[AXIS][next + 1];
                at[AXIS][ORDER] = first;
            }
            return total;
        }
    }
};

extern "C" __global__ void __launch_bounds__(256, RESIDENT) interpolate(
    const VALUE* __restrict__ array,   // (size)
    Shape shape,                       // of the array
    const double* __restrict__ at,     // (ndim, n) or null: places ...
    const float* __restrict__ at32,    // (ndim, n) or null: ... in single precision
    Lattice lattice,                   // ... where neither is there
    unsigned char* __restrict__ out,   // (bytes): n elements
    unsigned long long fill,           // bits of an element outside
    double cval, double pad, long long n, int mode, int kind, int width) {
    double x[NDIM];
    long long element;
    if (at == nullptr && at32 == nullptr) {
        element = lattice.place(x);
        if (element < 0) return;
    } else {
        element = (long long)blockIdx.x * BLOCK + threadIdx.x;
        if (element >= n) return;
#pragma unroll
        for (int axis = 0; axis < NDIM; axis++)
            x[axis] = at ? __ldg(at + axis * n + element) : (double)__ldg(at32 + axis * n + element);
    }
    out += element * width;
    Inner inner;
    int start[NDIM];
    bool whole = true;
    long long stride = 1, from = 0;
#pragma unroll
    for (int axis = NDIM - 1; axis >= 0; axis--, stride *= shape.n[axis + 1]) {
        x[axis] = plus(x[axis], pad);
        start[axis] = (int)((unsigned)__double2int_rd(cell_of(x[axis])) - ORDER / 2);
        whole = whole && start[axis] >= 0 && start[axis] < shape.n[axis] - ORDER;
        if (ORDER == 0) whole = whole && x[axis] >= 0.0 && x[axis] <= shape.n[axis] - 1.0;
        inner.strides[axis] = stride;
    }
    if (whole) {
#pragma unroll
        for (int axis = 0; axis < NDIM; axis++) {
            from += start[axis] * inner.strides[axis];
            inner.axes[axis].set(x[axis], start[axis] + ORDER / 2);
        }
        if (kind == AS_IT_IS)
            *(VALUE*)out = array[from];
        else
            store(out, kind, inner.value(array + from));
        return;
    }
    Rim rim;
    rim.beyond = cval;
    bool inside = true;
    from = 0;
#pragma unroll
    for (int axis = 0; axis < NDIM; axis++) {
        rim.strides[axis] = inner.strides[axis];
        inside = rim.set(axis, x[axis], shape.n[axis], mode) && inside;
        if (ORDER == 0) inside = inside && rim.at[axis][0] >= 0;
        if (ORDER == 0) from += rim.at[axis][0] * inner.strides[axis];
    }
    if (!inside)
        store_bits(out, width, fill);
    else if (kind == AS_IT_IS)
        *(VALUE*)out = array[from];
    else
        store(out, kind, rim.sum<0>(array, true, 0.0, {}));
}
