// Affine maps of a few parameters and their derivatives, computed by one block: solvers/motion.py on the device.
#pragma once

constexpr int MOST = 12;  // parameters
constexpr int TURN = 0, SCALE = 8, ENTRY = 16;  // kinds of parameters, backends/descent.py
constexpr double PI = 3.14159265358979323846;  // sin and cos of any angle would need a stack
constexpr double STILL = 1e-14;  // square of the angle below which a rotation is none, solvers/motion.py

struct Family {
    double right[12], radius;
    int parts[MOST];
};

__shared__ double vector[3], scale[3], turned[9], axes[9], linear[9], shift[3], moved[12];

__device__ inline double dot(const double* a, const double* b, int size) {
    double sum = 0.0;
    for (int p = 0; p < size; p++) sum += a[p] * b[p];
    return sum;
}

// Entry (r, c) of the matrix that multiplies as a cross product with v does.
__device__ inline double crossed(const double* v, int r, int c) {
    if (r == c) return 0.0;
    return (c - r + 3) % 3 == 2 ? v[3 - r - c] : -v[3 - r - c];
}

// The linear part, its derivatives `by_linear` (linears, 3, 3) and the shift of the parameters `there`.
__device__ inline void move(const Family& family, const double* there, double* by_linear, int linears, int size) {
    int e = threadIdx.x, r = e / 3, c = e % 3;
    if (e < 3) {
        double turn = 0.0, logarithm = 0.0;
        for (int p = 0; p < linears; p++) {
            int part = family.parts[p];
            if (part == TURN + e) turn += there[p] / family.radius;
            if (part >= SCALE && part < ENTRY && (part - SCALE) >> e & 1) logarithm += there[p] / family.radius;
        }
        vector[e] = turn, scale[e] = exp(logarithm);
        shift[e] = linears + e < size ? there[linears + e] : 0.0;
    }
    __syncthreads();
    double square = dot(vector, vector, 3), angle = sqrt(square);
    bool still = square < STILL;
    double sine = still ? 1.0 : sinpi(angle / PI) / angle, cosine = still ? 0.0 : (1.0 - cospi(angle / PI)) / square;
    if (e < 9) {
        double whole = r == c ? 1.0 : 0.0, entries = 0.0;
        turned[e] = whole + sine * crossed(vector, r, c) + cosine * (vector[r] * vector[c] - square * whole);
        for (int p = 0; p < linears; p++)
            if (family.parts[p] == ENTRY + e) entries += there[p] / family.radius;
        linear[e] = scale[r] * turned[e] + entries;
    }
    __syncthreads();
    if (e < 9) {  // row k of `axes`: v x (I - R) e_k
        double sum = 0.0;
        for (int q = 0; q < 3; q++) sum += crossed(vector, c, q) * ((q == r ? 1.0 : 0.0) - turned[3 * q + r]);
        axes[e] = sum;
    }
    __syncthreads();
    if (e < 9 * linears) {
        int part = family.parts[e / 9], place = e % 9, row = place / 3, column = place % 3;
        double found = part == ENTRY + place ? 1.0 : 0.0;
        if (part < SCALE) {
            int k = part - TURN;
            for (int q = 0; q < 3; q++) {
                double by = row == q ? 0.0 : vector[k] * crossed(vector, row, q) + crossed(axes + 3 * k, row, q);
                if (still) by = row == q || row == k || q == k ? 0.0 : (q - row + 3) % 3 == 2 ? 1.0 : -1.0;
                found += by * turned[3 * q + column];
            }
            found *= still ? scale[row] : scale[row] / square;
        } else if (part < ENTRY && (part - SCALE) >> row & 1) {
            found = scale[row] * turned[place];
        }
        by_linear[e] = found;
    }
}

// The voxel map of the parameters `there`.
__device__ inline void write_map(const double* left, const Family& family, double* matrix) {
    int e = threadIdx.x, r = e / 4, c = e % 4;
    if (e < 12) {
        double sum = c == 3 ? shift[r] : 0.0;
        for (int q = 0; q < 3; q++) sum += linear[3 * r + q] * family.right[4 * q + c];
        moved[e] = sum;
    }
    __syncthreads();
    if (e < 12)
        matrix[e] = left[4 * r] * moved[c] + left[4 * r + 1] * moved[4 + c] + left[4 * r + 2] * moved[8 + c] +
                    (c == 3 ? left[4 * r + 3] : 0.0);
}
