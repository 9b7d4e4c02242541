// Spline coefficients: the recursive filters of Unser 1999, 10.1109/79.799930, for ORDER 2 to 5 along one axis of an
// array seen as (na, n, nb), in double, with the boundary `mode` of scipy.ndimage.
// A line is cut into pieces of `run` elements that need nothing of each other: each starts WARMUP elements early and
// ends WARMUP late, beyond which the line counts as constant. Less than 1e-17 of that assumption reaches the piece, so
// that lines may have any length.
//   1. A block loads a piece of LINES lines, with its halo, into a shared-memory tile.
//   2. One thread per line filters it, causal then anti-causal, once per pole.
//   3. The block stores the pieces without their halo.
// Called by CudaBackend.spline_coefficients, axis after axis; `out` is another array. Moves the array in and 8 bytes
// out per element.
#ifndef ORDER
#define ORDER 3
#endif
#ifndef VALUE
#define VALUE double
#endif
#include "borders.cuh"

constexpr int BLOCK = 256, LINES = 16, SPAN = 255;  // odd: no bank conflicts
constexpr int WARMUP = ORDER == 2 ? 24 : ORDER == 3 ? 32 : ORDER == 4 ? 52 : 64;
constexpr int POLES = ORDER / 2;
// Poles of the filters: the roots within the unit circle of the sampled B-splines of degree 2 to 5.
__device__ constexpr double FIRST = ORDER == 2   ? -0.17157287525380990
                                    : ORDER == 3 ? -0.26794919243112270
                                    : ORDER == 4 ? -0.36134122590022018
                                                 : -0.43057534709997379;
__device__ constexpr double SECOND = ORDER == 4 ? -0.013725429297339121 : -0.043096288203264654;

__device__ inline double gain_of(double pole) { return (1.0 - pole) * (1.0 - 1.0 / pole); }

// Causal pass from `first`, the filtered first element, then the anti-causal pass.
__device__ inline void filter(double* line, int span, double pole, double first) {
    double sum = line[0] = first;
    for (int t = 1; t < span; t++) line[t] = sum = line[t] + pole * sum;
    line[span - 1] = sum = pole / (pole - 1.0) * sum;
    for (int t = span - 2; t >= 0; t--) line[t] = sum = pole * (sum - line[t]);
}

// The filtered first element of a short, reflected line: the sum over its reflections, which have a period of 2 n.
__device__ inline double initial_reflected(const double* line, int n, double pole) {
    double pole_n = pow(pole, n), sum = line[0] + pole_n * line[n - 1], weight = pole;
    for (int t = 1; t < n; t++, weight *= pole) sum += weight * (line[t] + pole_n * line[n - 1 - t]);
    return line[0] + sum * pole / (1.0 - pole_n * pole_n);
}

__device__ inline void filter(double* line, int span, int n, double pole, bool short_and_reflected) {
    if (short_and_reflected)
        filter(line + WARMUP, n, pole, initial_reflected(line + WARMUP, n, pole));
    else
        filter(line, span, pole, line[0] / (1.0 - pole));
}

extern "C" __global__ void __launch_bounds__(256, 4) spline_prefilter(
    const VALUE* __restrict__ array,  // (na, n, nb)
    double* __restrict__ out,         // (na, n, nb)
    int pieces, int run, int mode, long long na, int n, long long nb) {
    __shared__ double tile[LINES][SPAN];
    int piece = blockIdx.x % pieces, start = piece * run;
    int length = n - start < run ? n - start : run, span = length + 2 * WARMUP;
    long long first = (long long)(blockIdx.x / pieces) * LINES, remaining = na * nb - first;
    int lines = remaining < LINES ? (int)remaining : LINES;
    double gain = gain_of(FIRST) * (POLES == 2 ? gain_of(SECOND) : 1.0);
    bool contiguous = nb == 1;  // neighbouring threads take neighbours of a line, else neighbouring lines
    int t0 = contiguous ? threadIdx.x % 32 : threadIdx.x / LINES, dt = contiguous ? 32 : BLOCK / LINES;
    int l0 = contiguous ? threadIdx.x / 32 : threadIdx.x % LINES, dl = contiguous ? BLOCK / 32 : LINES;
    for (int line = l0; line < lines; line += dl) {
        long long number = first + line, base = number / nb * n * nb + number % nb;
        for (int t = t0; t < span; t += dt)
            tile[line][t] = gain * (double)array[base + fold_index(start - WARMUP + t, n, mode) * nb];
    }
    __syncthreads();
    if ((int)threadIdx.x < lines) {
        bool closed = mode == REFLECT && n <= WARMUP;
        filter(tile[threadIdx.x], span, n, FIRST, closed);
        if (POLES == 2) filter(tile[threadIdx.x], span, n, SECOND, closed);
    }
    __syncthreads();
    for (int line = l0; line < lines; line += dl) {
        long long number = first + line, base = number / nb * n * nb + number % nb;
        for (int t = t0; t < length; t += dt) out[base + (start + t) * nb] = tile[line][WARMUP + t];
    }
}
