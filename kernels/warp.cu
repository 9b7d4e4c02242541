// The inner loop's sampling: out(i) = volume(i + field(i)), linear, in single precision and exact for any i because
// whole and fractional parts of a coordinate never meet.
// Called by CudaBackend.sample without a matrix, for one or several volumes with a field each; `out` is the caller's. A
// thread takes a voxel of PLANES planes, which share most of what they look at: for each it reads 3 numbers, gathers 8,
// writes 1.
#ifndef PLANES
#define PLANES 2
#endif
#include "volume.cuh"

// Whether the nearest voxel, ties up, is one of the axis.
__device__ inline bool lands_inside(int i, float shift, int n) {
    float bounded = fminf(fmaxf(shift, -FAR), FAR), whole = floorf(bounded);
    int nearest = i + (int)whole + (bounded - whole >= 0.5f);
    return (unsigned)nearest < (unsigned)n;
}

extern "C" __global__ void __launch_bounds__(256) warp(
    const float* __restrict__ volume,  // (many, ai, aj, ak)
    const float* __restrict__ field,   // (many, 3, ni, nj, nk), voxels
    float* __restrict__ out,           // (many, ni, nj, nk)
    float outside, int ai, int aj, int ak, int ni, int nj, int nk) {
    Box from = {ai, aj, ak}, box = {ni, nj, nk};
    Slab slab = this_slab<PLANES>(box);
    volume += slab.volume * from.size(), field += slab.volume * 3 * box.size(), out += slab.volume * box.size();
    Vector u[PLANES];
#pragma unroll
    for (int n = 0; n < PLANES; n++)
        if (holds(box, slab.plane(n))) u[n] = vector_at(field, box, slab.plane(n));
#pragma unroll
    for (int n = 0; n < PLANES; n++) {
        Voxel v = slab.plane(n);
        if (!holds(box, v)) continue;
        bool seen = lands_inside(v.i, u[n].x, ai) && lands_inside(v.j, u[n].y, aj) && lands_inside(v.k, u[n].z, ak);
        Cube near(from, around(v.i, u[n].x, ai), around(v.j, u[n].y, aj), around(v.k, u[n].z, ak));
        out[box.at(v.i, v.j, v.k)] = seen ? near.of(volume) : outside;
    }
}
