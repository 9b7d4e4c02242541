// Sets a small array to 0, as a launch, so that a captured iteration clears its norms each time it is replayed.
// Called by Workspace.set_zero before kernels that take an atomic maximum. One block. Moves 4 bytes out per element.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) set_zero(
    float* out,  // (size)
    int size) {
    for (int at = threadIdx.x; at < size; at += BLOCK) out[at] = 0.0f;
}
