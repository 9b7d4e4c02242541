// Layout of an energy trace: how many energies there are, whether the level has converged, the energies. Rules:
// backends/convergence.py.
#pragma once

constexpr int COUNT = 0, CONVERGED = 1, ENERGIES = 2;  // layout of a trace

// Whether an energy is lower than the first `count` of a trace.
__device__ inline bool is_lowest_energy(double energy, const double* trace, int count) {
    bool lowest = true;
    for (int n = 0; n < count; n++) lowest = lowest && energy < trace[ENERGIES + n];
    return lowest;
}
