// One step of many BFGS searches with backtracking line search, a block per search: the twin of registration's
// registration/bfgs.py, affine parameters and metric formulas in Python. The host reads `status` only.
// `sums` holds what the metric's kernels found at the candidate of each search.
//   1. Metric value and its derivatives by the voxel map; chain rule to derivatives by the parameters.
//   2. Armijo condition not met: shorten the step to the minimum of the parabola through value and slope here and value
//      there; after `max_backtracks` of these forget the inverse Hessian, or end without one.
//   3. Armijo condition met: BFGS update of the inverse Hessian; the candidate becomes the position; end after
//      `patience` steps in a row whose relative decrease is at most `tolerance`.
//   4. Where needed, a new direction: -H gradient, or the gradient scaled to `first_step`; no entry above
//      `longest_step`.
//   5. Write the next candidate's voxel map, at which the metric is evaluated next.
// Called by CudaBackend.minimise_affine after joint_histogram.cu and histogram_derivative.cu, or affine_moments.cu. All
// threads compute the same scalars, so that they branch alike and meet at every barrier. Moves a few KiB per search.
#include "affine_parameters.cuh"
#include "sample_points.cuh"

constexpr int STEPS_LEFT = 0, STEPS_TAKEN = 1, POSITION = 2,
              ENERGIES = POSITION + MAX_PARAMETERS;     // layout of `status`
constexpr int MUTUAL_INFORMATION = 0, CORRELATION = 1;  // formulas; any other: normalised product
constexpr double FLAT = 1e-10;  // variance, as a share of the mean square, that counts as none; metrics/correlation.py

// State of a search between two launches.
struct SearchState {
    double gradient[MAX_PARAMETERS], direction[MAX_PARAMETERS], candidate[MAX_PARAMETERS];
    double inverse[MAX_PARAMETERS * MAX_PARAMETERS];  // of the Hessian, where `has_hessian`
    double linear_derivatives[MAX_PARAMETERS * 9];    // of the linear part, at the candidate
    double value, directional_slope, length, backtracks, idle_steps, has_hessian, is_started;
};

constexpr int STATE_SIZE = sizeof(SearchState) / sizeof(double);

__shared__ SearchState state;
__shared__ double position[MAX_PARAMETERS], candidate_gradient[MAX_PARAMETERS];
__shared__ double by_voxel_map[12], by_frame_map[12];  // derivatives of the metric
__shared__ double product[MAX_PARAMETERS * MAX_PARAMETERS];

// The value of the metric; its derivatives by the entries of the voxel map go to `by_voxel_map`.
__device__ inline double metric_value(const double* sums, int formula, long long count, double least_overlap) {
    int e = threadIdx.x;
    double inside = formula == MUTUAL_INFORMATION ? sums[1] : sums[0];
    double value = 0.0, gradient = 0.0;
    if (inside / count >= least_overlap) {
        if (formula == MUTUAL_INFORMATION) {
            value = sums[0];
            if (e < 12) gradient = sums[2 + e];
        } else if (formula == CORRELATION) {
            double n = sums[0], f = sums[1], m = sums[2];
            double ff = sums[3] - f * f / n, mm = sums[4] - m * m / n, fm = sums[5] - f * m / n;
            if (n >= 2.0 && ff > FLAT * sums[3] && mm > FLAT * sums[4]) {
                value = -(fm * fm) / (ff * mm);
                if (e < 12) {
                    double by_fm = sums[18 + e] - f / n * sums[6 + e];
                    double by_mm = 2.0 * (sums[30 + e] - m / n * sums[6 + e]);
                    gradient = -2.0 * fm / (ff * mm) * by_fm - value / mm * by_mm;
                }
            }
        } else {
            value = -(sums[5] / count);
            if (e < 12) gradient = sums[18 + e] / -(double)count;
        }
    }
    if (e < 12) by_voxel_map[e] = gradient;
    __syncthreads();
    return value;
}

// Chain rule: derivatives by the parameters, in `candidate_gradient`, from those by the voxel map.
__device__ inline void parameter_gradient(const double* left, const AffineFamily& family, int linears, int size) {
    int e = threadIdx.x, r = e / 4, c = e % 4;
    if (e < 12) {
        double sum = 0.0;
        for (int j = 0; j < 4; j++) {
            double by =
                left[r] * by_voxel_map[j] + left[4 + r] * by_voxel_map[4 + j] + left[8 + r] * by_voxel_map[8 + j];
            sum += by * (c < 3 ? family.right[4 * c + j] : j == 3 ? 1.0 : 0.0);
        }
        by_frame_map[e] = sum;
    }
    __syncthreads();
    if (e < linears) {
        double sum = 0.0;
        for (int n = 0; n < 9; n++) sum += by_frame_map[n / 3 * 4 + n % 3] * state.linear_derivatives[9 * e + n];
        candidate_gradient[e] = sum / family.radius;
    } else if (e < size) {
        candidate_gradient[e] = by_frame_map[4 * (e - linears) + 3];
    }
    __syncthreads();
}

