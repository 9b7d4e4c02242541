// The energy just computed steers the iterations to come, without the host: it is appended to a trace, the step shrinks
// when there was no new best for a while, and the level has converged when a line through the last four energies falls by
// less than `tolerance` of the energy per iteration. Rules: backends/convergence.py.
// Called by CudaBackend.watch. One thread.
#include "trace.cuh"

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
    for (int n = 1; n < count; n++)
        if (n < count - patience) before = fmin(before, energies[n]);
        else lately = fmin(lately, energies[n]);
    if (count > patience && lately >= before) *step *= shorter;
    if (count < WINDOW) return;
    const double* recent = energies + count - WINDOW;
    double slope = (3.0 * (recent[3] - recent[0]) + (recent[2] - recent[1])) / (10.0 * spacing);
    trace[CONVERGED] = -slope < tolerance * fmax(fabs(recent[3]), 1e-12);
}
