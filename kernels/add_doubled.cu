// Adds fields on a grid of half as many voxels, times a weight: linear between the centres of cubes of two voxels a side,
// clamped at the borders; also the largest norm of each sum, where `norm` is not larger.
// A thread marches along i over PLANES fine planes, two for each coarse plane:
//   1. Interpolate the next coarse plane within the plane: weights 3/4 and 1/4 along j and k.
//   2. Interpolate along i between it and the two before, add, store; find the largest square.
//   3. Find the largest square of the block, then of each field.
// Called by CudaBackend.add_doubled; `out` and `norm` are the caller's, `largest_squares` and `arrived` start and end at
// 0. Moves 12 bytes in and 12 out per voxel, and 12 in per coarse voxel.
#ifndef PLANES
#define PLANES 8
#endif
#include "reductions.cuh"

// The coarse voxels on either side of the centre of fine voxel i; the nearer one weighs three times as much.
__device__ inline Bracket nearer(int i, int n) { return {i / 2, clamped(i % 2 ? i / 2 + 1 : i / 2 - 1, n), 0.25f}; }

// A coarse field at the place of a fine voxel in any coarse plane.
struct PlaneInterpolation {
    const float* field;
    Box box;
    Bracket j, k;

    __device__ float of(const float* plane) const {
        const float *near = plane + j.low * box.nk, *far = plane + j.high * box.nk;
        float first = lerp(__ldg(near + k.low), __ldg(near + k.high), k.weight);
        return lerp(first, lerp(__ldg(far + k.low), __ldg(far + k.high), k.weight), j.weight);
    }

    __device__ Vector at(int i) const {
        const float* plane = field + (long long)clamped(i, box.ni) * box.nj * box.nk;
        return {of(plane), of(plane + box.size()), of(plane + 2 * box.size())};
    }
};

// The vector of a field that this kernel writes.
__device__ inline Vector load(const float* field, Box box, Voxel v) {
    long long at = box.at(v.i, v.j, v.k), n = box.size();
    return {field[at], field[at + n], field[at + 2 * n]};
}

__device__ inline Vector sum_of(Vector u, Vector near, Vector far, float weight) {
    return {
        u.x + weight * lerp(near.x, far.x, 0.25f), u.y + weight * lerp(near.y, far.y, 0.25f),
        u.z + weight * lerp(near.z, far.z, 0.25f)};
}

__device__ inline float square(Vector u) { return u.x * u.x + u.y * u.y + u.z * u.z; }

extern "C" __global__ void __launch_bounds__(256) add_doubled(
    const float* __restrict__ coarse,  // (many, 3, mi, mj, mk)
    float* __restrict__ out,           // (many, 3, ni, nj, nk)
    float* norm,                       // (many)
    float* largest_squares,            // (many)
    unsigned* arrived,                 // (1)
    float weight, int many, int ni, int nj, int nk, int mi, int mj, int mk) {
    Box fine = {ni, nj, nk}, half = {mi, mj, mk};
    Slab slab = thread_slab<PLANES>(fine);
    Voxel v = slab.first;
    out += slab.volume * 3 * fine.size();
    float largest = 0.0f;
    if (contains(fine, v)) {
        PlaneInterpolation doubled = {
            coarse + slab.volume * 3 * half.size(), half, nearer(v.j, mj), nearer(v.k, mk)};
        Vector before = doubled.at(v.i / 2 - 1), here = doubled.at(v.i / 2);
#pragma unroll
        for (int n = 0; n < PLANES / 2 && v.i < ni; n++) {
            Vector after = doubled.at(v.i / 2 + 1);
            Voxel next = {v.i + 1, v.j, v.k};
            bool has_next = next.i < ni;
            Vector first = load(out, fine, v), second = load(out, fine, has_next ? next : v);  // before any is stored
            first = sum_of(first, here, before, weight), second = sum_of(second, here, after, weight);
            store(out, fine, v, first);
            largest = fmaxf(largest, square(first));
            if (has_next) {
                store(out, fine, next, second);
                largest = fmaxf(largest, square(second));
            }
            v.i += 2;
            before = here, here = after;
        }
    }
    raise_norms<BLOCK>(largest, slab.volume, largest_squares, arrived, norm, many);
}