// BFGS update of the inverse Hessian from the step to the candidate and the change of the gradient along it; false where
// the curvature along the step is too small and the inverse stays as it was.
__device__ inline bool update_inverse_hessian(int size, bool has_hessian) {
    int e = threadIdx.x, r = e / MAX_PARAMETERS, c = e % MAX_PARAMETERS;
    double curvature = 0.0, square = 0.0, length = 0.0;
    for (int p = 0; p < size; p++) {
        double step = state.candidate[p] - position[p], change = candidate_gradient[p] - state.gradient[p];
        curvature += step * change, square += change * change, length += step * step;
    }
    if (curvature <= 1e-10 * sqrt(length * square)) return false;
    bool is_active = e < MAX_PARAMETERS * MAX_PARAMETERS && r < size && c < size;
    double step_r = 0.0, step_c = 0.0, sum = 0.0;
    if (is_active) {
        step_r = state.candidate[r] - position[r], step_c = state.candidate[c] - position[c];
        for (int q = 0; q < size; q++) {
            double project = (r == q ? 1.0 : 0.0) - step_r * (candidate_gradient[q] - state.gradient[q]) / curvature;
            sum += project * (has_hessian ? state.inverse[q * MAX_PARAMETERS + c] : q == c ? curvature / square : 0.0);
        }
        product[e] = sum;
    }
    __syncthreads();
    if (is_active) {
        sum = 0.0;
        for (int q = 0; q < size; q++)
            sum += product[r * MAX_PARAMETERS + q] *
                   ((c == q ? 1.0 : 0.0) - step_c * (candidate_gradient[q] - state.gradient[q]) / curvature);
        state.inverse[e] = sum + step_r * step_c / curvature;
    }
    __syncthreads();
    return true;
}

extern "C" __global__ void __launch_bounds__(160, 1) bfgs(
    const double* __restrict__ sums,  // (many, width) of the metric's kernels
    const double* __restrict__ left,  // (many, 12)
    AffineFamily family,
    double* states,        // (many, 295) 0 at first
    double* status,        // (many, room) steps left and taken, parameters, values of the metric
    unsigned char* ended,  // (many)
    double* matrices,      // (many, 12) fixed voxel -> moving voxel: of this candidate, then of the next
    int formula, long long count, int linears, int size, double tolerance, double least_overlap, double first_step,
    double longest_step, double armijo, int max_backtracks, int patience, int width, int room) {
    int e = threadIdx.x;
    if (ended[blockIdx.x]) return;
    sums += (long long)width * blockIdx.x, left += 12 * blockIdx.x, status += (long long)room * blockIdx.x;
    double* saved = states + (long long)STATE_SIZE * blockIdx.x;
    for (int n = e; n < STATE_SIZE; n += blockDim.x) ((double*)&state)[n] = saved[n];
    if (e < MAX_PARAMETERS) position[e] = status[POSITION + e];
    int steps_left = (int)status[STEPS_LEFT], steps_taken = (int)status[STEPS_TAKEN];
    __syncthreads();
    double value = state.value, directional_slope = state.directional_slope, length = state.length;
    int backtracks = (int)state.backtracks, idle_steps = (int)state.idle_steps;
    bool has_hessian = state.has_hessian > 0.0, is_started = state.is_started > 0.0, needs_direction = true;

    if (!is_started) evaluate_affine(family, state.candidate, state.linear_derivatives, linears, size);
    double value_there = metric_value(sums, formula, count, least_overlap);
    parameter_gradient(left, family, linears, size);
    if (is_started && !(value_there <= value + armijo * length * directional_slope)) {
        needs_direction = ++backtracks == max_backtracks;
        if (needs_direction) {
            steps_left = has_hessian ? steps_left - 1 : 0, has_hessian = false;
        } else {  // minimum of a parabola
            double best =
                -directional_slope * length * length / (2.0 * (value_there - value - directional_slope * length));
            length = fmin(fmax(best, 0.1 * length), 0.5 * length);
        }
    } else {
        if (is_started) {
            has_hessian = update_inverse_hessian(size, has_hessian) || has_hessian;
            idle_steps = value - value_there <= tolerance * fabs(value_there) ? idle_steps + 1 : 0;
            steps_left = idle_steps == patience ? 0 : steps_left - 1;
            if (e == 0) status[ENERGIES + steps_taken] = value_there;
            steps_taken++;
        }
        value = value_there;
        __syncthreads();
        if (e < size) position[e] = state.candidate[e], state.gradient[e] = candidate_gradient[e];
        __syncthreads();
    }
    if (needs_direction) length = 1.0, backtracks = 0;
    while (needs_direction && steps_left > 0) {  // until one is downhill
        double norm = sqrt(dot(state.gradient, state.gradient, size)), longest = 0.0;
        if (e < size)
            state.direction[e] = has_hessian ? -dot(state.inverse + MAX_PARAMETERS * e, state.gradient, size)
                                             : -first_step * state.gradient[e] / fmax(norm, 1e-300);
        __syncthreads();
        for (int p = 0; p < size; p++) longest = fmax(longest, fabs(state.direction[p]));
        __syncthreads();
        if (e < size && longest > longest_step) state.direction[e] *= longest_step / longest;
        __syncthreads();
        directional_slope = dot(state.gradient, state.direction, size);
        needs_direction = !(directional_slope < 0.0);
        if (needs_direction) steps_left = has_hessian ? steps_left - 1 : 0, has_hessian = false;
        __syncthreads();
    }
    if (e < MAX_PARAMETERS) status[POSITION + e] = position[e];
    if (e == 0) status[STEPS_LEFT] = steps_left, status[STEPS_TAKEN] = steps_taken, ended[blockIdx.x] = steps_left == 0;
    if (steps_left == 0) return;
    if (e < size) state.candidate[e] = position[e] + (length == 1.0 ? state.direction[e] : length * state.direction[e]);
    if (e == 0) {
        state.value = value, state.directional_slope = directional_slope, state.length = length;
        state.backtracks = backtracks, state.idle_steps = idle_steps, state.has_hessian = has_hessian,
        state.is_started = 1.0;
    }
    __syncthreads();
    evaluate_affine(family, state.candidate, state.linear_derivatives, linears, size);
    write_voxel_map(left, family, matrices + 12 * blockIdx.x);
    __syncthreads();
    for (int n = e; n < STATE_SIZE; n += blockDim.x) saved[n] = ((double*)&state)[n];
}
