// Sampling on a grid: out(i) = volume(matrix (i + field(i))), without a coordinate array; the matrix or the field may
// be absent. Built for one ORDER: 0 nearest (copies bits of any type of the width of VALUE; ties up), 1 linear, 3 cubic
// B-spline from the coefficients of cubic_prefilter.cu, mirrored at the borders. Called by CudaBackend.sample; `out` is
// the caller's. A thread is a voxel of the output. Moves 4 bytes out per voxel, 12 in with a field, and gathers 1, 8 or
// 64 voxels.
#ifndef ORDER
#define ORDER 1
#endif
#ifndef VALUE
#define VALUE float
#endif
#include "volume.cuh"

struct Point {
    double x, y, z;
};

__device__ inline VALUE nearest(const VALUE* __restrict__ volume, Box box, Point p) {
    int i = clamped((int)floor(p.x + 0.5), box.ni), j = clamped((int)floor(p.y + 0.5), box.nj);
    return volume[box.at(i, j, clamped((int)floor(p.z + 0.5), box.nk))];  // below 0.5, x + 0.5 may round to 1
}

// Cubic B-spline weights of the four voxels around a point at fraction t of a cell.
__device__ inline void bspline_weights(float t, float w[4]) {
    float s = 1.0f - t;
    w[0] = s * s * s * (1.0f / 6.0f);
    w[1] = 2.0f / 3.0f - t * t * (1.0f - 0.5f * t);
    w[2] = 2.0f / 3.0f - s * s * (1.0f - 0.5f * s);
    w[3] = t * t * t * (1.0f / 6.0f);
}

// The four taps of a point along an axis of at least four voxels; weights of taps beyond the border are added to those of
// the voxels that they mirror.
struct CubicTaps {
    int first;
    float w[4];

    __device__ CubicTaps(double x, int n) {
        double whole = floor(x);
        int low = clamped((int)whole, n - 1);  // the last cell ends in the last voxel
        float b[4];
        bspline_weights(fminf(fmaxf((float)(x - low), 0.0f), 1.0f), b);
        bool under = low == 0, over = low == n - 2;
        first = under ? 0 : over ? n - 4 : low - 1;
        w[0] = under ? b[1] : over ? 0.0f : b[0];
        w[1] = under ? b[0] + b[2] : over ? b[0] : b[1];
        w[2] = under ? b[3] : over ? b[1] + b[3] : b[2];
        w[3] = under ? 0.0f : over ? b[2] : b[3];
    }

    __device__ float of(const float* __restrict__ row) const {
        return w[0] * __ldg(row) + w[1] * __ldg(row + 1) + w[2] * __ldg(row + 2) + w[3] * __ldg(row + 3);
    }
};

__device__ inline float cubic(const float* __restrict__ coefficients, Box box, Point p) {
    CubicTaps x(p.x, box.ni), y(p.y, box.nj), z(p.z, box.nk);
    const float* plane = coefficients + box.at(x.first, y.first, z.first);
    float total = 0.0f;
#pragma unroll
    for (int a = 0; a < 4; a++, plane += (long long)box.nj * box.nk) {
        const float* row = plane;
        float sum = 0.0f;
#pragma unroll
        for (int b = 0; b < 4; b++, row += box.nk) sum += y.w[b] * z.of(row);
        total += x.w[a] * sum;
    }
    return total;
}

// The same for a volume with an axis of fewer than four voxels.
__device__ inline int thin_tap(double x, int n, float w[4]) {
    double bounded = fmin(fmax(x, 0.0), n - 1.0), whole = floor(bounded);
    bspline_weights((float)(bounded - whole), w);
    return (int)whole - 1;
}

__device__ inline float cubic_thin(const float* __restrict__ coefficients, Box box, Point p) {
    float wx[4], wy[4], wz[4], total = 0.0f;
    int i = thin_tap(p.x, box.ni, wx), j = thin_tap(p.y, box.nj, wy), k = thin_tap(p.z, box.nk, wz);
#pragma unroll 1
    for (int abc = 0; abc < 64; abc++) {
        int a = abc / 16, b = abc / 4 % 4, c = abc % 4;
        long long at = box.at(mirrored(i + a, box.ni), mirrored(j + b, box.nj), mirrored(k + c, box.nk));
        total += wx[a] * wy[b] * wz[c] * __ldg(coefficients + at);
    }
    return total;
}

__device__ inline VALUE value_at(const VALUE* __restrict__ volume, Box box, Point p) {
#if ORDER == 0
    return nearest(volume, box, p);
#elif ORDER == 1
    return TrilinearCell(box, bracket(p.x, box.ni), bracket(p.y, box.nj), bracket(p.z, box.nk)).of(volume);
#else
    return box.ni < 4 || box.nj < 4 || box.nk < 4 ? cubic_thin(volume, box, p) : cubic(volume, box, p);
#endif
}

extern "C" __global__ void __launch_bounds__(256) sample(
    const VALUE* __restrict__ volume,  // (ai, aj, ak)
    const float* __restrict__ field,   // (3, ni, nj, nk) or null: voxels of out
    Matrix matrix,                     // voxel of out -> voxel of volume
    VALUE* __restrict__ out,           // (ni, nj, nk)
    VALUE outside, int ai, int aj, int ak, int ni, int nj, int nk) {
    Box from = {ai, aj, ak}, box = {ni, nj, nk};
    Voxel v = thread_voxel();
    if (!contains(box, v)) return;
    Point p = {(double)v.i, (double)v.j, (double)v.k};
    if (field) {
        Vector u = vector_at(field, box, v);
        p = {p.x + u.x, p.y + u.y, p.z + u.z};
    }
    p = {matrix.row(0, p.x, p.y, p.z), matrix.row(1, p.x, p.y, p.z), matrix.row(2, p.x, p.y, p.z)};
    bool is_inside = inside(p.x, ai) && inside(p.y, aj) && inside(p.z, ak);
    out[box.at(v.i, v.j, v.k)] = is_inside ? value_at(volume, from, p) : outside;
}
