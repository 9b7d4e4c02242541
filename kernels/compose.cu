// Composition of displacements: out(i) = s inner(i) + outer(i + s inner(i)), with s = step * factor / max(norm, least).
// `factor` and `norm` are read on the device, so that an iteration can be replayed without the host.
// Called by CudaBackend.compose, for one or several pairs of fields; `out` is the caller's and overlaps nothing. A thread
// takes a voxel of PLANES planes, which share most of what they look at: for each it reads 3 numbers, gathers 24,
// writes 3.
#ifndef PLANES
#define PLANES 2
#endif
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) compose(
    const float* __restrict__ outer,   // (many, 3, ni, nj, nk), voxels
    const float* __restrict__ inner,   // (many, 3, ni, nj, nk), voxels
    const float* __restrict__ norm,    // (many) or null: no division
    const float* __restrict__ factor,  // (1) or null: 1
    float* __restrict__ out,           // (many, 3, ni, nj, nk)
    float least_norm, float step, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Slab slab = this_slab<PLANES>(box);
    long long before = slab.volume * 3 * box.size();
    outer += before, inner += before, out += before;
    float scale = factor ? step * *factor : step;
    if (norm) scale = __fdividef(scale, fmaxf(norm[slab.volume], least_norm));
    Vector shift[PLANES];
#pragma unroll
    for (int n = 0; n < PLANES; n++)
        if (holds(box, slab.plane(n))) shift[n] = vector_at(inner, box, slab.plane(n));
#pragma unroll
    for (int n = 0; n < PLANES; n++) {
        Voxel v = slab.plane(n);
        if (!holds(box, v)) continue;
        Vector s = {scale * shift[n].x, scale * shift[n].y, scale * shift[n].z};
        Vector u = moved_vector(outer, box, v, s);
        store(out, box, v, {s.x + u.x, s.y + u.y, s.z + u.z});
    }
}
