// Copies a state, such as half-maps, where its energy is lower than all in the energy trace. The device decides, so
// that the host does not wait. Called by CudaBackend.keep_best_state before update_convergence.cu appends that energy.
// Moves 8 bytes per number, or none.
#include "energy_trace.cuh"
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) keep_best_state(
    const float* __restrict__ state,   // (size)
    float* __restrict__ best,          // (size)
    const double* energy,              // (1)
    const double* __restrict__ trace,  // (room)
    int room, long long size) {
    __shared__ bool is_lowest;
    if (threadIdx.x == 0) is_lowest = is_lowest_energy(*energy, trace, (int)trace[COUNT]);
    __syncthreads();
    if (!is_lowest) return;
    for (long long at = (long long)blockIdx.x * BLOCK + threadIdx.x; at < size; at += (long long)gridDim.x * BLOCK)
        best[at] = __ldg(state + at);
}
