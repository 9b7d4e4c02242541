// Mean squared difference of two volumes, and the forces (m - f) grad f and (f - m) grad m; no force off the mask and
// on the outer faces.
// A thread marches along i over `length` voxels:
//   1. Shift the column of three planes in registers and load the newest.
//   2. Differences along i from registers, along j and k from the caches; store both forces; add the square.
//   3. Reduce the squares over the block, then over the grid by its last block, in a fixed order.
// Called by CudaBackend.squared_difference; outputs are the caller's, `partial` has an entry per block, `arrived`
// starts and ends at 0. Moves 8 bytes in (12 with a mask) and 24 out per voxel.
#ifndef VALUE
#define VALUE double
#endif
#include "axial_column.cuh"
#include "reductions.cuh"

extern "C" __global__ void __launch_bounds__(256) squared_difference(
    const float* __restrict__ fixed,   // (ni, nj, nk)
    const float* __restrict__ moving,  // (ni, nj, nk)
    const float* __restrict__ mask,    // (ni, nj, nk) or null: weights, no voxel where not positive
    float* __restrict__ out_fixed,     // (3, ni, nj, nk)
    float* __restrict__ out_moving,    // (3, ni, nj, nk)
    double* partial,                   // (blocks)
    unsigned* arrived,                 // (1)
    VALUE* value,                      // (1)
    int length, int blocks, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = thread_voxel();
    int start = v.i * length, end = start + length < ni ? start + length : ni;
    double square = 0.0;
    if (v.j < nj && v.k < nk) {
        int plane = nj * nk;
        long long at = box.at(start, v.j, v.k);
        AxisDifference j(v.j, nj, nk), k(v.k, nk, 1);
        AxialColumn f = column_before(fixed + at, start, plane), m = column_before(moving + at, start, plane);
        for (v.i = start; v.i < end; v.i++, at += plane) {
            AxisDifference i(v.i, ni, 1);
            f.advance(fixed + (at + (i.above ? plane : 0)));
            m.advance(moving + (at + (i.above ? plane : 0)));
            float weight = mask ? fmaxf(__ldg(mask + at), 0.0f) : 1.0f, d = m.centre - f.centre;
            float factor = is_on_face(box, v) ? 0.0f : weight * d;
            Vector fixed_gradient = f.gradient(i, j, k, fixed + at), moving_gradient = m.gradient(i, j, k, moving + at);
            store(out_fixed, box, v, {factor * fixed_gradient.x, factor * fixed_gradient.y, factor * fixed_gradient.z});
            store(
                out_moving, box, v,
                {-factor * moving_gradient.x, -factor * moving_gradient.y, -factor * moving_gradient.z});
            square += (double)weight * d * d;
        }
    }
    square = block_sum<BLOCK>(square);
    if (thread_in_block() == 0) partial[block_in_grid()] = square;
    if (!is_last_block(arrived)) return;
    double total = ordered_sum<BLOCK>(partial, blocks);
    if (thread_in_block() == 0) *value = (VALUE)(total / (double)box.size());
}
