// Sets a small array to 0, as a launch: a captured iteration clears its norms each time it is replayed.
// Called by CudaBackend before kernels that raise a maximum. One block.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) clear(
    float* out,  // (size)
    int size) {
    for (int at = threadIdx.x; at < size; at += BLOCK) out[at] = 0.0f;
}
