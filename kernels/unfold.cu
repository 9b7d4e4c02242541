// Raises low Jacobian determinants in place: where one of the ten tetrahedra at a voxel has a determinant of at most
// `limit`, its vertices move along the slopes of the determinant towards `target`. A launch takes every third voxel along
// each axis from (first_i, first_j, first_k), whose tetrahedra share no vertex: 27 of them are a sweep. Called by
// CudaBackend.unfold. A thread is a voxel. Reads 4 bytes per voxel, and the field where determinants are low.
#include "tetrahedra.cuh"

constexpr float RELAXATION = 1.5f;    // as in backends/tetrahedra.py
constexpr float LONGEST_STEP = 0.5f;  // voxels
constexpr float LEAST_SLOPE = 0.01f;
constexpr float SMALLEST = 1.17549435e-38f;

__device__ inline void move(float* field, long long n, long long at, float step, Vector slope) {
    field[at] += step * slope.x;
    field[at + n] += step * slope.y;
    field[at + 2 * n] += step * slope.z;
}

extern "C" __global__ void __launch_bounds__(256) unfold(
    float* field,                     // (3, ni, nj, nk), voxels
    const float* __restrict__ least,  // (ni, nj, nk) as least_jacobian wrote it before the sweep
    int first_i, int first_j, int first_k, float limit, float target, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = thread_voxel();
    v = {first_i + 3 * v.i, first_j + 3 * v.j, first_k + 3 * v.k};
    if (!contains(box, v) || !(least[box.at(v.i, v.j, v.k)] <= limit)) return;
    for (int t = 0; t < TETRAHEDRA; t++) {
        Tetrahedron one(field, box, v, t);
        if (!one.exists) continue;
        Vector a = one.edges[0], b = one.edges[1], c = one.edges[2], slopes[4];
        slopes[1] = cross(b, c), slopes[2] = cross(c, a), slopes[3] = cross(a, b);
        float determinant = scale(t) * dot(a, slopes[1]), size = 0.0f;
        if (determinant > limit) continue;
        for (int row = 1; row < 4; row++) {
            float s = one.at[row] == one.at[0] ? 0.0f : scale(t);  // 0 along an axis of one voxel
            slopes[row] = {s * slopes[row].x, s * slopes[row].y, s * slopes[row].z};
        }
        slopes[0] = {
            -slopes[1].x - slopes[2].x - slopes[3].x, -slopes[1].y - slopes[2].y - slopes[3].y,
            -slopes[1].z - slopes[2].z - slopes[3].z};
        for (int row = 0; row < 4; row++) size += dot(slopes[row], slopes[row]);
        float step = RELAXATION * (target - determinant) / fmaxf(size, LEAST_SLOPE);
        step = fminf(step, LONGEST_STEP / sqrtf(fmaxf(size, SMALLEST)));
        for (int row = 0; row < 4; row++) move(field, box.size(), one.at[row], step, slopes[row]);
    }
}
