// Adds fields on a grid of half as many voxels, times a weight: linear between the centres of cubes of two voxels a side,
// clamped at the borders; also the largest norm of each sum, where `norm` is not larger.
// A thread takes the same voxel of PLANES neighbouring planes:
//   1. Interpolate the three components between the eight coarse voxels around it: weights 3/4 and 1/4 along each axis.
//   2. Add; store; find the largest square of the block, then of each field.
// Called by CudaBackend.add_doubled; `out` and `norm` are the caller's, `largest_squares` and `arrived` start and end at
// 0. Moves 12 bytes in and 12 out per voxel, and 12 in per coarse voxel.
#ifndef PLANES
#define PLANES 2
#endif
#include "reductions.cuh"

// The coarse voxels on either side of the centre of fine voxel i; the nearer one weighs three times as much.
__device__ inline Bracket nearer(int i, int n) { return {i / 2, clamped(i % 2 ? i / 2 + 1 : i / 2 - 1, n), 0.25f}; }

extern "C" __global__ void __launch_bounds__(256) add_doubled(
    const float* __restrict__ coarse,  // (many, 3, mi, mj, mk)
    float* __restrict__ out,           // (many, 3, ni, nj, nk)
    float* norm,                       // (many)
    float* largest_squares,            // (many)
    unsigned* arrived,                 // (1)
    float weight, int many, int ni, int nj, int nk, int mi, int mj, int mk) {
    Box fine = {ni, nj, nk}, half = {mi, mj, mk};
    Slab slab = thread_slab<PLANES>(fine);
    coarse += slab.volume * 3 * half.size(), out += slab.volume * 3 * fine.size();
    float largest = 0.0f;
#pragma unroll
    for (int n = 0; n < PLANES; n++) {
        Voxel v = slab.plane(n);
        if (!contains(fine, v)) continue;
        TrilinearCell cell(half, nearer(v.i, mi), nearer(v.j, mj), nearer(v.k, mk));
        float square = 0.0f;
#pragma unroll
        for (int c = 0; c < 3; c++) {
            float* to = out + (c * fine.size() + fine.at(v.i, v.j, v.k));
            float sum = *to + weight * cell.of(coarse + c * half.size());
            *to = sum;
            square += sum * sum;
        }
        largest = fmaxf(largest, square);
    }
    raise_norms<BLOCK>(largest, slab.volume, largest_squares, arrived, norm, many);
}
