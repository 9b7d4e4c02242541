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
#include "convert.cuh"

constexpr int BLOCK = 256, RESIDENT = NDIM > 3 ? 2 : 3, TAPS = ORDER + 1;

struct Shape {
    int n[NDIM];
};

// Index of an element of the output -> place in the array.
struct Lattice {
    double matrix[NDIM * ODIM], before[ODIM], after[NDIM];
    unsigned n[ODIM];  // of this output
    int first;         // index along its first axis

    __device__ void place(unsigned element, double x[NDIM]) const {
        double i[ODIM];
#pragma unroll
        for (int axis = ODIM - 1; axis > 0; axis--) {
            unsigned rest = element / n[axis];
            i[axis] = plus(element - rest * n[axis], before[axis]);
            element = rest;
        }
        i[0] = plus((double)first + element, before[0]);
#pragma unroll
        for (int row = 0; row < NDIM; row++) {
            x[row] = times(matrix[row * ODIM], i[0]);
#pragma unroll
            for (int axis = 1; axis < ODIM; axis++) x[row] = plus(x[row], times(matrix[row * ODIM + axis], i[axis]));
            x[row] = plus(x[row], after[row]);
        }
    }
};

// The elements along one axis that a value is made of, and their weights.
struct Taps {
    int at[TAPS];  // -1 is none
    double w[TAPS];

    // Around x; returns whether all of them are there.
    __device__ bool around(double x, int n, int mode) {
        double cell = floor(ORDER % 2 ? x : x + 0.5);
        int start = (int)fmin(fmax(cell, -1e9), 1e9) - ORDER / 2;  // NaN becomes -1e9
        bool whole = start >= 0 && start + ORDER < n;
#pragma unroll
        for (int t = 0; t < TAPS; t++) {
            at[t] = start + t;
            if (!whole) at[t] = mode != GRID_CONSTANT ? folded(start + t, n, mode) : at[t] < 0 || at[t] >= n ? -1 : at[t];
        }
        weigh(x - cell);
        return whole;
    }

    // The B-splines of all degrees up to ORDER over one cell, each from those of the degree before (de Boor 1972,
    // 10.1016/0021-9045(72)90080-9).
    __device__ void weigh(double t) {
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

    // The next one comes first.
    __device__ void turn() {
        int a = at[0];
        double b = w[0];
#pragma unroll
        for (int t = 0; t < ORDER; t++) at[t] = at[t + 1], w[t] = w[t + 1];
        at[ORDER] = a, w[ORDER] = b;
    }
};

struct Window {
    Taps axes[NDIM];
    long long strides[NDIM];
    double beyond;

    template <bool FRAMED>
    __device__ double read(const VALUE* __restrict__ from, bool there) const {
        if (FRAMED && !there) return beyond;
        return (double)__ldg(from);
    }

    // Taps of an axis and those after it, together.
    __device__ static constexpr int below(int axis) { return axis == NDIM ? 1 : TAPS * below(axis + 1); }

    // Weighted sum over an axis and those after it. Long loops turn the taps instead of indexing them, so that they stay
    // in registers; FRAMED where some of them are not there.
    template <int AXIS, bool FRAMED>
    __device__ double sum(const VALUE* __restrict__ from, bool there) {
        if constexpr (AXIS == NDIM) {
            return read<FRAMED>(from, there);
        } else {
            Taps& taps = axes[AXIS];
            double total = 0.0;
            if constexpr (FRAMED || below(AXIS) > (AXIS == 0 ? 64 : 30)) {
#pragma unroll 1
                for (int t = 0; t < TAPS; t++, taps.turn()) total += taps.w[0] * step<AXIS, FRAMED>(from, taps.at[0], there);
            } else {
#pragma unroll
                for (int t = 0; t < TAPS; t++) total += taps.w[t] * step<AXIS, FRAMED>(from, taps.at[t], there);
            }
            return total;
        }
    }

    template <int AXIS, bool FRAMED>
    __device__ double step(const VALUE* __restrict__ from, int at, bool there) {
        bool here = there && at >= 0;
        return sum<AXIS + 1, FRAMED>(FRAMED && !here ? from : from + at * strides[AXIS], here);
    }

    // The same for order 0 and 1 as SciPy adds it up.
    template <bool FRAMED>
    __device__ double corners(const VALUE* __restrict__ from) const {
        double total = 0.0;
#pragma unroll
        for (int corner = 0; corner < (ORDER == 0 ? 1 : 1 << NDIM); corner++) {
            const VALUE* at = from;
            bool there = true;
#pragma unroll
            for (int axis = 0; axis < NDIM; axis++) {
                int tap = axes[axis].at[corner >> (NDIM - 1 - axis) & 1 & ORDER];
                there = there && (!FRAMED || tap >= 0);
                at += there ? tap * strides[axis] : 0;
            }
            double value = read<FRAMED>(at, there);
#pragma unroll
            for (int axis = 0; axis < NDIM && ORDER == 1; axis++)
                value = times(value, axes[axis].w[corner >> (NDIM - 1 - axis) & 1 & ORDER]);
            total = plus(total, value);
        }
        return total;
    }

    template <bool FRAMED>
    __device__ double value(const VALUE* __restrict__ array) {
        if constexpr (ORDER < 2)
            return corners<FRAMED>(array);
        else
            return sum<0, FRAMED>(array, true);
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
    long long element = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (element >= n) return;
    double x[NDIM];
    if (at == nullptr && at32 == nullptr) lattice.place((unsigned)element, x);
    Window window;
    bool inside = true, whole = true;
    long long stride = 1;
    window.beyond = cval;
#pragma unroll
    for (int axis = NDIM - 1; axis >= 0; axis--, stride *= shape.n[axis + 1]) {
        if (at) x[axis] = __ldg(at + axis * n + element);
        if (at32) x[axis] = __ldg(at32 + axis * n + element);
        double place = brought_back(plus(x[axis], pad), shape.n[axis], mode);
        inside = inside && (place > -1.0 || mode == GRID_CONSTANT || mode == NEAREST);
        window.strides[axis] = stride;
        whole = window.axes[axis].around(place, shape.n[axis], mode) && whole;
    }
    bool framed = (mode == GRID_CONSTANT && !whole) || (ORDER < 2 && NDIM > 3);  // one way there, for fewer registers
#if ORDER == 0
    long long place = 0;
    for (int axis = 0; axis < NDIM; axis++) {
        inside = inside && (!framed || window.axes[axis].at[0] >= 0);
        place += window.axes[axis].at[0] * window.strides[axis];
    }
    if (inside && kind == AS_IT_IS) {
        ((VALUE*)out)[element] = array[place];
        return;
    }
#endif
    if (inside)
        store(out, element, kind, framed ? window.value<true>(array) : window.value<false>(array));
    else
        store_bits(out, element, width, fill);
}
