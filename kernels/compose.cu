// Composition of displacements: out(i) = s inner(i) + outer(i + s inner(i)), with s = step * factor / max(norm, least).
// `factor` and `norm` are read on the device, so that an iteration can be replayed without the host.
// Called by CudaBackend.compose; `out` is the caller's and overlaps nothing. A thread is a voxel: it reads 3 numbers,
// gathers 24 that neighbours share, writes 3.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) compose(
    const float* __restrict__ outer,   // (3, ni, nj, nk), voxels
    const float* __restrict__ inner,   // (3, ni, nj, nk), voxels
    const float* __restrict__ norm,    // (1) or null: no division
    const float* __restrict__ factor,  // (1) or null: 1
    float* __restrict__ out,           // (3, ni, nj, nk)
    float least_norm, float step, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = this_voxel();
    if (!holds(box, v)) return;
    float scale = factor ? step * *factor : step;
    if (norm) scale = __fdividef(scale, fmaxf(*norm, least_norm));
    Vector shift = vector_at(inner, box, v);
    shift = {scale * shift.x, scale * shift.y, scale * shift.z};
    Vector u = moved_vector(outer, box, v, shift);
    store(out, box, v, {shift.x + u.x, shift.y + u.y, shift.z + u.z});
}
