// Grid sampling: out(i) = volume(matrix (i + field(i))) with no grid array; the matrix or the field may be absent.
// Called by CudaBackend.sample, which allocates `out`. A thread is a voxel of the output.
//
// Built for one ORDER each: 0 nearest (bits of any type of the width of VALUE, ties up), 1 linear, 3 cubic B-spline from
// the coefficients that filter_axis.cu makes, mirror boundary.
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

// Weights of the four voxels around a point at fraction t of a cell.
__device__ inline void spline_weights(double t, float w[4]) {
    double s = 1.0 - t;
    w[0] = (float)(s * s * s / 6.0);
    w[1] = (float)(2.0 / 3.0 - t * t * (2.0 - t) / 2.0);
    w[2] = (float)(2.0 / 3.0 - s * s * (2.0 - s) / 2.0);
    w[3] = (float)(t * t * t / 6.0);
}

__device__ inline int spline_cell(double x, int n, float w[4]) {
    double bounded = fmin(fmax(x, 0.0), n - 1.0), whole = floor(bounded);
    spline_weights(bounded - whole, w);
    return (int)whole;
}

__device__ inline float cubic(const float* __restrict__ coefficients, Box box, Point p) {
    float wx[4], wy[4], wz[4];
    int i = spline_cell(p.x, box.ni, wx), j = spline_cell(p.y, box.nj, wy), k = spline_cell(p.z, box.nk, wz);
    int ks[4] = {mirrored(k - 1, box.nk), k, mirrored(k + 1, box.nk), mirrored(k + 2, box.nk)};
    float total = 0.0f;
#pragma unroll
    for (int a = 0; a < 4; a++) {
        float plane = 0.0f;
#pragma unroll
        for (int b = 0; b < 4; b++) {
            const float* row = coefficients + box.at(mirrored(i + a - 1, box.ni), mirrored(j + b - 1, box.nj), 0);
            plane += wy[b] * (wz[0] * __ldg(row + ks[0]) + wz[1] * __ldg(row + ks[1]) + wz[2] * __ldg(row + ks[2]) +
                              wz[3] * __ldg(row + ks[3]));
        }
        total += wx[a] * plane;
    }
    return total;
}

__device__ inline VALUE value_at(const VALUE* __restrict__ volume, Box box, Point p) {
#if ORDER == 0
    return nearest(volume, box, p);
#elif ORDER == 1
    return Cube(box, around(p.x, box.ni), around(p.y, box.nj), around(p.z, box.nk)).of(volume);
#else
    return cubic(volume, box, p);
#endif
}

extern "C" __global__ void __launch_bounds__(256) sample(
    const VALUE* __restrict__ volume,  // (ai, aj, ak)
    const float* __restrict__ field,   // (3, ni, nj, nk) or null: voxels of out
    Matrix matrix,                     // voxel of out -> voxel of volume
    VALUE* __restrict__ out,           // (ni, nj, nk)
    VALUE outside, int ai, int aj, int ak, int ni, int nj, int nk) {
    Box from = {ai, aj, ak}, box = {ni, nj, nk};
    Voxel v = this_voxel();
    if (!holds(box, v)) return;
    Point p = {(double)v.i, (double)v.j, (double)v.k};
    if (field) {
        Vector u = vector_at(field, box, v);
        p = {p.x + u.x, p.y + u.y, p.z + u.z};
    }
    p = {matrix.row(0, p.x, p.y, p.z), matrix.row(1, p.x, p.y, p.z), matrix.row(2, p.x, p.y, p.z)};
    bool seen = inside(p.x, ai) && inside(p.y, aj) && inside(p.z, ak);
    out[box.at(v.i, v.j, v.k)] = seen ? value_at(volume, from, p) : outside;
}
