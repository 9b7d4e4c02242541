// The energy just computed steers the iterations to come, without the host: it is appended to a trace, the step shrinks
// when there was no new best for a while, a new best one swaps the places of kept states, and the level has converged when a line through the last four energies falls by
// less than `tolerance` of the energy per iteration. Rules: backends/convergence.py.
// Called by CudaBackend.watch. One thread.
#include "volume.cuh"

constexpr int COUNT = 0, CONVERGED = 1, BEST = 2, ENERGIES = 3;  // places in the trace
constexpr int WINDOW = 4;  // energies in the line

extern "C" __global__ void __launch_bounds__(1) watch(
    const double* energy,  // (1)
    double* trace,         // (room)
    float* step,           // (1)
    double tolerance, float shorter, int patience, int spacing, int room) {
    double* energies = trace + ENERGIES;
    int count = (int)trace[COUNT];
    if (ENERGIES + count >= room) return;
    energies[count++] = *energy;
    trace[COUNT] = count;
    double before = energies[0], lately = *energy;
    bool best = true;
    for (int n = 0; n < count - 1; n++) best = best && *energy < energies[n];
    if (best) trace[BEST] = 1.0 - trace[BEST];
    for (int n = 1; n < count; n++)
        if (n < count - patience) before = fmin(before, energies[n]);
        else lately = fmin(lately, energies[n]);
    if (count > patience && lately >= before) *step *= shorter;
    if (count < WINDOW) return;
    const double* recent = energies + count - WINDOW;
    double slope = (3.0 * (recent[3] - recent[0]) + (recent[2] - recent[1])) / (10.0 * spacing);
    trace[CONVERGED] = -slope < tolerance * fmax(fabs(recent[3]), 1e-12);
}
