// Composition of displacements: out(i) = s inner(i) + outer(i + s inner(i)), s = step * factor / max(norm, least_norm).
// `factor` and `norm` are read on the device, so that an iteration can be replayed without the host.
// A thread takes the same voxel of PLANES neighbouring planes, whose stencils overlap:
//   1. Read the inner vectors of all its voxels.
//   2. Interpolate the outer field at each, linear and clamped at the border; add; store.
// Called by CudaBackend.compose, for one or several pairs of fields; `out` is the caller's and overlaps nothing. Moves
// 12 bytes in and 12 out per voxel, and gathers 24 numbers, most of them from the caches.
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
    Slab slab = thread_slab<PLANES>(box);
    long long offset = slab.volume * 3 * box.size();
    outer += offset, inner += offset, out += offset;
    float scale = factor ? step * *factor : step;
    if (norm) scale = __fdividef(scale, fmaxf(norm[slab.volume], least_norm));
    Vector inner_vector[PLANES];
#pragma unroll
    for (int n = 0; n < PLANES; n++)
        if (contains(box, slab.plane(n))) inner_vector[n] = vector_at(inner, box, slab.plane(n));
#pragma unroll
    for (int n = 0; n < PLANES; n++) {
        Voxel v = slab.plane(n);
        if (!contains(box, v)) continue;
        Vector s = {scale * inner_vector[n].x, scale * inner_vector[n].y, scale * inner_vector[n].z};
        Vector u = sample_vector(outer, box, v, s);
        store(out, box, v, {s.x + u.x, s.y + u.y, s.z + u.z});
    }
}
