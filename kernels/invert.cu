// Inverse of x -> x + field(x): every voxel solves v + field(i + v) = 0 by itself, by fixed-point iteration v <- v - r
// (v + field(i + v)) from `start`. The relaxation factor r is 1 for the first 8 iterations and 0.4 after, as undamped
// iterations oscillate where the map expands. A voxel stops when its residual is at most `tolerance`. Called by
// CudaBackend.invert; `out` is the caller's, `largest_residual` starts at 0. A thread is a voxel. Moves 12 bytes in and
// 12 out per voxel, and gathers 24 numbers per iteration.
#include "reductions.cuh"

constexpr int UNDAMPED_STEPS = 8;
constexpr float RELAXATION = 0.4f;

extern "C" __global__ void __launch_bounds__(256, 4) invert(
    const float* __restrict__ field,  // (3, ni, nj, nk), voxels
    const float* start,               // (3, ni, nj, nk)
    float* out,                       // (3, ni, nj, nk)
    float* largest_residual,          // (1) largest residual
    float tolerance, int iterations, int ni, int nj, int nk) {
    Box box = {ni, nj, nk};
    Voxel v = thread_voxel();
    float residual = 0.0f;
    if (contains(box, v)) {
        Vector w = vector_at(start, box, v);
        for (int step = 0;; step++) {
            Vector u = sample_vector(field, box, v, w);
            Vector error = {w.x + u.x, w.y + u.y, w.z + u.z};
            residual = sqrtf(error.x * error.x + error.y * error.y + error.z * error.z);
            if (step == iterations || !(residual > tolerance)) break;
            float relaxation = step < UNDAMPED_STEPS ? 1.0f : RELAXATION;
            w = {w.x - relaxation * error.x, w.y - relaxation * error.y, w.z - relaxation * error.z};
        }
        store(out, box, v, w);
    }
    float largest = block_max<BLOCK>(residual);
    if (thread_in_block() == 0) atomic_max(largest_residual, largest);
}
