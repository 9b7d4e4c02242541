// Means of cubes of two voxels a side, of several volumes; beyond an odd axis its last voxel counts twice.
// A thread takes the same coarse voxel of PLANES neighbouring planes.
// Called by CudaBackend.halve; `out` is the caller's. Moves 4 bytes in per voxel, 4 out per coarse voxel.
#ifndef PLANES
#define PLANES 2
#endif
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) halve(
    const float* __restrict__ array,  // (many, ni, nj, nk)
    float* __restrict__ out,          // (many, mi, mj, mk)
    int ni, int nj, int nk, int mi, int mj, int mk) {
    Box fine = {ni, nj, nk}, coarse = {mi, mj, mk};
    Slab slab = thread_slab<PLANES>(coarse);
    array += slab.volume * fine.size(), out += slab.volume * coarse.size();
#pragma unroll
    for (int n = 0; n < PLANES; n++) {
        Voxel v = slab.plane(n);
        if (!contains(coarse, v)) continue;
        float sum = 0.0f;
#pragma unroll
        for (int corner = 0; corner < 8; corner++) {
            int i = clamped(2 * v.i + (corner >> 2), ni), j = clamped(2 * v.j + ((corner >> 1) & 1), nj);
            sum += __ldg(array + fine.at(i, j, clamped(2 * v.k + (corner & 1), nk)));
        }
        out[coarse.at(v.i, v.j, v.k)] = 0.125f * sum;
    }
}
