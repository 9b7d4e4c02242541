// A field on another grid: out(c, i) = field(c, matrix i), linear, clamped at the border; units unchanged.
// Called by CudaBackend.sample_field; `out` is the caller's. A thread is a voxel of the output. Moves 12 bytes out per
// voxel, and gathers 24 numbers.
#include "volume.cuh"

extern "C" __global__ void __launch_bounds__(256) sample_field(
    const float* __restrict__ field,  // (3, ai, aj, ak)
    Matrix matrix,                    // voxel of out -> voxel of field
    float* __restrict__ out,          // (3, ni, nj, nk)
    int ai, int aj, int ak, int ni, int nj, int nk) {
    Box from = {ai, aj, ak}, box = {ni, nj, nk};
    Voxel v = thread_voxel();
    if (!contains(box, v)) return;
    TrilinearCell cell(
        from, bracket(matrix.row(0, v.i, v.j, v.k), ai), bracket(matrix.row(1, v.i, v.j, v.k), aj),
        bracket(matrix.row(2, v.i, v.j, v.k), ak));
    long long n = from.size();
    store(out, box, v, {cell.of(field), cell.of(field + n), cell.of(field + 2 * n)});
}
