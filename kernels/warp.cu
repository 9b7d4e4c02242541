// Sampling through a field, the inner loop of SyN: out(i) = volume(i + field(i)), linear, in single precision. It is
// exact for any i, since the whole and the fractional part of a coordinate are never added up.
// A thread takes the same voxel of PLANES neighbouring planes, whose stencils overlap: read its vectors, then
// interpolate.
// Called by CudaBackend.sample without a matrix, for one or several volumes with a field each; `out` is the caller's.
// Moves 12 bytes in and 4 out per voxel, and gathers 8 voxels, most of them from the caches.
#ifndef PLANES
#define PLANES 2
#endif
#include "volume.cuh"

// Whether the nearest voxel, ties up, is one of the axis.
__device__ inline bool nearest_is_inside(int i, float shift, int n) {
    float bounded = fminf(fmaxf(shift, -FAR_OUTSIDE), FAR_OUTSIDE), whole = floorf(bounded);
    int nearest = i + (int)whole + (bounded - whole >= 0.5f);
    return (unsigned)nearest < (unsigned)n;
}

extern "C" __global__ void __launch_bounds__(256) warp(
    const float* __restrict__ volume,  // (many, ai, aj, ak)
    const float* __restrict__ field,   // (many, 3, ni, nj, nk), voxels
    float* __restrict__ out,           // (many, ni, nj, nk)
    float outside, int ai, int aj, int ak, int ni, int nj, int nk) {
    Box from = {ai, aj, ak}, box = {ni, nj, nk};
    Slab slab = thread_slab<PLANES>(box);
    volume += slab.volume * from.size(), field += slab.volume * 3 * box.size(), out += slab.volume * box.size();
    Vector u[PLANES];
#pragma unroll
    for (int n = 0; n < PLANES; n++)
        if (contains(box, slab.plane(n))) u[n] = vector_at(field, box, slab.plane(n));
#pragma unroll
    for (int n = 0; n < PLANES; n++) {
        Voxel v = slab.plane(n);
        if (!contains(box, v)) continue;
        bool is_inside = nearest_is_inside(v.i, u[n].x, ai) && nearest_is_inside(v.j, u[n].y, aj) &&
                         nearest_is_inside(v.k, u[n].z, ak);
        TrilinearCell cell(from, bracket(v.i, u[n].x, ai), bracket(v.j, u[n].y, aj), bracket(v.k, u[n].z, ak));
        out[box.at(v.i, v.j, v.k)] = is_inside ? cell.of(volume) : outside;
    }
}
