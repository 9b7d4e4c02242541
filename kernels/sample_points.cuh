// Sample points of the fixed image, interpolated in the moving one: shared by the kernels of affine metrics. In double,
// as points are few and sums over them must not depend on rounding.
#pragma once
#include "reductions.cuh"

constexpr int LAUNCH_MATRICES = 16;  // passed by value with the launch; cuda_points.py

struct LaunchMatrices {
    double m[12 * LAUNCH_MATRICES];
};

// The matrix of this block: of `many`, or, where that is null, of those passed with the launch.
__device__ inline const Matrix& matrix_of_block(const double* many, const LaunchMatrices& launch_matrices) {
    __shared__ Matrix matrix;
    int at = 12 * blockIdx.y + threadIdx.x;
    if (threadIdx.x < 12) matrix.m[threadIdx.x] = many ? many[at] : launch_matrices.m[at];
    __syncthreads();
    return matrix;
}

// The moving image at a point: whether it is inside (and on the mask), the linear value and its gradient by voxels.
struct PointSample {
    bool is_inside;
    double value, slope[3];
};

// The cell of x starts at min(floor(x), n - 2); where x is clamped, the slope along that axis is 0.
struct Cell {
    int low, high;
    double weight, slope;
};

__device__ inline Cell cell_of(double x, int n) {
    double bounded = fmin(fmax(x, 0.0), n - 1.0);
    int low = (int)bounded;
    if (low > n - 2) low = n > 1 ? n - 2 : 0;
    return {low, low + 1 < n ? low + 1 : low, bounded - low, x == bounded && n > 1 ? 1.0 : 0.0};
}

__device__ inline bool on_mask(const unsigned char* mask, Box box, double x, double y, double z) {
    int i = clamped((int)floor(x + 0.5), box.ni), j = clamped((int)floor(y + 0.5), box.nj);
    return mask[box.at(i, j, clamped((int)floor(z + 0.5), box.nk))] != 0;
}

__device__ inline PointSample sample_moving(
    const float* __restrict__ volume, const unsigned char* mask, Box box, const Matrix& matrix, const float* point) {
    double x = matrix.row(0, point[0], point[1], point[2]), y = matrix.row(1, point[0], point[1], point[2]);
    double z = matrix.row(2, point[0], point[1], point[2]);
    if (!(inside(x, box.ni) && inside(y, box.nj) && inside(z, box.nk))) return {};
    if (mask && !on_mask(mask, box, x, y, z)) return {};
    Cell a = cell_of(x, box.ni), b = cell_of(y, box.nj), c = cell_of(z, box.nk);
    double edge[2][2], edge_slope[2][2];  // value and derivative along k on four edges
    for (int p = 0; p < 2; p++)
        for (int q = 0; q < 2; q++) {
            const float* row = volume + box.at(p ? a.high : a.low, q ? b.high : b.low, 0);
            double low = __ldg(row + c.low), high = __ldg(row + c.high);
            edge_slope[p][q] = high - low;
            edge[p][q] = low + c.weight * edge_slope[p][q];
        }
    double lower = edge[0][0] + b.weight * (edge[0][1] - edge[0][0]);
    double upper = edge[1][0] + b.weight * (edge[1][1] - edge[1][0]);
    double by_j = (1 - a.weight) * (edge[0][1] - edge[0][0]) + a.weight * (edge[1][1] - edge[1][0]);
    double by_k = (1 - a.weight) * ((1 - b.weight) * edge_slope[0][0] + b.weight * edge_slope[0][1]) +
                  a.weight * ((1 - b.weight) * edge_slope[1][0] + b.weight * edge_slope[1][1]);
    return {true, lower + a.weight * (upper - lower), {a.slope * (upper - lower), b.slope * by_j, c.slope * by_k}};
}

// sums += weight slope (x, 1)^T
__device__ inline void add_outer(double sums[12], double weight, const double slope[3], const float* point) {
#pragma unroll
    for (int r = 0; r < 3; r++) {
        double by = weight * slope[r];
        sums[4 * r] += by * point[0];
        sums[4 * r + 1] += by * point[1];
        sums[4 * r + 2] += by * point[2];
        sums[4 * r + 3] += by;
    }
}

constexpr int SUMS_AT_ONCE = 16;  // that a block adds up
constexpr int THREADS_PER_SUM = BLOCK / SUMS_AT_ONCE;

// Sums of SUMS_AT_ONCE rows of `count` numbers, in a fixed order: THREADS_PER_SUM threads stride over each. Valid in the
// first thread of each row; rows from COUNT on are skipped.
template <int COUNT>
__device__ inline double row_sum(const double* row, int first, int count) {
    __shared__ double parts[SUMS_AT_ONCE][THREADS_PER_SUM];
    int thread = threadIdx.x, column = thread / THREADS_PER_SUM, lane = thread % THREADS_PER_SUM;
    double sum = 0.0;
    for (int t = lane; t < count && first + column < COUNT; t += THREADS_PER_SUM) sum += row[t];
    parts[column][lane] = sum;
    __syncthreads();
    for (int t = 1; t < THREADS_PER_SUM && lane == 0; t++) sum += parts[column][t];
    __syncthreads();
    return sum;
}

// Sums over a block, in column blockIdx.x of `partial` (COUNT, blocks), in a fixed order.
template <int COUNT>
__device__ inline void sum_over_block(const double thread_sums[COUNT], double* partial) {
    __shared__ double values[SUMS_AT_ONCE][BLOCK];
    int thread = threadIdx.x, column = thread / THREADS_PER_SUM;
#pragma unroll
    for (int first = 0; first < COUNT; first += SUMS_AT_ONCE) {
#pragma unroll
        for (int n = 0; n < SUMS_AT_ONCE; n++)
            if (first + n < COUNT) values[n][thread] = thread_sums[first + n];
        __syncthreads();
        double sum = row_sum<COUNT>(values[column], first, BLOCK);
        if (thread % THREADS_PER_SUM == 0 && first + column < COUNT)
            partial[(first + column) * gridDim.x + blockIdx.x] = sum;
    }
}

// Sums over all blocks with one blockIdx.y, in `out` when the last of them is done.
template <int COUNT>
__device__ inline void sum_over_grid(const double thread_sums[COUNT], double* partial, unsigned* arrived, double* out) {
    sum_over_block<COUNT>(thread_sums, partial);
    if (!is_last_block(arrived, gridDim.x)) return;
    int column = threadIdx.x / THREADS_PER_SUM;
    for (int first = 0; first < COUNT; first += SUMS_AT_ONCE) {
        double sum = row_sum<COUNT>(partial + (first + column) * gridDim.x, first, gridDim.x);
        if (threadIdx.x % THREADS_PER_SUM == 0 && first + column < COUNT) out[first + column] = sum;
    }
}
