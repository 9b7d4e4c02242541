// One step of searches for the maps that make a metric least, a block per search: the value and the derivatives that the
// metric has just found decide whether the search goes there, looks nearer or elsewhere, or ends; then comes the map that
// the metric is asked for next. BFGS with backtracking. Rules: solvers/quasi_newton.py, solvers/motion.py,
// solvers/comparison.py and the metrics; the host reads `told` only.
// Called by CudaBackend.descend after joint_histogram.cu and histogram_derivative.cu, or affine_moments.cu. All threads
// compute the same scalars, so that they branch alike and meet at every barrier.
#include "motions.cuh"
#include "points.cuh"

constexpr int LEFT = 0, TAKEN = 1, HERE = 2, ENERGIES = HERE + MOST;  // places of what is told
constexpr int INFORMATION = 0, CORRELATION = 1;                       // formulas; the last one is local correlation
constexpr double FLAT = 1e-10;                                        // metrics/correlation.py

// What a search remembers from one call to the next.
struct Memory {
    double slope[MOST], direction[MOST], there[MOST];
    double inverse[MOST * MOST];  // of the Hessian, where `bent`
    double by_linear[MOST * 9];   // derivatives of the linear part there
    double value, promised, length, tries, idle, bent, begun;
};

constexpr int REMEMBERED = sizeof(Memory) / sizeof(double);

__shared__ Memory search;
__shared__ double here[MOST], fresh[MOST], by_voxel[12], by_map[12];  // fresh: slope there
__shared__ double product[MOST * MOST];

// The value of the metric; its derivatives by the entries of the voxel map go to `by_voxel`.
__device__ inline double evaluated(const double* found, int formula, long long count, double least_overlap) {
    int e = threadIdx.x;
    double inside = formula == INFORMATION ? found[1] : found[0];
    double value = 0.0, slope = 0.0;
    if (inside / count >= least_overlap) {
        if (formula == INFORMATION) {
            value = found[0];
            if (e < 12) slope = found[2 + e];
        } else if (formula == CORRELATION) {
            double n = found[0], f = found[1], m = found[2];
            double ff = found[3] - f * f / n, mm = found[4] - m * m / n, fm = found[5] - f * m / n;
            if (n >= 2.0 && ff > FLAT * found[3] && mm > FLAT * found[4]) {
                value = -(fm * fm) / (ff * mm);
                if (e < 12) {
                    double by_fm = found[18 + e] - f / n * found[6 + e];
                    double by_mm = 2.0 * (found[30 + e] - m / n * found[6 + e]);
                    slope = -2.0 * fm / (ff * mm) * by_fm - value / mm * by_mm;
                }
            }
        } else {
            value = -(found[5] / count);
            if (e < 12) slope = found[18 + e] / -(double)count;
        }
    }
    if (e < 12) by_voxel[e] = slope;
    __syncthreads();
    return value;
}

// Derivatives by the parameters, from those by the voxel map, in `fresh`.
__device__ inline void chain(const double* left, const Family& family, int linears, int size) {
    int e = threadIdx.x, r = e / 4, c = e % 4;
    if (e < 12) {
        double sum = 0.0;
        for (int j = 0; j < 4; j++) {
            double by = left[r] * by_voxel[j] + left[4 + r] * by_voxel[4 + j] + left[8 + r] * by_voxel[8 + j];
            sum += by * (c < 3 ? family.right[4 * c + j] : j == 3 ? 1.0 : 0.0);
        }
        by_map[e] = sum;
    }
    __syncthreads();
    if (e < linears) {
        double sum = 0.0;
        for (int n = 0; n < 9; n++) sum += by_map[n / 3 * 4 + n % 3] * search.by_linear[9 * e + n];
        fresh[e] = sum / family.radius;
    } else if (e < size) {
        fresh[e] = by_map[4 * (e - linears) + 3];
    }
    __syncthreads();
}

// BFGS update of the inverse Hessian from the step to `there` and the change of the slope along it; false where the
// inverse stays as it was, or stays unknown.
__device__ inline bool bend(int size, bool bent) {
    int e = threadIdx.x, r = e / MOST, c = e % MOST;
    double along = 0.0, square = 0.0, length = 0.0;
    for (int p = 0; p < size; p++) {
        double step = search.there[p] - here[p], turn = fresh[p] - search.slope[p];
        along += step * turn, square += turn * turn, length += step * step;
    }
    if (along <= 1e-10 * sqrt(length * square)) return false;
    bool mine = e < MOST * MOST && r < size && c < size;
    double step_r = 0.0, step_c = 0.0, sum = 0.0;
    if (mine) {
        step_r = search.there[r] - here[r], step_c = search.there[c] - here[c];
        for (int q = 0; q < size; q++) {
            double project = (r == q ? 1.0 : 0.0) - step_r * (fresh[q] - search.slope[q]) / along;
            sum += project * (bent ? search.inverse[q * MOST + c] : q == c ? along / square : 0.0);
        }
        product[e] = sum;
    }
    __syncthreads();
    if (mine) {
        sum = 0.0;
        for (int q = 0; q < size; q++)
            sum += product[r * MOST + q] * ((c == q ? 1.0 : 0.0) - step_c * (fresh[q] - search.slope[q]) / along);
        search.inverse[e] = sum + step_r * step_c / along;
    }
    __syncthreads();
    return true;
}

