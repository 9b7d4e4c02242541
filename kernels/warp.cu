// The inner loop's sampling: out(i) = volume(i + field(i)), linear, in single precision and exact for any i because
// whole and fractional parts of a coordinate never meet.
// Called by CudaBackend.sample without a matrix; `out` is the caller's. A thread is a voxel: it reads 3 numbers,
// gathers 8 that neighbours share, writes 1.
#include "volume.cuh"

// Whether the nearest voxel, ties up, is one of the axis.
__device__ inline bool lands_inside(int i, float shift, int n) {
    float bounded = fminf(fmaxf(shift, -FAR), FAR), whole = floorf(bounded);
    int nearest = i + (int)whole + (bounded - whole >= 0.5f);
    return (unsigned)nearest < (unsigned)n;
}

extern "C" __global__ void __launch_bounds__(256) warp(
    const float* __restrict__ volume,  // (ai, aj, ak)
    const float* __restrict__ field,   // (3, ni, nj, nk), voxels
    float* __restrict__ out,           // (ni, nj, nk)
    float outside, int ai, int aj, int ak, int ni, int nj, int nk) {
    Box from = {ai, aj, ak}, box = {ni, nj, nk};
    Voxel v = this_voxel();
    if (!holds(box, v)) return;
    Vector u = vector_at(field, box, v);
    bool seen = lands_inside(v.i, u.x, ai) && lands_inside(v.j, u.y, aj) && lands_inside(v.k, u.z, ak);
    out[box.at(v.i, v.j, v.k)] =
        seen ? Cube(from, around(v.i, u.x, ai), around(v.j, u.y, aj), around(v.k, u.z, ak)).of(volume) : outside;
}
