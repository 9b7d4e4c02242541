// Jacobian determinant det(I + d field / d x) at every voxel, differences as in gradient.cu.
// Called by CudaBackend.jacobian; `out` is the caller's. A thread is a voxel. Moves 12 bytes in and 4 out per voxel.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) jacobian(
    const float* __restrict__ field,  // (3, ni, nj, nk), voxels
    float* __restrict__ out,          // (ni, nj, nk)
    int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = thread_voxel();
    if (!contains(box, v)) return;
    long long n = box.size();
    GradientStencil stencil(box, v);
    Vector a = stencil.gradient(field), b = stencil.gradient(field + n), c = stencil.gradient(field + 2 * n);
    a.x += 1.0f;
    b.y += 1.0f;
    c.z += 1.0f;
    out[stencil.at] = a.x * (b.y * c.z - b.z * c.y) - a.y * (b.x * c.z - b.z * c.x) + a.z * (b.x * c.y - b.y * c.x);
}