extern "C" __global__ void __launch_bounds__(160, 1) descend(
    const double* __restrict__ found,  // (many, width) what the metric's kernels wrote
    const double* __restrict__ left,   // (many, 12)
    Family family,
    double* memory,        // (many, 295) 0 at first
    double* told,          // (many, room) steps left and taken, parameters, energies
    unsigned char* ended,  // (many)
    double* matrices,      // (many, 12) fixed voxel -> moving voxel: asked, then to be asked next
    int formula, long long count, int linears, int size, double tolerance, double least_overlap, double first_step,
    double longest_step, double sufficient, int backtracks, int patience, int width, int room) {
    int e = threadIdx.x;
    if (ended[blockIdx.x]) return;
    found += (long long)width * blockIdx.x, left += 12 * blockIdx.x, told += (long long)room * blockIdx.x;
    double* kept = memory + (long long)REMEMBERED * blockIdx.x;
    for (int n = e; n < REMEMBERED; n += blockDim.x) ((double*)&search)[n] = kept[n];
    if (e < MOST) here[e] = told[HERE + e];
    int steps = (int)told[LEFT], taken = (int)told[TAKEN];
    __syncthreads();
    double value = search.value, promised = search.promised, length = search.length;
    int tries = (int)search.tries, idle = (int)search.idle;
    bool bent = search.bent > 0.0, begun = search.begun > 0.0, aims = true;

    if (!begun) move(family, search.there, search.by_linear, linears, size);
    double reached = evaluated(found, formula, count, least_overlap);
    chain(left, family, linears, size);
    if (begun && !(reached <= value + sufficient * length * promised)) {
        aims = ++tries == backtracks;
        if (aims) {
            steps = bent ? steps - 1 : 0, bent = false;
        } else {  // minimum of the parabola through the value and slope here and the value there
            double best = -promised * length * length / (2.0 * (reached - value - promised * length));
            length = fmin(fmax(best, 0.1 * length), 0.5 * length);
        }
    } else {
        if (begun) {
            bent = bend(size, bent) || bent;
            idle = value - reached <= tolerance * fabs(reached) ? idle + 1 : 0;
            steps = idle == patience ? 0 : steps - 1;
            if (e == 0) told[ENERGIES + taken] = reached;
            taken++;
        }
        value = reached;
        __syncthreads();
        if (e < size) here[e] = search.there[e], search.slope[e] = fresh[e];
        __syncthreads();
    }
    if (aims) length = 1.0, tries = 0;
    while (aims && steps > 0) {  // downhill: Newton's step with the inverse Hessian, or a first step; or an end
        double norm = sqrt(dot(search.slope, search.slope, size)), longest = 0.0;
        if (e < size)
            search.direction[e] = bent ? -dot(search.inverse + MOST * e, search.slope, size)
                                       : -first_step * search.slope[e] / fmax(norm, 1e-300);
        __syncthreads();
        for (int p = 0; p < size; p++) longest = fmax(longest, fabs(search.direction[p]));
        __syncthreads();
        if (e < size && longest > longest_step) search.direction[e] *= longest_step / longest;
        __syncthreads();
        promised = dot(search.slope, search.direction, size);
        aims = !(promised < 0.0);
        if (aims) steps = bent ? steps - 1 : 0, bent = false;
        __syncthreads();
    }
    if (e < MOST) told[HERE + e] = here[e];
    if (e == 0) told[LEFT] = steps, told[TAKEN] = taken, ended[blockIdx.x] = steps == 0;
    if (steps == 0) return;
    if (e < size) search.there[e] = here[e] + (length == 1.0 ? search.direction[e] : length * search.direction[e]);
    if (e == 0) {
        search.value = value, search.promised = promised, search.length = length;
        search.tries = tries, search.idle = idle, search.bent = bent, search.begun = 1.0;
    }
    __syncthreads();
    move(family, search.there, search.by_linear, linears, size);
    write_map(left, family, matrices + 12 * blockIdx.x);
    __syncthreads();
    for (int n = e; n < REMEMBERED; n += blockDim.x) kept[n] = ((double*)&search)[n];
}
