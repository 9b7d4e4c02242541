// The ten tetrahedra at a voxel, in the order of backends/tetrahedra.py: eight corners of the voxel, whose determinants
// are those of one-sided differences, then those between the corners of the cubes above and below it.
#pragma once
#include "volume.cuh"

constexpr int CORNERS = 8;
constexpr int TETRAHEDRA = 10;

// From the voxel to vertex `row` of tetrahedron t, along one axis.
__device__ constexpr int edge(int t, int row, int axis) {
    return t < CORNERS ? (axis != row ? 0 : (t >> axis) & 1 ? -1 : 1) : axis == (row + 2) % 3 ? 0 : t == CORNERS ? 1 : -1;
}

// 1 / determinant of the edges.
__device__ constexpr float scale(int t) {
    return t < CORNERS ? (float)(edge(t, 0, 0) * edge(t, 1, 1) * edge(t, 2, 2)) : t == CORNERS ? 0.5f : -0.5f;
}

__device__ inline Vector cross(Vector a, Vector b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

__device__ inline float dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

// A tetrahedron at a voxel: where its vertices are, the voxel first, and its edges after the map.
struct Tetrahedron {
    long long at[4];
    Vector edges[3];
    bool exists;

    // Along an axis of one voxel every vertex is the voxel itself, and there are only corners.
    __device__ Tetrahedron(const float* field, Box box, Voxel v, int t) {
        long long n = box.size();
        bool flat = box.ni == 1 || box.nj == 1 || box.nk == 1;
        exists = t < CORNERS || !flat;
        at[0] = box.at(v.i, v.j, v.k);
#pragma unroll
        for (int row = 0; row < 3; row++) {
            int i = v.i + (box.ni > 1 ? edge(t, row, 0) : 0), j = v.j + (box.nj > 1 ? edge(t, row, 1) : 0);
            int k = v.k + (box.nk > 1 ? edge(t, row, 2) : 0);
            exists = exists && i >= 0 && j >= 0 && k >= 0 && i < box.ni && j < box.nj && k < box.nk;
            long long to = at[row + 1] = exists ? box.at(i, j, k) : at[0];
            edges[row].x = field[to] - field[at[0]] + (float)edge(t, row, 0);
            edges[row].y = field[to + n] - field[at[0] + n] + (float)edge(t, row, 1);
            edges[row].z = field[to + 2 * n] - field[at[0] + 2 * n] + (float)edge(t, row, 2);
        }
    }
};
