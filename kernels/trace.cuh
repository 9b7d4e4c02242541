// The energies of a level so far, and how many there are: what steers it. Rules: backends/convergence.py.
#pragma once

constexpr int COUNT = 0, CONVERGED = 1, ENERGIES = 2;  // places in a trace

// Whether an energy is lower than the first `count` of a trace.
__device__ inline bool is_best(double energy, const double* trace, int count) {
    bool best = true;
    for (int n = 0; n < count; n++) best = best && energy < trace[ENERGIES + n];
    return best;
}
