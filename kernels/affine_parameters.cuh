// The affine maps of a parametric family and their derivatives, computed by one block: the twin of the Python module
// that defines backends/affine_problem.py's AffineFamily, left [L(p) | t(p)] right with L = diag(exp s) R(v) + E.
// Derivative of a rotation by its vector: Gallego and Yezzi 2015, 10.1007/s10851-014-0528-x.
#pragma once

constexpr int MAX_PARAMETERS = 12;
constexpr int ROTATION = 0, SCALE = 8, ENTRY = 16;  // kinds of parameters, backends/affine_problem.py
constexpr double PI = 3.14159265358979323846;       // for sinpi and cospi: sin and cos need stack memory
constexpr double SMALL_ANGLE = 1e-14;               // squared angle below which the identity is used

struct AffineFamily {
    double right[12], radius;
    int kinds[MAX_PARAMETERS];
};

__shared__ double rotation_vector[3], scale[3], rotation[9], rodrigues_axes[9], linear[9], shift[3], frame_map[12];

__device__ inline double dot(const double* a, const double* b, int size) {
    double sum = 0.0;
    for (int p = 0; p < size; p++) sum += a[p] * b[p];
    return sum;
}

// Entry (r, c) of the matrix [v] with [v] x = v x x.
__device__ inline double cross_matrix(const double* v, int r, int c) {
    if (r == c) return 0.0;
    return (c - r + 3) % 3 == 2 ? v[3 - r - c] : -v[3 - r - c];
}

// The linear part and the shift of the map of the parameters `candidate`, and `linear_derivatives` (linear_count, 3, 3).
__device__ inline void evaluate_affine(
    const AffineFamily& family, const double* candidate, double* linear_derivatives, int linear_count, int size) {
    int e = threadIdx.x, r = e / 3, c = e % 3;
    if (e < 3) {
        double component = 0.0, log_scale = 0.0;
        for (int p = 0; p < linear_count; p++) {
            int kind = family.kinds[p];
            if (kind == ROTATION + e) component += candidate[p] / family.radius;
            if (kind >= SCALE && kind < ENTRY && (kind - SCALE) >> e & 1) log_scale += candidate[p] / family.radius;
        }
        rotation_vector[e] = component, scale[e] = exp(log_scale);
        shift[e] = linear_count + e < size ? candidate[linear_count + e] : 0.0;
    }
    __syncthreads();
    double square = dot(rotation_vector, rotation_vector, 3), angle = sqrt(square);
    bool is_identity = square < SMALL_ANGLE;
    double sine = is_identity ? 1.0 : sinpi(angle / PI) / angle,
           cosine = is_identity ? 0.0 : (1.0 - cospi(angle / PI)) / square;
    if (e < 9) {
        double identity = r == c ? 1.0 : 0.0, entries = 0.0;
        rotation[e] = identity + sine * cross_matrix(rotation_vector, r, c) +
                      cosine * (rotation_vector[r] * rotation_vector[c] - square * identity);
        for (int p = 0; p < linear_count; p++)
            if (family.kinds[p] == ENTRY + e) entries += candidate[p] / family.radius;
        linear[e] = scale[r] * rotation[e] + entries;
    }
    __syncthreads();
    if (e < 9) {  // row k: v x (I - R) e_k
        double sum = 0.0;
        for (int q = 0; q < 3; q++)
            sum += cross_matrix(rotation_vector, c, q) * ((q == r ? 1.0 : 0.0) - rotation[3 * q + r]);
        rodrigues_axes[e] = sum;
    }
    __syncthreads();
    if (e < 9 * linear_count) {
        int kind = family.kinds[e / 9], entry = e % 9, row = entry / 3, column = entry % 3;
        double derivative = kind == ENTRY + entry ? 1.0 : 0.0;
        if (kind < SCALE) {
            int k = kind - ROTATION;
            for (int q = 0; q < 3; q++) {
                double rotated = row == q ? 0.0
                                          : rotation_vector[k] * cross_matrix(rotation_vector, row, q) +
                                                cross_matrix(rodrigues_axes + 3 * k, row, q);
                if (is_identity) rotated = row == q || row == k || q == k ? 0.0 : (q - row + 3) % 3 == 2 ? 1.0 : -1.0;
                derivative += rotated * rotation[3 * q + column];
            }
            derivative *= is_identity ? scale[row] : scale[row] / square;
        } else if (kind < ENTRY && (kind - SCALE) >> row & 1) {
            derivative = scale[row] * rotation[entry];
        }
        linear_derivatives[e] = derivative;
    }
}

// The voxel map of the parameters last evaluated.
__device__ inline void write_voxel_map(const double* left, const AffineFamily& family, double* matrix) {
    int e = threadIdx.x, r = e / 4, c = e % 4;
    if (e < 12) {
        double sum = c == 3 ? shift[r] : 0.0;
        for (int q = 0; q < 3; q++) sum += linear[3 * r + q] * family.right[4 * q + c];
        frame_map[e] = sum;
    }
    __syncthreads();
    if (e < 12)
        matrix[e] = left[4 * r] * frame_map[c] + left[4 * r + 1] * frame_map[4 + c] +
                    left[4 * r + 2] * frame_map[8 + c] + (c == 3 ? left[4 * r + 3] : 0.0);
}
