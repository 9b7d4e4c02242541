// Gradient of a volume per voxel: central, one-sided at the faces, zero along an axis of one voxel.
// Called by CudaBackend.gradient, which allocates `out`. A thread is a voxel.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) gradient(
    const float* __restrict__ volume,  // (ni, nj, nk)
    float* __restrict__ out,           // (3, ni, nj, nk)
    int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = this_voxel();
    if (holds(box, v)) store(out, box, v, Surroundings(box, v).gradient(volume));
}
