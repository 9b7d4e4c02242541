// Copies half-maps into that of two places which does not hold the best ones so far, as a trace says: no choice of the
// host, so that nothing waits. Rules: backends/convergence.py.
// Called by CudaBackend.keep before an iteration whose energy is watched. Moves 8 bytes per number.
#include "volume.cuh"

constexpr int BEST = 2;  // place in the trace

extern "C" __global__ void __launch_bounds__(256) keep(
    const float* __restrict__ state,   // (size)
    float* __restrict__ kept,          // (2, size)
    const double* __restrict__ trace,  // (room)
    int room, long long size) {
    float* place = kept + (trace[BEST] > 0.0 ? 0 : size);
    for (long long at = (long long)blockIdx.x * BLOCK + threadIdx.x; at < size; at += (long long)gridDim.x * BLOCK)
        place[at] = __ldg(state + at);
}
