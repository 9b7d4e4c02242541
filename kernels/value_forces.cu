// Forces of a table over the grey values of two volumes: its slopes, linear between its cells, times the gradients. No
// force off the mask, on the outer faces, and for values beyond the span.
// A thread marches along i over `length` voxels, with the differences of squared_difference.cu; the table lies in shared
// memory where BINS is at most 96.
// Called by CudaBackend.mutual_information_forces after value_histogram.cu, which makes the table. Moves 8 bytes in (12
// with a mask) and 24 out per voxel.
#ifndef BINS
#define BINS 64
#endif
#include "axial_column.cuh"
#include "grey_value_bins.cuh"

constexpr bool IN_SHARED = BINS <= 96;
constexpr int CELLS = BINS * BINS;

__shared__ float shared_table[IN_SHARED ? CELLS : 1];

// Slopes along both axes of the histogram, of the table between its cells.
struct Slopes {
    float by_fixed, by_moving;

    __device__ Slopes(const float* table, Bin f, Bin m) {
        const float* cell = table + f.below * BINS + m.below;
        float first = cell[0], second = cell[1], third = cell[BINS], fourth = cell[BINS + 1];
        by_fixed = lerp(third - first, fourth - second, m.above);
        by_moving = lerp(second - first, fourth - third, f.above);
    }
};

__device__ inline bool feels(float value, Span span) { return value > span.low && value < span.high; }

__device__ inline void store_force(float* __restrict__ out, Box box, Voxel v, float factor, Vector slope) {
    store(out, box, v, {factor * slope.x, factor * slope.y, factor * slope.z});
}

extern "C" __global__ void __launch_bounds__(256) value_forces(
    const float* __restrict__ fixed,   // (ni, nj, nk)
    const float* __restrict__ moving,  // (ni, nj, nk)
    const float* __restrict__ mask,    // (ni, nj, nk) or null: weights, no voxel where not positive
    const float* __restrict__ table,   // (cells)
    float* __restrict__ out_fixed,     // (3, ni, nj, nk)
    float* __restrict__ out_moving,    // (3, ni, nj, nk)
    float low, float high, float scale, int length, int cells, int ni, int nj, int nk) {
    int thread = (int)(threadIdx.y * blockDim.x + threadIdx.x);
    for (int c = thread; IN_SHARED && c < CELLS; c += BLOCK) shared_table[c] = table[c];
    __syncthreads();
    const float* cells_of_table = IN_SHARED ? shared_table : table;
    Box box = {ni, nj, nk};
    Span span = {low, high, scale};
    Voxel v = thread_voxel();
    if (v.j >= nj || v.k >= nk) return;
    int start = v.i * length, end = start + length < ni ? start + length : ni, plane = nj * nk;
    long long at = box.at(start, v.j, v.k);
    AxisDifference j(v.j, nj, nk), k(v.k, nk, 1);
    AxialColumn f = column_before(fixed + at, start, plane), m = column_before(moving + at, start, plane);
    for (v.i = start; v.i < end; v.i++, at += plane) {
        AxisDifference i(v.i, ni, 1);
        f.advance(fixed + (at + (i.above ? plane : 0)));
        m.advance(moving + (at + (i.above ? plane : 0)));
        float weight = is_on_face(box, v) ? 0.0f : mask ? fmaxf(__ldg(mask + at), 0.0f) : 1.0f;
        Slopes slopes(cells_of_table, Bin(f.centre, span, BINS), Bin(m.centre, span, BINS));
        float on_fixed = feels(f.centre, span) ? weight * scale * slopes.by_fixed : 0.0f;
        float on_moving = feels(m.centre, span) ? weight * scale * slopes.by_moving : 0.0f;
        store_force(out_fixed, box, v, on_fixed, f.gradient(i, j, k, fixed + at));
        store_force(out_moving, box, v, on_moving, m.gradient(i, j, k, moving + at));
    }
}
