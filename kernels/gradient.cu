// Gradient of a volume per voxel: central differences, one-sided at the faces, zero along an axis of one voxel.
// Called by CudaBackend.gradient; `out` is the caller's. A thread is a voxel. Moves 4 bytes in and 12 out per voxel.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) gradient(
    const float* __restrict__ volume,  // (ni, nj, nk)
    float* __restrict__ out,           // (3, ni, nj, nk)
    int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = thread_voxel();
    if (contains(box, v)) store(out, box, v, GradientStencil(box, v).gradient(volume));
}
