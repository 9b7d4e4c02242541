// Copies half-maps where their energy is lower than all in a trace: no choice of the host, so that nothing waits.
// Called by CudaBackend.keep before watch.cu appends the energy. Moves 8 bytes per number, or none.
#include "trace.cuh"
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) keep(
    const float* __restrict__ state,   // (size)
    float* __restrict__ kept,          // (size)
    const double* energy,              // (1)
    const double* __restrict__ trace,  // (room)
    int room, long long size) {
    __shared__ bool best;
    if (threadIdx.x == 0) best = is_best(*energy, trace, (int)trace[COUNT]);
    __syncthreads();
    if (!best) return;
    for (long long at = (long long)blockIdx.x * BLOCK + threadIdx.x; at < size; at += (long long)gridDim.x * BLOCK)
        kept[at] = __ldg(state + at);
}
