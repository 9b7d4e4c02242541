// Convergence check on the device: the energy of an iteration controls the iterations to come, without the host. The
// twin of backends/convergence.py:
//   1. Append the energy to the trace.
//   2. Multiply the step by `shrink` if none of the last `patience` energies is lower than the best one before.
//   3. Converged: the slope of a line fitted to the last 4 energies is above -`tolerance` of the energy per iteration.
// Called by CudaBackend.update_convergence. One thread. Moves a few hundred bytes.
#include "energy_trace.cuh"

constexpr int WINDOW = 4;  // energies in the line

extern "C" __global__ void __launch_bounds__(1) update_convergence(
    const double* energy,  // (1)
    double* trace,         // (room)
    float* step,           // (1)
    double tolerance, float shrink, int patience, int spacing, int room) {
    double* energies = trace + ENERGIES;
    int count = (int)trace[COUNT];
    if (ENERGIES + count >= room) return;
    energies[count++] = *energy;
    trace[COUNT] = count;
    double earlier_best = energies[0], recent_best = *energy;
    for (int n = 1; n < count; n++)
        if (n < count - patience)
            earlier_best = fmin(earlier_best, energies[n]);
        else
            recent_best = fmin(recent_best, energies[n]);
    if (count > patience && recent_best >= earlier_best) *step *= shrink;
    if (count < WINDOW) return;
    const double* window = energies + count - WINDOW;
    double slope = (3.0 * (window[3] - window[0]) + (window[2] - window[1])) / (10.0 * spacing);
    trace[CONVERGED] = -slope < tolerance * fmax(fabs(window[3]), 1e-12);
}
