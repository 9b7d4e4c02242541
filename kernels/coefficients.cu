// Coefficients of the spline of ORDER through all elements along one axis of an array seen as (na, n, nb), which goes on
// beyond its ends as `mode` says: the recursive filters of Unser 1999, 10.1109/79.799930, in double. A piece of `run`
// elements is filtered from MARGIN elements before it to MARGIN behind it, beyond which a line counts as constant; less
// than 1e-17 of that is left in the piece, so that pieces need nothing of each other and lines may have any length.
// Called by CudaBackend.spline_coefficients, axis after axis; `out` is another array. Moves the array in and 8 bytes out
// per element.
//
// A block takes a piece of LINES lines through shared memory, where one thread filters each of them.
#ifndef ORDER
#define ORDER 3
#endif
#ifndef VALUE
#define VALUE double
#endif
#include "borders.cuh"

constexpr int BLOCK = 256, LINES = 16, SPAN = 255;  // odd: no conflicts
constexpr int MARGIN = ORDER == 2 ? 24 : ORDER == 3 ? 32 : ORDER == 4 ? 52 : 64;
constexpr int POLES = ORDER / 2;
// The roots within the unit circle of the sampled B-splines of degree 2 to 5.
__device__ constexpr double FIRST = ORDER == 2   ? -0.17157287525380990
                                    : ORDER == 3 ? -0.26794919243112270
                                    : ORDER == 4 ? -0.36134122590022018
                                                 : -0.43057534709997379;
__device__ constexpr double SECOND = ORDER == 4 ? -0.013725429297339121 : -0.043096288203264654;

__device__ inline double gain_of(double pole) { return (1.0 - pole) * (1.0 - 1.0 / pole); }

// Forward from `first`, the filtered first element, then backward.
__device__ inline void filter(double* line, int span, double pole, double first) {
    double sum = line[0] = first;
    for (int t = 1; t < span; t++) line[t] = sum = line[t] + pole * sum;
    line[span - 1] = sum = pole / (pole - 1.0) * sum;
    for (int t = span - 2; t >= 0; t--) line[t] = sum = pole * (sum - line[t]);
}

// The filtered first element of a short line that is reflected, as SciPy sums it up: with the sum so far in place of the
// first element in the last term, of which pole^(2 n) counts.
__device__ inline double first_reflected(const double* line, int n, double pole) {
    double far = pow(pole, n), sum = line[0] + far * line[n - 1], weight = pole;
    for (int t = 1; t < n; t++, weight *= pole) sum += weight * (line[t] + far * (t < n - 1 ? line[n - 1 - t] : sum));
    return line[0] + sum * pole / (1.0 - far * far);
}

__device__ inline void filter(double* line, int span, int n, double pole, bool short_and_reflected) {
    if (short_and_reflected)
        filter(line + MARGIN, n, pole, first_reflected(line + MARGIN, n, pole));
    else
        filter(line, span, pole, line[0] / (1.0 - pole));
}

extern "C" __global__ void __launch_bounds__(256, 4) coefficients(
    const VALUE* __restrict__ array,  // (na, n, nb)
    double* __restrict__ out,         // (na, n, nb)
    int pieces, int run, int mode, long long na, int n, long long nb) {
    __shared__ double tile[LINES][SPAN];
    int piece = blockIdx.x % pieces, start = piece * run;
    int here = n - start < run ? n - start : run, span = here + 2 * MARGIN;
    long long first = (long long)(blockIdx.x / pieces) * LINES, left = na * nb - first;
    int lines = left < LINES ? (int)left : LINES;
    double gain = gain_of(FIRST) * (POLES == 2 ? gain_of(SECOND) : 1.0);
    bool along = nb == 1;  // neighbouring threads take neighbours of a line, else neighbouring lines
    int t0 = along ? threadIdx.x % 32 : threadIdx.x / LINES, dt = along ? 32 : BLOCK / LINES;
    int l0 = along ? threadIdx.x / 32 : threadIdx.x % LINES, dl = along ? BLOCK / 32 : LINES;
    for (int line = l0; line < lines; line += dl) {
        long long number = first + line, base = number / nb * n * nb + number % nb;
        for (int t = t0; t < span; t += dt)
            tile[line][t] = gain * (double)array[base + folded(start - MARGIN + t, n, mode) * nb];
    }
    __syncthreads();
    if ((int)threadIdx.x < lines) {
        bool closed = mode == REFLECT && n <= MARGIN;
        filter(tile[threadIdx.x], span, n, FIRST, closed);
        if (POLES == 2) filter(tile[threadIdx.x], span, n, SECOND, closed);
    }
    __syncthreads();
    for (int line = l0; line < lines; line += dl) {
        long long number = first + line, base = number / nb * n * nb + number % nb;
        for (int t = t0; t < here; t += dt) out[base + (start + t) * nb] = tile[line][MARGIN + t];
    }
}
