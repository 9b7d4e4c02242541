// Sample points of the fixed image seen in the moving one: shared by the kernels of affine metrics. In double: there are
// few points, and sums over them must not depend on rounding.
#pragma once
#include "reductions.cuh"

constexpr int FEW = 16;  // matrices that come with the launch; cuda_points.py

struct Few {
    double m[12 * FEW];
};

// The matrix of this block: of `many`, or where these are null of `few`.
__device__ inline const Matrix& matrix_of_block(const double* many, const Few& few) {
    __shared__ Matrix matrix;
    int at = 12 * blockIdx.y + threadIdx.x;
    if (threadIdx.x < 12) matrix.m[threadIdx.x] = many ? many[at] : few.m[at];
    __syncthreads();
    return matrix;
}

// What a point sees: whether it counts, the linear value there and its slope by the voxel coordinates.
struct Seen {
    bool counts;
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

__device__ inline Seen look(
    const float* __restrict__ volume, const unsigned char* mask, Box box, const Matrix& matrix, const float* point) {
    double x = matrix.row(0, point[0], point[1], point[2]), y = matrix.row(1, point[0], point[1], point[2]);
    double z = matrix.row(2, point[0], point[1], point[2]);
    if (!(inside(x, box.ni) && inside(y, box.nj) && inside(z, box.nk))) return {};
    if (mask && !on_mask(mask, box, x, y, z)) return {};
    Cell a = cell_of(x, box.ni), b = cell_of(y, box.nj), c = cell_of(z, box.nk);
    double line[2][2], along[2][2];  // value and slope along k on the four edges
    for (int p = 0; p < 2; p++)
        for (int q = 0; q < 2; q++) {
            const float* row = volume + box.at(p ? a.high : a.low, q ? b.high : b.low, 0);
            double low = __ldg(row + c.low), high = __ldg(row + c.high);
            along[p][q] = high - low;
            line[p][q] = low + c.weight * along[p][q];
        }
    double near = line[0][0] + b.weight * (line[0][1] - line[0][0]);
    double far = line[1][0] + b.weight * (line[1][1] - line[1][0]);
    double by_j = (1 - a.weight) * (line[0][1] - line[0][0]) + a.weight * (line[1][1] - line[1][0]);
    double by_k = (1 - a.weight) * ((1 - b.weight) * along[0][0] + b.weight * along[0][1]) +
                  a.weight * ((1 - b.weight) * along[1][0] + b.weight * along[1][1]);
    return {true, near + a.weight * (far - near), {a.slope * (far - near), b.slope * by_j, c.slope * by_k}};
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

constexpr int GROUP = 16;  // sums that a block adds up at once, each by BLOCK / GROUP threads
constexpr int LANES = BLOCK / GROUP;

// The sum of each of GROUP rows of `count` numbers, of which thread t of a lane of LANES threads takes every LANES-th, in
// a fixed order; valid where the thread is the first of its lane. Rows from COUNT on are none.
template <int COUNT>
__device__ inline double row_sum(const double* row, int first, int count) {
    __shared__ double parts[GROUP][LANES];
    int thread = threadIdx.x, column = thread / LANES, lane = thread % LANES;
    double sum = 0.0;
    for (int t = lane; t < count && first + column < COUNT; t += LANES) sum += row[t];
    parts[column][lane] = sum;
    __syncthreads();
    for (int t = 1; t < LANES && lane == 0; t++) sum += parts[column][t];
    __syncthreads();
    return sum;
}

// The sums over a block, in column blockIdx.x of `partial` (COUNT, blocks), in a fixed order.
template <int COUNT>
__device__ inline void sum_over_block(const double mine[COUNT], double* partial) {
    __shared__ double values[GROUP][BLOCK];
    int thread = threadIdx.x, column = thread / LANES;
#pragma unroll
    for (int first = 0; first < COUNT; first += GROUP) {
#pragma unroll
        for (int n = 0; n < GROUP; n++)
            if (first + n < COUNT) values[n][thread] = mine[first + n];
        __syncthreads();
        double sum = row_sum<COUNT>(values[column], first, BLOCK);
        if (thread % LANES == 0 && first + column < COUNT) partial[(first + column) * gridDim.x + blockIdx.x] = sum;
    }
}

// The sums of all threads of the blocks with one blockIdx.y, in `out` when the last block is done.
template <int COUNT>
__device__ inline void sum_over_grid(const double mine[COUNT], double* partial, unsigned* arrived, double* out) {
    sum_over_block<COUNT>(mine, partial);
    if (!is_last_block(arrived, gridDim.x)) return;
    int column = threadIdx.x / LANES;
    for (int first = 0; first < COUNT; first += GROUP) {
        double sum = row_sum<COUNT>(partial + (first + column) * gridDim.x, first, gridDim.x);
        if (threadIdx.x % LANES == 0 && first + column < COUNT) out[first + column] = sum;
    }
}
